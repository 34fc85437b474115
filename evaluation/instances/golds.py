"""What only instances, or another question of the same words, show of golds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

from evaluation.benchmarks import Example
from evaluation.blind import is_blind
from evaluation.compare import is_tied
from evaluation.judge import Instances, Judge

Elsewhere = Literal["dies_elsewhere", "tied_elsewhere", "twin"]


def elsewhere(judge: Judge, examples: Sequence[Example], instances: Instances) -> dict[str, list[Elsewhere]]:
    """Question id -> dies_elsewhere: its gold runs on the database and on no instance; tied_elsewhere: it chooses among
    tied rows on an instance alone; twin: it answers otherwise than the gold of its twin."""
    found: dict[str, list[Elsewhere]] = {}
    for example, gold in zip(examples, judge.golds(examples), strict=True):
        others = judge.golds([replace(example, database=file) for file in instances.get(example.database, ())])
        if gold.execution.status != "ok" or not others:
            continue
        if all(other.execution.status != "ok" for other in others):
            found.setdefault(example.id, []).append("dies_elsewhere")
        if not is_tied(gold.execution, gold.ranking) and any(is_tied(o.execution, o.ranking) for o in others):
            found.setdefault(example.id, []).append("tied_elsewhere")
    for one, other, same_words in twins(examples):
        if _disagree(judge, one, other, same_words, instances):
            for example in (one, other):
                kinds = found.setdefault(example.id, [])
                kinds += ["twin"] if "twin" not in kinds else []
    return found


def twins(examples: Sequence[Example]) -> Iterator[tuple[Example, Example, bool]]:
    """Pairs of questions with different golds: of the same words; or neighbours in the file, as a dataset writes one
    query's questions. True for the former."""
    asked: dict[tuple[str, str], Example] = {}
    for example in examples:
        words = " ".join(example.question.lower().replace("?", " ").replace(".", " ").split())
        first = asked.setdefault((example.database, words), example)
        if words and first.gold_sql != example.gold_sql:
            yield first, example, True
    for one, other in pairwise(examples):
        if one.database == other.database and one.gold_sql != other.gold_sql:
            yield one, other, False


def _disagree(judge: Judge, one: Example, other: Example, same_words: bool, instances: Instances) -> bool:
    """Neighbours are twins where they give one answer on the database, from the same tables, and it says something."""
    golds = [gold.execution for gold in judge.golds([one, other])]
    if any(gold.status != "ok" for gold in golds):
        return False
    if not same_words and (is_blind(golds[0]) or golds[0].tables_read != golds[1].tables_read):
        return False
    items = [(one, other.gold_sql), (other, one.gold_sql)]
    right = [verdict.right or verdict.status == "open" for verdict in judge.judge(items)]
    return (same_words and not any(right)) or (all(right) and all(judge.shown_wrong(items, instances)))
