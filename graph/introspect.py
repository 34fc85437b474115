"""A SQLite file -> Schema. The file is opened read-only and immutable: describing a database never changes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path

from graph.schema import Column, ForeignKey, Schema, SchemaError, Table, fold


def schema_from_sqlite(path: Path) -> Schema:
    """The tables, views, columns and keys of the database at `path`; the schema is named after the file.

    Tables and keys come in declaration order. Foreign keys are resolved: an implicit target becomes the parent's
    primary key, names take the spelling of their declaration, a key to nowhere is dropped, a repeated one kept once.
    Hidden columns of virtual tables and SQLite's own tables are left out; bytes that are not UTF-8 become U+FFFD.
    SchemaError: no file, not a SQLite database, or nothing in it.
    """
    path = Path(path)
    if not path.is_file():
        raise SchemaError(f"the database {path} does not exist or is not a file")
    try:
        with closing(open_read_only(path)) as connection:
            by_rowid = dict(_tables(connection))
            keys = [key for rowid in by_rowid for key in _foreign_keys(connection, rowid, by_rowid)]
    except sqlite3.Error as error:
        raise SchemaError(f"{path} must be a SQLite database: {error}") from error
    if not by_rowid:
        raise SchemaError(f"the database {path} has no tables")
    return Schema(path.stem, tuple(by_rowid.values()), tuple(dict.fromkeys(keys)))


def open_read_only(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path.resolve().as_uri() + "?mode=ro&immutable=1", uri=True)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return connection


def _tables(connection: sqlite3.Connection) -> Iterator[tuple[int, Table]]:
    """Each table with its rowid in sqlite_master, by which it is asked for again: its name may not be UTF-8."""
    shadow = {name for (name,) in connection.execute("SELECT name FROM pragma_table_list WHERE type = 'shadow'")}
    query = "SELECT rowid, name, type FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY rowid"
    for rowid, name, kind in connection.execute(query).fetchall():
        if name.lower().startswith("sqlite_") or name in shadow:
            continue
        columns = _columns(connection, rowid)
        if columns:
            yield rowid, Table(name, columns, kind == "view")


_NAME = "(SELECT name FROM sqlite_master WHERE rowid = ?)"


def _columns(connection: sqlite3.Connection, rowid: int) -> tuple[Column, ...]:
    """() for a view over what is gone, or a virtual table whose module is not loaded: nothing can query them."""
    query = f"SELECT name, type, pk FROM pragma_table_xinfo({_NAME}) WHERE hidden <> 1 ORDER BY cid"
    try:
        rows = connection.execute(query, (rowid,)).fetchall()
    except sqlite3.OperationalError:
        return ()
    return tuple(Column(name, kind.upper(), bool(pk)) for name, kind, pk in rows)


def _foreign_keys(connection: sqlite3.Connection, rowid: int, by_rowid: dict[int, Table]) -> Iterator[ForeignKey]:
    # SQLite numbers keys from the last declared; the columns of a composite key share an id.
    query = f'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list({_NAME}) ORDER BY id DESC, seq'
    child = by_rowid[rowid]
    rowids = {fold(table.name): number for number, table in by_rowid.items()}
    for _, rows in groupby(connection.execute(query, (rowid,)).fetchall(), key=lambda row: row[0]):
        parts = list(rows)
        parent_rowid = rowids.get(fold(parts[0][1]))
        if parent_rowid is None:
            continue
        parent, named = by_rowid[parent_rowid], [part[3] for part in parts]
        sources = _spelled(child, [part[2] for part in parts])
        targets = _spelled(parent, named) if None not in named else _primary_key(connection, parent_rowid)
        if sources and len(sources) == len(targets):
            yield ForeignKey(child.name, sources, parent.name, targets)


def _spelled(table: Table, names: list[str]) -> tuple[str, ...]:
    """These columns as the table declares them; () when one is missing."""
    declared = {fold(column.name): column.name for column in table.columns}
    found = [declared.get(fold(name)) for name in names]
    return tuple(name for name in found if name is not None) if None not in found else ()


def _primary_key(connection: sqlite3.Connection, rowid: int) -> tuple[str, ...]:
    rows = connection.execute(f"SELECT name FROM pragma_table_xinfo({_NAME}) WHERE pk > 0 ORDER BY pk", (rowid,))
    return tuple(name for (name,) in rows.fetchall())
