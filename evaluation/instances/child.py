"""The child process of `folder.py`: reads a database and writes instances of it. Run by path with `python -I -S`.

The user's file is opened as every file is (`graph.database`). An instance is built from its CREATE statements, so that
types, constraints and collations are those of the file; triggers come last and change nothing.
"""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from evaluation.instances.contents import Contents, Link, Places, Row, Table, reference  # noqa: E402
from evaluation.instances.kinds import changed  # noqa: E402
from graph.confined import Settings, end_after, serve  # noqa: E402
from graph.database import DatabaseError, open_database, quoted, shadow_tables  # noqa: E402
from graph.guard import Clock  # noqa: E402

Declared = tuple[str, str, int, str]  # type, name, root page, SQL


def work(request: dict[str, Any], settings: Settings, answer: Callable[[Any], None]) -> None:
    """{"source", "targets": [(path, kind, seed)], "joins", "near"} -> per target (rows written, of the source, "")."""
    clock = Clock(settings["deadline_s"])
    end_after(settings["deadline_s"] + 1, settings["wall_s"])
    try:
        connection, known = open_database(request["source"], clock)
        with closing(connection):
            source = Source(connection, settings["most_rows"], request["joins"], dict(request["near"]))
        for path, kind, seed in request["targets"]:
            rows = write(source, Path(path), kind, random.Random(seed), clock)
            answer((rows, source.total, ""))
    except (DatabaseError, sqlite3.Error, MemoryError, ValueError, OSError) as error:
        late = "it takes too long" if clock.expired else "it takes too much memory" * isinstance(error, MemoryError)
        answer((0, 0, late or str(error)[:300]))


