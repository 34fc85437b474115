"""What `python -m evaluation.data mix` writes: questions of several datasets, each with the place of its database."""

from __future__ import annotations

from evaluation.benchmarks.layout import Example, Layout, Source, Turn, text
from evaluation.text_files import Record

PARTS = ("id", "db_id", "question", "evidence", "sql", "database", "hardness")


def read(record: Record, number: str, source: Source) -> list[Example]:
    id, db_id, question, evidence, sql, database, hardness = (text(record, name) for name in PARTS)
    history = tuple(Turn(turn["question"], turn["sql"]) for turn in record.get("history") or ())
    return [Example(id, db_id, question, evidence, sql, database, hardness, history)]


def written(example: Example) -> Record:
    """The record of a question."""
    values = (example.id, example.db_id, example.question, example.evidence, example.gold_sql, example.database)
    history = [{"question": turn.question, "sql": turn.sql} for turn in example.history]
    return {**dict(zip(PARTS, (*values, example.hardness), strict=True)), "history": history}


LAYOUT = Layout(
    "what evaluation.data mix makes of several datasets",
    splits={"train": ("train.parquet",), "dev": ("dev.parquet",)},
    read=read,
    unanswerable=True,
    licence="that of its sources",
    source="python -m evaluation.data mix",
)
