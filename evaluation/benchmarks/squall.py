"""Squall: WikiTableQuestions with SQL, aligned word by word; a small database per table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaluation.benchmarks.layout import Example, Layout, Source, Unreadable, check_db_id, first
from evaluation.text_files import Record


def read(record: Record, number: str, source: Source) -> list[Example]:
    """The question as words, "nl"; the query as [kind, word, …], where kinds are Keyword, Column and Literal.*."""
    words, sql = first(record, ("nl", "question")), record.get("sql")
    if not isinstance(sql, str | list) or not isinstance(words, str | list):
        raise Unreadable(f"'nl' and 'sql' must be lists of words, it has {', '.join(record)}")
    question = words if isinstance(words, str) else " ".join(map(str, words))
    query = sql if isinstance(sql, str) else joined(sql)
    name, db_id = str(first(record, ("nt", "id"), number)), check_db_id(record.get("tbl"))
    return [Example(name, db_id, question, "", query, "", "")]


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
        "train": ("squall.json|data/squall.json|train-0.json|data/train-0.json",),
        "dev": ("dev-0.json|data/dev-0.json",),
        "test": ("wtq-test.json|data/wtq-test.json",),
        **{f"{part}_{n}": (f"{part}-{n}.json|data/{part}-{n}.json",) for part in ("train", "dev") for n in range(5)},
    },
    read=read,
    databases=("tables/db/{db_id}.db", "db/{db_id}.db", "{db_id}.db", "tables/db/{db_id}.sqlite"),
    licence="CC BY-SA 4.0",
    source="https://github.com/tzshi/squall",
)