class Source:
    """What is read of a file: its statements, and its rows, or a sample of them with what they refer to."""

    def __init__(self, connection: sqlite3.Connection, most: int, joins: Sequence[Any], near: dict[str, Any]) -> None:
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        self._connection = connection
        (self.encoding,) = connection.execute("PRAGMA encoding").fetchone()
        found = connection.execute(
            "SELECT type, name, rootpage, sql FROM sqlite_master WHERE sql NOT NULL ORDER BY rowid"
        ).fetchall()
        hidden = shadow_tables(connection) if any(kind == "table" and not page for kind, _, page, _ in found) else set()
        self.declared: list[Declared] = [
            row for row in found if row[1] not in hidden and not row[1].lower().startswith("sqlite_")
        ]
        self.names = {row[1].lower(): row[1] for row in self.declared if row[0] == "table" and row[2]}
        self.columns = {low: self._columns(name) for low, name in self.names.items()}
        self.virtual = {row[1]: self._virtual_rows(row[1]) for row in self.declared if row[0] == "table" and not row[2]}
        unique = {low: self._unique(low) for low in self.names}
        links = [link for low in self.names for link in self._links(low)]
        order = parents_first(list(self.names), links)
        rows, self.total = self._rows(order, links, most)
        tables = {low: Table(tuple(c.lower() for c in self.columns[low]), unique[low], rows[low]) for low in order}
        said = [link for join in joins if (link := joined(tables, join))]
        links += [link for link in said if link not in links and link.turned not in links]
        order = parents_first(order, links)
        self.contents = Contents({low: tables[low] for low in order}, tuple(links), near)

    def _columns(self, name: str) -> list[str]:
        query = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid"
        return [column for (column,) in self._connection.execute(query, (name,))]

    def _virtual_rows(self, name: str) -> tuple[list[str], list[Row]]:
        columns = self._columns(name)
        with suppress(sqlite3.Error):
            return columns, self._connection.execute(f"SELECT rowid, {listed(columns)} FROM {quoted(name)}").fetchall()
        return columns, []

    def _places(self, low: str, names: Sequence[Any]) -> Places:
        """() when one is none of the columns that can be written."""
        known = {column.lower(): place for place, column in enumerate(self.columns[low])}
        found = [known.get(str(name).lower(), -1) for name in names]
        return tuple(found) if -1 not in found else ()

    def _unique(self, low: str) -> tuple[Places, ...]:
        execute, name = self._connection.execute, self.names[low]
        keys = [execute("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (name,)).fetchall()]
        for (index,) in execute('SELECT name FROM pragma_index_list(?) WHERE "unique"', (name,)).fetchall():
            keys.append(execute("SELECT name FROM pragma_index_info(?) ORDER BY seqno", (index,)).fetchall())
        return tuple(dict.fromkeys(p for key in keys if (p := self._places(low, [column for (column,) in key]))))

    def _links(self, low: str) -> Iterator[Link]:
        query = 'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id DESC, seq'
        keys: dict[int, list[Any]] = {}
        for number, *rest in self._connection.execute(query, (self.names[low],)):
            keys.setdefault(number, []).append(rest)
        for parts in keys.values():
            parent = parts[0][0].lower()
            if parent not in self.names:
                continue
            columns = self._places(low, [part[1] for part in parts])
            primary = self._unique(parent)[:1]
            targets = primary[0] if parts[0][2] is None and primary else self._places(parent, [p[2] for p in parts])
            if columns and len(columns) == len(targets):
                yield Link(low, columns, parent, targets)

    def _rows(self, order: list[str], links: list[Link], most: int) -> tuple[dict[str, list[Row]], int]:
        """All rows, or where there are too many, an even share of each table and what these rows refer to."""
        counts = {low: self._connection.execute(f"SELECT count(*) FROM {self._of(low)}").fetchone()[0] for low in order}
        total = sum(counts.values())
        share = {low: count if total <= most else -(-most // len(order)) for low, count in counts.items()}
        found: dict[str, list[Row]] = {}
        for low in order:
            step = max(1, counts[low] // max(1, share[low]))
            rows = self._select(low, f"LIMIT {counts[low]}" if step == 1 else f"LIMIT {share[low]}", step)
            found[low] = rows
        grown = total > most
        while grown:
            fetched = [(link.parent, row) for link in links for row in self._referred(link, found)]
            for low, row in dict.fromkeys(fetched):
                found[low].append(row)
            grown = bool(fetched)
        return found, total

    def _referred(self, link: Link, found: dict[str, list[Row]]) -> list[Row]:
        """Rows of the parent that are referred to and not there yet."""
        if len(link.columns) > 1:
            return []
        held = {row[link.parent_columns[0]] for row in found[link.parent]}
        wanted = sorted({row[link.columns[0]] for row in found[link.child]} - held - {None}, key=repr)
        columns, rows = self.columns[link.parent], list[Row]()
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            where = f"{quoted(columns[link.parent_columns[0]])} IN ({marks(len(part))})"
            query = f"SELECT {listed(columns)} FROM {self._of(link.parent)} WHERE {where}"
            rows += (row for row in self._connection.execute(query, part) if row[link.parent_columns[0]] not in held)
        return rows

    def _select(self, low: str, end: str, step: int) -> list[Row]:
        where = ""
        if step > 1:
            with suppress(sqlite3.Error):  # a table without rowids gives its first rows
                self._connection.execute(f"SELECT rowid FROM {self._of(low)} LIMIT 1")
                where = f"WHERE rowid % {step} = 0"
        query = f"SELECT {listed(self.columns[low])} FROM {self._of(low)} {where} {end}"
        return self._connection.execute(query).fetchall()

    def _of(self, low: str) -> str:
        return quoted(self.names[low])


def joined(tables: dict[str, Table], join: Any) -> Link | None:
    """What golds join is a reference where one side holds nothing but values of the other, which are unique there."""
    for (child, column), (parent, other) in (join, tuple(reversed(join))):
        if child not in tables or parent not in tables or column not in tables[child].columns:
            continue
        if other not in tables[parent].columns:
            continue
        places = (tables[child].columns.index(column),), (tables[parent].columns.index(other),)
        unique = places[1] in tables[parent].unique or places[1][0] in tables[parent].distinct
        values, known = (
            {reference(cells, (0,)) for cells in tables[name].values(at)}
            for name, at in zip((child, parent), places, strict=True)
        )
        if unique and values and values <= known:
            return Link(child, places[0], parent, places[1])
    return None


def parents_first(names: list[str], links: Sequence[Link]) -> list[str]:
    """Of tables that refer to each other in a circle, the first declared is the first."""
    waiting, order = list(names), list[str]()
    while waiting:
        held = {link.child for link in links if link.parent in waiting and link.parent != link.child}
        chosen = next((name for name in waiting if name not in held), waiting[0])
        waiting.remove(chosen)
        order.append(chosen)
    return order


def write(source: Source, path: Path, kind: str, rng: random.Random, stop: Callable[[], bool]) -> int:
    """Number of rows of the instance."""
    kept, after = changed(source.contents, kind, rng)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.set_progress_handler(stop, 4000)
        connection.execute(f"PRAGMA encoding = '{source.encoding}'")
        connection.executescript("PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; PRAGMA foreign_keys=OFF")
        connection.executescript("PRAGMA trusted_schema=1; BEGIN")
        create(connection, source.declared, "table")
        for low, table in after.tables.items():
            fill(connection, source, low, kept.tables[low].rows, table.rows)
        drop_orphans(connection, source, after)
        for name, (columns, rows) in source.virtual.items():
            fill_virtual(connection, name, columns, rows)
        for wanted in ("index", "view", "trigger"):
            create(connection, source.declared, wanted)
        connection.execute("COMMIT")
        tables = map(quoted, (source.names[low] for low in after.tables))
        return sum(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)


def create(connection: sqlite3.Connection, declared: Sequence[Declared], wanted: str) -> None:
    for kind, _, _, sql in declared:
        if kind == wanted:
            with suppress(*((sqlite3.OperationalError,) if kind in ("view", "trigger") else ())):
                connection.execute(sql)


def fill(connection: sqlite3.Connection, source: Source, low: str, before: Sequence[Row], after: Sequence[Row]) -> None:
    """Rows that a constraint refuses give way to those that stood there before; new ones are left out."""
    insert = f"INSERT INTO {quoted(source.names[low])} ({listed(source.columns[low])}) VALUES "
    connection.execute("SAVEPOINT filling")
    try:
        put_all(connection, insert, after)
        return
    except sqlite3.IntegrityError:
        connection.execute("ROLLBACK TO filling")
    try:
        for place, row in enumerate(after):
            put(connection, insert, row, before[place] if place < len(before) else None)
    except sqlite3.IntegrityError:
        connection.execute("ROLLBACK TO filling")
        put_all(connection, insert, before)


def put_all(connection: sqlite3.Connection, insert: str, rows: Sequence[Row]) -> None:
    """Text that is not UTF-8 goes in as the bytes that it was."""
    if not rows:
        return
    try:
        connection.execute("SAVEPOINT putting")
        connection.executemany(f"{insert}({marks(len(rows[0]))})", rows)
    except UnicodeEncodeError:
        connection.execute("ROLLBACK TO putting")
        for row in rows:
            bad = [isinstance(cell, str) and is_torn(cell) for cell in row]
            values = ", ".join("CAST(? AS TEXT)" if cast else "?" for cast in bad)
            cells = [c.encode("utf-8", "surrogateescape") if cast else c for c, cast in zip(row, bad, strict=True)]
            connection.execute(f"{insert}({values})", cells)


def put(connection: sqlite3.Connection, insert: str, row: Row, old: Row | None) -> None:
    try:
        put_all(connection, insert, [row])
    except sqlite3.IntegrityError:
        if old is not None:
            put_all(connection, insert, [old])


def is_torn(text: str) -> bool:
    """Whether it holds the escapes of bytes that are not UTF-8."""
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def drop_orphans(connection: sqlite3.Connection, source: Source, after: Contents) -> None:
    """New rows may have been refused by a constraint: then those that refer to them go as well."""
    for link in after.links * 2:
        known = source.contents.tables[link.parent].values(link.parent_columns)
        made = after.tables[link.parent].values(link.parent_columns) - known
        child, parent = (quoted(source.names[low]) for low in (link.child, link.parent))
        if not made or len(link.columns) > 1:
            continue
        column = quoted(source.columns[link.child][link.columns[0]])
        other = quoted(source.columns[link.parent][link.parent_columns[0]])
        there = {cells[0] for cells in connection.execute(f"SELECT {other} FROM {parent}")}
        missing = sorted((value for (value,) in made if value not in there), key=repr)
        for start in range(0, len(missing), 500):
            part = missing[start : start + 500]
            connection.execute(f"DELETE FROM {child} WHERE {column} IN ({marks(len(part))})", part)


def fill_virtual(connection: sqlite3.Connection, name: str, columns: list[str], rows: list[Row]) -> None:
    """The rows that it had, or for an index over another table's rows, those of that table."""
    with suppress(sqlite3.Error, UnicodeEncodeError):
        sql = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0].lower()
        if "content=" in sql.replace(" ", ""):
            connection.execute(f"INSERT INTO {quoted(name)}({quoted(name)}) VALUES ('rebuild')")
        elif rows:
            targets = f"rowid, {listed(columns)}"
            connection.executemany(f"INSERT INTO {quoted(name)}({targets}) VALUES ({marks(len(rows[0]))})", rows)


def listed(columns: Sequence[str]) -> str:
    return ", ".join(map(quoted, columns))


def marks(count: int) -> str:
    return ", ".join("?" * count)


if __name__ == "__main__":
    serve(work)
