"""SEDE: queries that users of the Stack Exchange Data Explorer wrote, with their titles; in T-SQL, on one schema."""

from __future__ import annotations

from evaluation.benchmarks.layout import Example, Layout, Source, text
from evaluation.text_files import Record

DB_ID = "stackexchange"
SPLITS = ("train", "val", "test")


def read(record: Record, number: str, source: Source) -> list[Example]:
    """The title asks, the description adds to it."""
    question, sql = text(record, "Title"), text(record, "QueryBody")
    described = str(record.get("Description") or "").strip()
    return [Example(str(record.get("QuerySetId", number)), DB_ID, question, described, sql, "", "")]


LAYOUT = Layout(
    "SEDE: real queries of Stack Exchange users",
    splits={split: (f"{split}.jsonl|data/sede/{split}.jsonl",) for split in SPLITS},
    read=read,
    databases=("{db_id}.sqlite", "database/{db_id}/{db_id}.sqlite"),
    tables=("tables_so.json", "data/sede/tables_so.json"),
    dialects=dict.fromkeys(SPLITS, "tsql"),
    licence="Apache-2.0",
    source="https://github.com/hirupert/sede",
)
