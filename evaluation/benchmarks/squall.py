"""Squall: WikiTableQuestions with SQL, aligned word by word; a small database per table.

squall.json holds all questions; dev-0.ids to dev-4.ids name the tables that a fold holds out, train and dev are those
of fold 0. The files of a fold, where its script has made them, come first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from evaluation.benchmarks.find import find_files
from evaluation.benchmarks.layout import Example, Layout, Source, Unreadable, check_db_id, first
from evaluation.text_files import Record, parse_json, read_text

ALL = "squall.json"


def read(record: Record, number: str, source: Source) -> list[Example]:
    """The question as words, "nl"; the query as [kind, word, …], where kinds are Keyword, Column and Literal.*."""
    words, sql = first(record, ("nl", "question")), record.get("sql")
    if not isinstance(sql, str | list) or not isinstance(words, str | list):
        raise Unreadable(f"'nl' and 'sql' must be lists of words, it has {', '.join(record)}")
    question = words if isinstance(words, str) else " ".join(map(str, words))
    if source.file.name == ALL and (record.get("tbl") in held_out(source)) != source.split.startswith("dev"):
        return []
    query = sql if isinstance(sql, str) else joined(sql)
    name, db_id = str(first(record, ("nt", "id"), number)), check_db_id(record.get("tbl"))
    return [Example(name, db_id, question, "", query, "", "")]


def files(data: Path, split: str) -> list[Path]:
    part, _, fold = split.partition("_")
    if part == "test":
        return find_files(data, "wtq-test.json|data/wtq-test.json")
    made = find_files(data, f"{part}-{fold or 0}.json|data/{part}-{fold or 0}.json")
    whole = find_files(data, f"{ALL}|data/{ALL}")
    told = whole and (split == "train" or ids(whole[0], fold or "0").is_file())
    return made or (whole if told else [])


def ids(file: Path, fold: str) -> Path:
    return file.with_name(f"dev-{fold}.ids")


def held_out(source: Source) -> frozenset[str]:
    """The tables of the fold's dev part; none where the list is not there."""
    return _listed(ids(source.file, source.split.partition("_")[2] or "0"))


@lru_cache(maxsize=8)
def _listed(path: Path) -> frozenset[str]:
    found = parse_json(read_text(path), path) if path.is_file() else []
    return frozenset(map(str, found))


def joined(tokens: Sequence[Any]) -> str:
    """Keywords and columns as they are; texts, which come with or without quotes, in single ones."""
    try:
        return " ".join(literal(str(token[1])) if token[0] == "Literal.String" else str(token[1]) for token in tokens)
    except (IndexError, TypeError, KeyError):
        raise Unreadable(f"'sql' must be a list of [kind, word], got {str(tokens)[:80]}") from None


def literal(word: str) -> str:
    inner = word[1:-1].replace("''", "'") if len(word) > 1 and word[0] == word[-1] and word[0] in "'\"" else word
    return "'" + inner.replace("'", "''") + "'"


LAYOUT = Layout(
    "Squall: questions on tables of Wikipedia, with aligned SQL",
    splits={
        **dict.fromkeys(("train", "dev"), (f"data/{ALL} and data/dev-0.ids",)),
        "test": ("data/wtq-test.json",),
        **{f"{part}_{n}": (f"data/{ALL} and data/dev-{n}.ids",) for part in ("train", "dev") for n in range(5)},
    },
    files=files,
    read=read,
    databases=("tables/db/{db_id}.db", "db/{db_id}.db", "{db_id}.db", "tables/db/{db_id}.sqlite"),
    licence="CC BY-SA 4.0",
    source="https://github.com/tzshi/squall",
)
