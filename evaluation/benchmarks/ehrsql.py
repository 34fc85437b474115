"""EHRSQL: questions of hospital staff on MIMIC-III and eICU. Some have no answer: then the right one is no query."""

from __future__ import annotations

from evaluation.benchmarks.layout import Example, Layout, Source, Unreadable, check_db_id, text
from evaluation.text_files import Record

DATABASES = ("mimic_iii", "eicu")


def read(record: Record, number: str, source: Source) -> list[Example]:
    impossible = str(record.get("is_impossible")).lower() in ("true", "1") or record.get("query") == "null"
    db_id = check_db_id(record.get("db_id", source.file.parent.name))
    sql = "" if impossible else text(record, "query")
    if not impossible and not sql.strip():
        raise Unreadable("'query' must not be blank where is_impossible is false")
    kind = str(record.get("importance") or "")
    given = record.get("id") or f"{source.file.parent.name}-{number}"
    return [Example(str(given), db_id, text(record, "question"), "", sql, "", "impossible" if impossible else kind)]


LAYOUT = Layout(
    "EHRSQL: questions on electronic health records, some without an answer",
    splits={split: (f"*/{split}.json|{split}.json",) for split in ("train", "valid", "test")},
    read=read,
    unanswerable=True,
    databases=tuple(
        f"{folder}{{db_id}}.{suffix}" for folder in ("", "{db_id}/", "database/{db_id}/") for suffix in ("db", "sqlite")
    ),
    schemas=("{db_id}.sql", "{db_id}/{db_id}.sql"),
    licence="CC BY 4.0",
    source="https://github.com/glee4810/EHRSQL",
)
