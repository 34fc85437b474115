"""Spider's and BIRD's tables.json -> Schema, without the databases; and what two schemas of one database differ in.

The file says less than a database does: a type is one of a few words, and a composite foreign key is a list of pairs.
Pairs in a row from one table to another, no column twice, are therefore read as one key. Spider's file also names only
one column of a composite primary key; BIRD's names them all, as a list inside the list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from graph.schema import Column, ForeignKey, Schema, SchemaError, Table, fold


def schemas_from_tables_json(path: Path) -> dict[str, Schema]:
    """Every schema of the file by db_id. SchemaError: no such file, not JSON, or an entry that does not hold."""
    return {name: _Entry(entry, place).schema(name) for name, (entry, place) in _entries(Path(path)).items()}


def schema_from_tables_json(path: Path, db_id: str) -> Schema:
    """The schema of one database, named db_id; the other entries of the file may be broken.

    Types are the file's words in upper case ("NUMBER", "TEXT", "TIME"). SQLite's own tables (sqlite_sequence) are left
    out, as they are when the database itself is read. SchemaError as above, or no such db_id.
    """
    entries = _entries(Path(path))
    if db_id not in entries:
        near = get_close_matches(db_id, entries, 1, 0)
        hint = f"; the nearest is {near[0]!r}" if near else ""
        raise SchemaError(f"db_id must be one of the {len(entries)} in {path}, got {db_id!r}{hint}")
    entry, place = entries[db_id]
    return _Entry(entry, place).schema(db_id)


def same_schema(a: Schema, b: Schema) -> list[str]:
    """What the two differ in, one sentence each; [] when they describe one database.

    Compared without case, as SQLite does: the tables, each one's columns in order with their coarse type (see
    `coarse_type`), its primary key, and the foreign keys. Not compared: the order of tables, of keys and of the pairs
    inside a key, example values, and what is a view.
    """
    left, right = ({fold(table.name): table for table in schema.tables} for schema in (a, b))
    told = [f"table {name} is only in the first" for name in left if name not in right]
    told += [f"table {name} is only in the second" for name in right if name not in left]
    for name in left:
        if name in right:
            told += _table_differences(name, left[name], right[name])
    keys, others = _keys(a), _keys(b)
    told += [f"key {key} is only in the first" for key in keys if key not in others]
    return told + [f"key {key} is only in the second" for key in others if key not in keys]


def coarse_type(declared: str) -> str:
    """What is left of a declared type when it is told in tables.json's words; boolean and others are one.

    >>> [coarse_type(name) for name in ("VARCHAR(20)", "smallint unsigned", "DATETIME", "TIME", "BOOL", "OTHERS", "")]
    ['text', 'number', 'time', 'time', 'other', 'other', 'other']
    """
    name = declared.upper()
    if re.search("CHAR|CLOB|TEXT", name):
        return "text"
    if re.search("DATE|TIME|YEAR", name):
        return "time"
    return "number" if re.search("INT|NUM|DEC|REAL|FLOA|DOUB", name) else "other"


def _table_differences(name: str, left: Table, right: Table) -> Iterator[str]:
    columns = [[fold(column.name) for column in table.columns] for table in (left, right)]
    if columns[0] != columns[1]:
        yield f"table {name} has the columns {_both(*columns)}"
        return
    keys = [[fold(column.name) for column in table.columns if column.primary_key] for table in (left, right)]
    if keys[0] != keys[1]:
        yield f"table {name} has the primary key {_both(*keys)}"
    for one, other in zip(left.columns, right.columns, strict=True):
        if coarse_type(one.type) != coarse_type(other.type):
            yield f"column {name}.{fold(one.name)} is {_both([coarse_type(one.type)], [coarse_type(other.type)])}"


def _both(left: list[str], right: list[str]) -> str:
    return f"{', '.join(left) or 'nothing'} in the first and {', '.join(right) or 'nothing'} in the second"


def _keys(schema: Schema) -> list[str]:
    """ "child.column = parent.column and ...", each key once, in order."""
    keys = [
        " and ".join(
            f"{key.table}.{column} = {key.parent}.{target}"
            for column, target in sorted(zip(key.columns, key.parent_columns, strict=True))
        )
        for key in schema.foreign_keys
    ]
    return list(dict.fromkeys(map(fold, keys)))


def _entries(path: Path) -> dict[str, tuple[dict[str, Any], str]]:
    """db_id -> the entry and where it stands."""
    try:
        content = json.loads(path.read_bytes())  # which knows byte-order marks
    except (OSError, ValueError, RecursionError) as error:
        raise SchemaError(f"{path} must be a tables.json file of Spider or BIRD: {error}") from error
    if not isinstance(content, list):
        raise SchemaError(f"{path} must hold a JSON list of databases, got {_shown(content)}; is it another file?")
    entries = {}
    for number, entry in enumerate(content):
        if not isinstance(entry, dict) or not isinstance(entry.get("db_id"), str):
            raise SchemaError(f"{path}, entry {number}, must be an object with a text db_id, got {_shown(entry)}")
        entries[entry["db_id"]] = (entry, f"{path}, db_id {entry['db_id']!r}")
    return entries


class _Entry:
    """One object of the list; every check says where it is."""

    def __init__(self, entry: dict[str, Any], place: str) -> None:
        self.entry, self.place = entry, place
        self.tables = [self._name(value) for value in self._list("table_names_original")]
        self.columns = [self._column(value) for value in self._list("column_names_original")]

    def schema(self, name: str) -> Schema:
        tables = tuple(self._tables())
        if not tables:
            raise SchemaError(f"{self.place}: the database has no tables; leave it out of the file")
        return Schema(name, tables, tuple(dict.fromkeys(self._foreign_keys())))

    def _tables(self) -> Iterator[Table]:
        types, keys = self._list("column_types"), set(self._primary_keys())
        if len(types) != len(self.columns):
            self._must("column_types", f"have one type for each of the {len(self.columns)} columns", len(types))
        for place, name in enumerate(self.tables):
            own = [number for number, (table, _) in enumerate(self.columns) if table == place]
            columns = tuple(Column(self.columns[i][1], str(types[i]).upper(), i in keys) for i in own)
            if columns and not _internal(name):
                yield Table(name, columns)

    def _primary_keys(self) -> Iterator[int]:
        for key in self._list("primary_keys"):
            for number in key if isinstance(key, list) else [key]:
                yield self._index("primary_keys", number)

    def _foreign_keys(self) -> Iterator[ForeignKey]:
        run: list[tuple[int, int]] = []
        for pair in self._list("foreign_keys"):
            if not isinstance(pair, list) or len(pair) != 2:
                self._must("foreign_keys", "hold pairs of column numbers", pair)
            child, parent = (self._index("foreign_keys", number) for number in pair)
            if run and not self._belong_together(run, child, parent):
                yield self._key(run)
                run = []
            if not any(_internal(self.tables[self.columns[end][0]]) for end in (child, parent)):
                run.append((child, parent))
        if run:
            yield self._key(run)

    def _belong_together(self, run: list[tuple[int, int]], child: int, parent: int) -> bool:
        ends = [[self.columns[number][0] for number in pair] for pair in (run[0], (child, parent))]
        return ends[0] == ends[1] and child not in {a for a, _ in run} and parent not in {b for _, b in run}

    def _key(self, run: list[tuple[int, int]]) -> ForeignKey:
        children, parents = (tuple(self.columns[pair[side]][1] for pair in run) for side in (0, 1))
        table, parent = (self.tables[self.columns[number][0]] for number in run[0])
        return ForeignKey(table, children, parent, parents)

    def _list(self, field: str) -> list[Any]:
        value = self.entry.get(field)
        if isinstance(value, list):
            return value
        self._must(field, "be there and be a list", value)

    def _name(self, value: object) -> str:
        if isinstance(value, str):
            return value
        self._must("table_names_original", "hold names", value)

    def _column(self, value: object) -> tuple[int, str]:
        if not (isinstance(value, list) and len(value) == 2 and type(value[0]) is int and isinstance(value[1], str)):
            self._must("column_names_original", "hold [number of the table, name] pairs", value)
        if not -1 <= value[0] < len(self.tables):
            self._must("column_names_original", f"name tables from 0 to {len(self.tables) - 1}", value)
        return value[0], value[1]

    def _index(self, field: str, number: object) -> int:
        """A column's number; the first column of the file is "*", which no key may name."""
        if type(number) is int and 0 < number < len(self.columns) and self.columns[number][0] >= 0:
            return number
        self._must(field, f"name columns from 1 to {len(self.columns) - 1}", number)

    def _must(self, field: str, rule: str, given: object) -> NoReturn:
        raise SchemaError(f"{self.place}: {field} must {rule}, got {_shown(given)}; mend the file or take it afresh")


def _internal(table: str) -> bool:
    return fold(table).startswith("sqlite_")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
