"""NSText2SQL, what NSQL was trained on: schemas, a question as a comment, and its query; no rows."""

from __future__ import annotations

from evaluation.benchmarks.layout import Example, Layout, Source, Unreadable, text
from evaluation.benchmarks.with_schema import keep, make, parted
from evaluation.text_files import Record


def read(record: Record, number: str, source: Source) -> list[Example]:
    statements, question, _ = parted(text(record, "instruction"))
    if not question:
        raise Unreadable("'instruction' must end with the question, as a comment behind the schema")
    kind = str(record.get("source") or "")
    return [Example(number, keep(statements), question, "", text(record, "output"), "", kind)]


LAYOUT = Layout(
    "NSText2SQL: 290,000 questions of some twenty datasets in one form",
    splits={"train": ("train.jsonl|train.json|data/train-*.parquet|train-*.parquet",)},
    read=read,
    make=make,
    licence="a licence for each source",
    source="https://huggingface.co/datasets/NumbersStation/NSText2SQL",
)
