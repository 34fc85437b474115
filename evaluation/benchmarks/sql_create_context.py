"""sql-create-context: questions with the CREATE TABLE statements that their query needs; no rows."""

from __future__ import annotations

from evaluation.benchmarks.layout import Example, Layout, Source, text
from evaluation.benchmarks.with_schema import keep, make
from evaluation.text_files import Record


def read(record: Record, number: str, source: Source) -> list[Example]:
    db_id, question, sql = keep(text(record, "context")), text(record, "question"), text(record, "answer")
    return [Example(number, db_id, question, "", sql, "", "")]


LAYOUT = Layout(
    "sql-create-context: WikiSQL and Spider with CREATE TABLE statements",
    splits={"train": ("sql_create_context_v4.json|sql_create_context*.json|data/train-*.parquet|train.json*",)},
    read=read,
    make=make,
    licence="CC BY 4.0",
    source="https://huggingface.co/datasets/b-mc2/sql-create-context",
)
