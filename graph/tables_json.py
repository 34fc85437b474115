"""Spider's and BIRD's tables.json: the schemas of databases without the databases.

The file says less than a database does: a type is one of a few words, and a composite foreign key is a list of pairs.
Pairs in a row from one table to another, no column twice, are therefore read as one key. Spider's file also names only
one column of a composite primary key; BIRD's names them all, as a list inside the list.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from graph.schema import Column, ForeignKey, Schema, SchemaError, Table, fold


def entries(path: Path) -> dict[str, Entry]:
    """db_id -> its entry. SchemaError: no such file, not JSON, or not a list of databases."""
    try:
        content = json.loads(path.read_bytes())  # which knows byte-order marks
    except (OSError, ValueError, RecursionError) as error:
        raise SchemaError(f"{path} must be a tables.json file of Spider or BIRD: {error}") from error
    if not isinstance(content, list):
        raise SchemaError(f"{path} must hold a JSON list of databases, got {_shown(content)}; is it another file?")
    found = {}
    for number, entry in enumerate(content):
        if not isinstance(entry, dict) or not isinstance(entry.get("db_id"), str):
            raise SchemaError(f"{path}, entry {number}, must be an object with a text db_id, got {_shown(entry)}")
        found[entry["db_id"]] = Entry(entry, f"{path}, db_id {entry['db_id']!r}")
    return found


class Entry:
    """A database of the file: its tables, columns as (place of the table or -1, name), and keys as pairs of columns.

    SchemaError, with the place, where a field does not hold.
    """

    def __init__(self, entry: dict[str, Any], place: str) -> None:
        self._entry, self._place = entry, place

    @cached_property
    def tables(self) -> list[str]:
        return [self._name(value) for value in self._list("table_names_original")]

    @cached_property
    def columns(self) -> list[tuple[int, str]]:
        return [self._column(value) for value in self._list("column_names_original")]

    @cached_property
    def key_pairs(self) -> list[tuple[int, int]]:
        return [self._pair(value) for value in self._list("foreign_keys")]

    def schema(self) -> Schema:
        """Types are the file's words in upper case ("NUMBER", "TEXT", "TIME"); SQLite's own tables are left out."""
        tables = tuple(self._tables())
        if not tables:
            raise SchemaError(f"{self._place}: the database has no tables; leave it out of the file")
        return Schema(self._entry["db_id"], tables, tuple(dict.fromkeys(self._foreign_keys())))

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
        for child, parent in self.key_pairs:
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
        value = self._entry.get(field)
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

    def _pair(self, value: object) -> tuple[int, int]:
        if not isinstance(value, list) or len(value) != 2:
            self._must("foreign_keys", "hold pairs of column numbers", value)
        child, parent = (self._index("foreign_keys", number) for number in value)
        return child, parent

    def _index(self, field: str, number: object) -> int:
        """A column's number; the first column of the file is "*", which no key may name."""
        if type(number) is int and 0 < number < len(self.columns) and self.columns[number][0] >= 0:
            return number
        self._must(field, f"name columns from 1 to {len(self.columns) - 1}", number)

    def _must(self, field: str, rule: str, given: object) -> NoReturn:
        raise SchemaError(f"{self._place}: {field} must {rule}, got {_shown(given)}; mend the file or take it afresh")


def _internal(table: str) -> bool:
    return fold(table).startswith("sqlite_")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
