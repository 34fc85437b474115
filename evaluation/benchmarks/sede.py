"""SEDE: queries that users of the Stack Exchange Data Explorer wrote, with their titles; in T-SQL, on one schema."""

from __future__ import annotations

import re

from evaluation.benchmarks.layout import Example, Layout, Source, text
from evaluation.text_files import Record

DB_ID = "stackexchange"
_PARAMETER = re.compile(r"##\s*(\w+)\s*(?::\s*(\w+))?\s*(?:\?([^#]*))?##")
_DECLARED = re.compile(
    r"^[ \t]*DECLARE\s+(@\w+)\s+(?:AS\s+)?\w+(?:\s*\([^)\n]*\))?[ \t]*=[ \t]*([^\n]+?)[ \t]*;?[ \t]*(?:--[^\n]*)?$",
    re.IGNORECASE | re.MULTILINE,
)
SPLITS = ("train", "val", "test")


def read(record: Record, number: str, source: Source) -> list[Example]:
    """The title asks, the description adds to it."""
    question, sql = text(record, "Title"), without_parameters(text(record, "QueryBody"))
    described = str(record.get("Description") or "").strip()
    return [Example(str(record.get("QuerySetId", number)), DB_ID, question, described, sql, "", "")]


def without_parameters(sql: str) -> str:
    """The explorer's ##name:type?default## as its default, or as 1 or a text; a variable that is declared with a value
    as that value.

    >>> without_parameters("DECLARE @n int = ##Least:int?5##\\nSELECT Id FROM Posts WHERE Score > @n").strip()
    'SELECT Id FROM Posts WHERE Score > 5'
    """
    sql = _PARAMETER.sub(lambda found: _value(found, sql), sql)
    for name, value in [(found[1], found[2]) for found in _DECLARED.finditer(sql)]:
        rest = _DECLARED.sub("", sql, count=1)
        sql = re.sub(rf"{name}\b", value.replace("\\", r"\\"), rest, flags=re.IGNORECASE)
    return sql


def _value(found: re.Match[str], sql: str) -> str:
    name, kind, default = found[1], found[2] or "", found[3]
    inside = sql[: found.start()].rpartition("\n")[2].count("'") % 2 == 1
    texts = "str" in kind or "char" in kind
    value = default if default is not None else name if texts or inside else "1"
    return f"'{value}'" if texts and not inside and not value.startswith("'") else value


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
