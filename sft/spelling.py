"""Training golds in one spelling, each proved to mean what it meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from evaluation.benchmarks import Example
from evaluation.judge import Judge
from graph.schema import Schema
from graph.spelling import canonical


def respelled(examples: Sequence[Example], schema_of: Callable[[str], Schema]) -> tuple[list[Example], int]:
    """The examples with their golds in the spelling of `graph.spelling`, and how many keep the given one, because the
    two are not seen to give the same answer. schema_of: the schema of a database's path."""
    written = [canonical(example.gold_sql, schema_of(example.database)) for example in examples]
    with Judge() as judge:
        verdicts = judge.judge(list(zip(examples, written, strict=True)))
    same = [v.ex_strict or v.status == "empty_both" for v in verdicts]
    trios = zip(examples, written, same, strict=True)
    return [replace(e, gold_sql=sql) if proved else e for e, sql, proved in trios], len(examples) - sum(same)
