"""jkkummerfeld/text2sql-data: eight datasets of one database each; a record is a query with all its questions.

Names of variables stand in questions and queries; each question says what to put for them. The splits are over
questions (train, dev, test) and over queries (query_train, …), where all questions of a query go together. Sets too
small for that have ten folds instead, as numbers: the last is test here, the one before it dev.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluation.benchmarks.layout import Example, Layout, Source, Unreadable, check_db_id, text
from evaluation.errors import UserError
from evaluation.text_files import Record, read_text

FOLDS = {"9": "test", "8": "dev"}
_TEXT = re.compile(r'"([^"]*)"')
_TYPE = re.compile(r"\w+(\s*\([\d\s,]*\))?")


def read(record: Record, number: str, source: Source) -> list[Example]:
    sqls, sentences = record.get("sql"), record.get("sentences")
    if not isinstance(sqls, list) or not sqls or not isinstance(sentences, list):
        raise Unreadable(f"'sql' and 'sentences' must be lists, it has {', '.join(record)}")
    name = source.file.stem
    start = f"{name}-{number.rpartition('-')[2]}"
    defaults = {v["name"]: v.get("example", "") for v in record.get("variables", []) if "name" in v}
    found = []
    for place, sentence in enumerate(sentences):
        own = sentence.get("question-split") if not source.split.startswith("query_") else record.get("query-split")
        if split_of(str(own)) != source.split.removeprefix("query_"):
            continue
        values = defaults | {name: value for name, value in sentence.get("variables", {}).items() if value != ""}
        question, sql = filled(text(sentence, "text"), values), filled(sqls[0], values)
        found.append(Example(f"{start}-{place}", check_db_id(name), question, "", as_texts(sql), "", ""))
    return found


def split_of(word: str) -> str:
    return FOLDS.get(word, "train") if word.isdigit() else word


def filled(template: str, values: Mapping[str, Any]) -> str:
    """With its variables filled in, the longest names first: name1 is not the start of name10."""
    names = sorted((name for name in values if name in template), key=len, reverse=True)
    if not names:
        return template
    return re.sub("|".join(map(re.escape, names)), lambda found: str(values[found.group()]), template)


def as_texts(sql: str) -> str:
    """Double quotes hold texts here, never names."""
    return _TEXT.sub(lambda found: "'" + found[1].replace("'", "''") + "'", sql).strip().rstrip(";").strip()


def make(source: Source, db_id: str) -> str | None:
    """CREATE TABLE statements from NAME-schema.csv, whose second form is what MySQL's DESCRIBE prints."""
    path = source.find("{db_id}-schema.csv", db_id=db_id)
    if path is None:
        return None
    head, *rows = list(csv.reader(read_text(path).splitlines(), skipinitialspace=True)) or [[]]
    names = [name.strip().lower() for name in head]
    if "type" not in names:
        raise UserError(f"{path} must begin with a line of names, one of them Type, got {', '.join(head) or 'nothing'}")
    kind = names.index("type")
    columns: dict[str, list[str]] = {}
    keys: dict[str, list[str]] = {}
    for row in rows:
        cells = [cell.strip() for cell in row]
        if len(cells) <= kind or not cells[0].strip("-"):
            continue
        declared = _TYPE.match(cells[kind])
        columns.setdefault(cells[0], []).append(f'"{cells[1]}" {declared.group() if declared else ""}'.strip())
        key = cells[2].lower() == "y" if kind > 2 else "PRI" in cells[kind + 1 :]
        keys.setdefault(cells[0], []).extend([f'"{cells[1]}"'] * key)
    return "\n".join(create(table, columns[table], keys[table]) for table in columns)


def create(table: str, columns: list[str], keys: list[str]) -> str:
    parts = columns + [f"PRIMARY KEY ({', '.join(keys)})"] * bool(keys)
    return f'CREATE TABLE "{table}" (\n  ' + ",\n  ".join(parts) + "\n);"


def files(data: Path, split: str) -> list[Path]:
    """One per dataset: those that lie beside their schema."""
    there = (sorted(data.glob(pattern)) for pattern in ("*.json", "data/*.json", "*/data/*.json"))
    found = ([path for path in paths if path.with_name(f"{path.stem}-schema.csv").is_file()] for paths in there)
    return next((paths for paths in found if paths), [])


LAYOUT = Layout(
    "text2sql-data: Academic, Advising, ATIS, GeoQuery, IMDB, Restaurants, Scholar, Yelp",
    splits={f"{by}{split}": ("NAME.json",) for by in ("", "query_") for split in ("train", "dev", "test")},
    files=files,
    read=read,
    databases=("{db_id}-db.added-in-2020.sqlite", "{db_id}.sqlite", "{db_id}.db", "{db_id}-db.sqlite"),
    make=make,
    licence="a licence for each, in its LICENSE.md",
    source="https://github.com/jkkummerfeld/text2sql-data",
)
