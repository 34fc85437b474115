"""WikiSQL: questions on single tables of Wikipedia; queries and tables are put into SQL and SQLite."""

from __future__ import annotations

from evaluation.benchmarks.layout import Example, Layout, Source, Unreadable, text
from evaluation.benchmarks.tables_jsonl import database, query, table_of
from evaluation.text_files import Record

OPERATORS = ("=", ">", "<", "=")


def read(record: Record, number: str, source: Source) -> list[Example]:
    table_id = str(record.get("table_id"))
    table = table_of(source, table_id)
    if table is None:
        raise Unreadable(f"its table must be in {source.split}.tables.jsonl, got table_id {table_id!r}")
    db_id = name_of(table_id)
    sql = query(record.get("sql"), table, db_id, OPERATORS)
    return [Example(number, db_id, text(record, "question").strip(), "", sql, "", "")]


def name_of(table_id: str) -> str:
    """The table as WikiSQL's own databases name it."""
    return f"table_{table_id.replace('-', '_')}"


def make(source: Source, db_id: str) -> str | None:
    table = table_of(source, db_id.removeprefix("table_").replace("_", "-")) or table_of(source, db_id[6:])
    return database(table, db_id) if table else None


LAYOUT = Layout(
    "WikiSQL: simple questions on single tables of Wikipedia",
    splits={split: (f"{split}.jsonl|data/{split}.jsonl",) for split in ("train", "dev", "test")},
    read=read,
    make=make,
    licence="BSD-3-Clause",
    source="https://github.com/salesforce/WikiSQL",
)
