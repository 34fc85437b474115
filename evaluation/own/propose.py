"""Questions about a database that came with few or none: made by the grammar of the bundled benchmark, executed."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.benchmarks import Example
from evaluation.check_data import check
from evaluation.own.describe import ROWID, described
from evaluation.tiny.build import balanced, drawn
from graph.schema import Schema, fold

SYNTHETIC = "synthetic"  # the hardness of a question that nobody asked
_DRAWS_PER_QUESTION, _SPARE = 3, 1.3
_MOST_ROWS_WORTH = 40_000  # draws times columns: bounds the time on wide schemas


def proposed(database: str, schema: Schema, count: int, workers: int = 1) -> list[Example]:
    """Up to `count` questions, of all kinds, the same ones each time; fewer where the database has less to ask for.

    Each gold has run and has one answer that says something: what fails, finds nothing, or hangs on ties is left out.
    """
    domain, rows = described(database, schema)
    if count < 1 or all(table.bridge for table in domain.tables):
        return []
    columns = sum(len(table.columns) for table in domain.tables)
    draws = min(_DRAWS_PER_QUESTION * count + 200, max(500, _MOST_ROWS_WORTH // max(1, columns)))
    made = drawn(domain, rows, draws)
    if not any(fold(c.name) == ROWID for table in schema.tables for c in table.columns):
        made = [question for question in made if ROWID not in question.sql]
    chosen = balanced(made, round(_SPARE * count))
    examples = [
        Example(f"{SYNTHETIC}-{i:05d}", schema.name, question.question, "", question.sql, database, SYNTHETIC)
        for i, question in enumerate(chosen, 1)
    ]
    return _sound(examples, workers)[:count]


def _sound(examples: Sequence[Example], workers: int) -> list[Example]:
    faulty = {row["id"] for row in check(examples, workers)}
    return [example for example in examples if example.id not in faulty]
