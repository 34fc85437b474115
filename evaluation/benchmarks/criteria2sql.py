"""Criteria2SQL: criteria of clinical trials as queries for patients, in WikiSQL's form with brackets."""

from __future__ import annotations

from evaluation.benchmarks.layout import Example, Layout, Source, Unreadable, text
from evaluation.benchmarks.tables_jsonl import database, query, table_of
from evaluation.text_files import Record

OPERATORS = ("=", ">", "<", ">=", "<=", "!=")
TABLE = "records"


def read(record: Record, number: str, source: Source) -> list[Example]:
    """The query as it is written out; where it is not, from its numbers."""
    table_id = str(record.get("table_id"))
    table = table_of(source, table_id)
    if table is None:
        raise Unreadable(f"its table must be in {source.split}.tables.jsonl, got table_id {table_id!r}")
    written = record.get("query")
    sql = written.strip() if isinstance(written, str) else query(record.get("sql"), table, TABLE, OPERATORS)
    return [Example(number, f"{TABLE}_{table_id}", text(record, "question").strip(), "", sql, "", "")]


def make(source: Source, db_id: str) -> str | None:
    table = table_of(source, db_id.removeprefix(f"{TABLE}_"))
    return database(table, TABLE, skipped=("NOUSE",)) if table else None


LAYOUT = Layout(
    "Criteria2SQL: eligibility criteria of clinical trials on tables of patients",
    splits={split: (f"{split}.jsonl|data/{split}.jsonl",) for split in ("train", "dev", "test")},
    read=read,
    make=make,
    licence="Apache-2.0, as DB-GPT-Hub lists it",
    source="https://github.com/xiaojingyu92/Criteria2SQL",
)
