"""Whether questions to learn from stand in a split to be measured on: by question, by query, by schema."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import Any

from sqlglot import exp

from evaluation.benchmarks.layout import Example
from evaluation.ordering import parse
from graph.introspect import schema_of
from graph.schema import SchemaError

WAYS = ("question", "sql", "schema")
_LITERAL = re.compile(r"'(?:''|[^'])*'|\"[^\"]*\"|\b\d+(?:\.\d+)?\b")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Marks:
    """What two questions have in common when one gives the other away; "" where there is none.

    question: with its history, words and numbers only. sql: without its literals. schema: tables and columns.
    """

    question: str
    sql: str
    schema: str


def marks(example: Example) -> Marks:
    asked = [*(turn.question for turn in example.history), example.question]
    return Marks(normal_question(" | ".join(asked)), without_literals(example.gold_sql), schema_mark(example.database))


def normal_question(question: str) -> str:
    """
    >>> normal_question("How many  singers are there ?") == normal_question("how many singers are there")
    True
    """
    return " ".join(re.findall(r"\w+", question.casefold()))


@lru_cache(maxsize=100_000)
def without_literals(sql: str) -> str:
    """One text for all spellings of a query that differ in values, case and blanks.

    >>> without_literals("SELECT a FROM t WHERE b = 'x'") == without_literals("select A from T where B=7")
    True
    """
    tree = parse(sql)
    if tree is None:
        return _SPACE.sub(" ", _LITERAL.sub("?", sql)).strip().rstrip("; ").casefold()
    bare = tree.transform(lambda node: exp.Placeholder() if isinstance(node, exp.Literal) else node)
    return bare.sql("sqlite", comments=False).casefold()


@lru_cache(maxsize=100_000)
def schema_mark(database: str) -> str:
    """The tables with their columns, without case and order."""
    try:
        tables = schema_of(database).tables
    except SchemaError:
        return ""
    told = (f"{table.name}({','.join(sorted(column.name for column in table.columns))})" for table in tables)
    return ";".join(sorted(told)).casefold()


def contaminated(
    examples: Sequence[Example], held_out: Mapping[str, Iterable[Example]]
) -> tuple[list[frozenset[tuple[str, str]]], dict[str, dict[str, int]]]:
    """For each example (split, way) of the held-out splits that it stands in, and per split how many do in each way."""
    own = [marks(example) for example in examples]
    found: list[set[tuple[str, str]]] = [set() for _ in examples]
    told = {}
    for name, others in held_out.items():
        theirs = [marks(example) for example in others]
        hits = standing_in(own, theirs)
        told[name] = {"questions": len(theirs), **{way: sum(hits[way]) for way in WAYS}}
        for way in WAYS:
            for ways, hit in zip(found, hits[way], strict=True):
                if hit:
                    ways.add((name, way))
    return [frozenset(ways) for ways in found], told


def standing_in(own: Sequence[Marks], theirs: Sequence[Marks]) -> dict[str, list[bool]]:
    """Way -> of each of `own` whether one of `theirs` is like it."""
    seen = {way: {getattr(mark, way) for mark in theirs} - {""} for way in WAYS}
    return {way: [getattr(mark, way) in seen[way] for mark in own] for way in WAYS}


def overlaps(splits: Mapping[str, Sequence[Example]]) -> list[dict[str, Any]]:
    """{"of", "questions", "in", "question", "sql", "schema"}: how many questions of one split stand in another, in each
    way; for every two of them, both ways round, that have anything in common."""
    known = {name: [marks(example) for example in examples] for name, examples in splits.items()}
    found = []
    for name, other in permutations(known, 2):
        hits = {way: sum(hit) for way, hit in standing_in(known[name], known[other]).items()}
        if any(hits.values()):
            found.append({"of": name, "questions": len(known[name]), "in": other, **hits})
    return found
