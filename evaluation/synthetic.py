"""Made-up rows for a database that is published as a schema alone, so that its golds can be executed.

Columns that golds compare with a value hold that value in some rows; foreign keys refer to rows that are there. The
files lie in the cache's room "synthetic", which is how they are told from real ones.
"""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlglot import exp

from evaluation.databases.files import built
from evaluation.ordering import parse
from graph.introspect import schema_of
from graph.linearize import ddl
from graph.schema import Column, Schema, Table, fold

ROOM = "synthetic"
ASKED = 0.5  # share of the cells of a column that golds ask for which hold such a value
_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like, exp.In, exp.Between)
_NUMBER, _DATE = re.compile("INT|NUM|DEC|REAL|FLOA|DOUB"), re.compile("DATE|TIME")


def is_synthetic(database: str) -> bool:
    return Path(database).parent.parent.name == ROOM


def with_rows(declared: str, golds: Iterable[str], rows: int) -> str:
    """Path of a database of this schema with `rows` rows in each table. SchemaError: it cannot be read."""
    schema = schema_of(declared)
    script, asked = ddl(schema), asked_values(golds)

    def fill(connection: sqlite3.Connection) -> None:
        connection.executescript(script)
        for name, made in rows_of(schema, asked, rows).items():
            table = schema.table(name)
            marks = ", ".join("?" * len(table.columns))
            connection.executemany(f"INSERT OR IGNORE INTO {_quoted(name)} VALUES ({marks})", made)

    return str(built(ROOM, "synthetic", repr((script, sorted(asked.items()), rows)), fill))


def asked_values(golds: Iterable[str]) -> dict[str, list[str]]:
    """Folded column -> the values that golds compare a column of this name with, as text.

    >>> asked_values(["SELECT a FROM t WHERE t.Age > 30 AND name = 'Ann'"])
    {'age': ['30'], 'name': ['Ann']}
    """
    found: dict[str, set[str]] = {}
    for gold in dict.fromkeys(golds):
        tree = parse(gold)
        for node in tree.find_all(*_COMPARED) if tree is not None else ():
            column = node.find(exp.Column)
            if column is not None:
                found.setdefault(fold(column.name), set()).update(value.name for value in node.find_all(exp.Literal))
    return {name: sorted(values) for name, values in found.items() if values}


def rows_of(schema: Schema, asked: Mapping[str, list[str]], count: int) -> dict[str, list[list[Any]]]:
    """Table -> its rows, the same each time."""
    rng = random.Random(0)
    keys = {
        (k.table, c): (k.parent, p)
        for k in schema.foreign_keys
        for c, p in zip(k.columns, k.parent_columns, strict=False)
    }
    cells = {
        (table.name, column.name): _column(table, column, asked.get(fold(column.name), []), count, rng)
        for table in schema.tables
        for column in table.columns
    }
    for end, parent in keys.items():
        if parent in cells and not schema.table(end[0]).is_view:
            cells[end] = [rng.choice(cells[parent]) for _ in range(count)]
    own = [table for table in schema.tables if not table.is_view]
    columns = {table.name: [cells[table.name, column.name] for column in table.columns] for table in own}
    return {name: [list(row) for row in zip(*made, strict=True)] for name, made in columns.items()}


def _column(table: Table, column: Column, asked: list[str], count: int, rng: random.Random) -> list[Any]:
    lone = column.primary_key and sum(other.primary_key for other in table.columns) == 1
    made = [_cell(column, place, lone, rng) for place in range(count)]
    wanted = [_number(value) if _NUMBER.search(column.type) else value.strip("%") for value in asked]
    if lone:  # a key holds each value once
        return [*dict.fromkeys([*wanted[: count // 2], *made])][:count]
    return [rng.choice(wanted) if wanted and rng.random() < ASKED else cell for cell in made]


def _cell(column: Column, place: int, lone: bool, rng: random.Random) -> Any:
    if _NUMBER.search(column.type):
        return place + 1 if lone else rng.randrange(1, 100)
    if _DATE.search(column.type):
        return f"20{rng.randrange(10, 25)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"
    return f"{column.name} {place + 1 if lone else rng.randrange(1, 10)}"


def _number(value: str) -> Any:
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        return value


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
