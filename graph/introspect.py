"""A SQLite file -> Schema. The file is read in a child process and never changed: see `graph.reader`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from graph.database import DatabaseError
from graph.reader import declared_tables, read_tables
from graph.schema import Column, ForeignKey, Schema, SchemaError, Table, fold

_DECLARED = re.compile(r"\s*(?:--[^\n]*\n\s*|DROP TABLE[^;]*;\s*)*CREATE\s", re.IGNORECASE)
KeyRow = tuple[int, str, str, str | None]  # id, parent table, column, parent column or None for its primary key


def is_declared(database: str) -> bool:
    """Whether it is CREATE TABLE statements, a schema without rows, rather than the path of a file."""
    return _DECLARED.match(database) is not None


def schema_of(database: str) -> Schema:
    """The schema of the SQLite file at a path, or that CREATE TABLE statements declare. SchemaError as below."""
    if not is_declared(database):
        return schema_from_sqlite(Path(database))
    try:
        found = declared_tables(database)
    except DatabaseError as error:
        raise SchemaError(str(error)) from None
    return _schema("declared", found)


def schema_from_sqlite(path: Path) -> Schema:
    """The tables, views, columns and keys of the database at `path`; the schema is named after the file.

    Tables and keys come in declaration order. Foreign keys are resolved: an implicit target becomes the parent's
    primary key, names take the spelling of their declaration, a key to nowhere is dropped, a repeated one kept once.
    Left out is what no query can read: broken views, modules that are not there, tables in which virtual ones keep
    their rows, hidden columns, SQLite's own tables. Bytes that are not UTF-8 become U+FFFD.
    SchemaError: a file that cannot be read whole, as SQLite, in time; or nothing in it.
    """
    path = Path(path)
    try:
        found = read_tables(path)
    except DatabaseError as error:
        raise SchemaError(str(error)) from None
    if not found:
        raise SchemaError(f"the database {path} has no tables that a query can read")
    return _schema(path.stem, found)


def _schema(name: str, found: Sequence[tuple[Any, ...]]) -> Schema:
    tables = {rowid: _table(*row) for rowid, *row in found}
    primary = {rowid: _primary_key(rows) for rowid, _, _, rows, _ in found}
    by_name = {fold(table.name): rowid for rowid, table in tables.items()}
    keys = [key for rowid, *_, rows in found for key in _foreign_keys(rows, rowid, by_name, tables, primary)]
    return Schema(name, tuple(tables.values()), tuple(dict.fromkeys(keys)))


def _table(name: str, kind: str, columns: list[tuple[str, str, int]], _keys: Any) -> Table:
    return Table(name, tuple(Column(c, type_.upper(), bool(pk)) for c, type_, pk in columns), kind == "view")


def _primary_key(columns: list[tuple[str, str, int]]) -> tuple[str, ...]:
    return tuple(name for _, name in sorted((pk, name) for name, _, pk in columns if pk))


def _foreign_keys(
    rows: list[KeyRow],
    rowid: int,
    by_name: dict[str, int],
    tables: dict[int, Table],
    primary: dict[int, tuple[str, ...]],
) -> Iterator[ForeignKey]:
    """SQLite numbers keys from the last declared; the columns of a composite key share an id."""
    child = tables[rowid]
    for _, group in groupby(rows, key=lambda row: row[0]):
        parts = list(group)
        parent_rowid = by_name.get(fold(parts[0][1]))
        if parent_rowid is None:
            continue
        parent, named = tables[parent_rowid], [part[3] for part in parts if part[3] is not None]
        sources = _spelled(child, [part[2] for part in parts])
        targets = _spelled(parent, named) if len(named) == len(parts) else primary[parent_rowid]
        if sources and len(sources) == len(targets):
            yield ForeignKey(child.name, sources, parent.name, targets)


def _spelled(table: Table, names: list[str]) -> tuple[str, ...]:
    """These columns as the table declares them; () when one is missing."""
    declared = {fold(column.name): column.name for column in table.columns}
    found = [declared.get(fold(name)) for name in names]
    return tuple(name for name in found if name is not None) if None not in found else ()
