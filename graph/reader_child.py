"""The child process of `graph.reader`: describes SQLite files and samples their cells.

Run by path with `python -I -S`; see `graph.confined`.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from graph.confined import Settings, end_after, serve  # noqa: E402
from graph.database import DatabaseError, open_database, quoted, shadow_tables  # noqa: E402
from graph.guard import Clock, Guard  # noqa: E402

TableRow = tuple[int, str, str, list[tuple[str, str, int]], list[tuple[Any, ...]]]
_NAME = "(SELECT name FROM sqlite_master WHERE rowid = ?)"
_STEPS_PER_CHECK, _VDBE_OP = 5000, 5
_CREATE = re.compile(r"\bCREATE\s+TABLE\b(?=[^(;]*\()", re.IGNORECASE)
_NO_COLUMN = re.compile(
    r"(PRIMARY|FOREIGN|UNIQUE|FULLTEXT|SPATIAL|CONSTRAINT|CHECK|KEY|INDEX)\b(?!\s+(?:INT|CHAR|VARCHAR|TEXT))",
    re.IGNORECASE,
)
_KEY = re.compile(r"PRIMARY\s+KEY\s*\([^)]*\)|FOREIGN\s+KEY\s*\([^)]*\)\s*REFERENCES\s+\S+?\s*\([^)]*\)", re.IGNORECASE)
_COLUMN = re.compile(r"""(?:`[^`]*`|"[^"]*"|\[[^\]]*\]|[\w$]+)(?:\s+\w+(?:\s*\(\s*\d+(?:\s*,\s*\d+)?\s*\))?)?""")
_BRACKETS = re.compile(r"""'(?:''|[^'])*'|"[^"]*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/|[()]""", re.DOTALL)


def work(request: tuple[str, str, Any], settings: Settings, answer: Callable[[Any], None]) -> None:
    """(kind, path, argument) -> for "check" None, for "tables" a list, for "cells" a frame per column, for "faults"
    a text for each of several CREATE TABLE statements, why they declare no table or ""; or an error.

    "declared" is as "tables", of the CREATE TABLE statements that are its argument.

    An answer is (value, ""), or (None, why the file cannot be read).
    """
    kind, path, argument = request
    clock = Clock(settings["deadline_s"])
    end_after(settings["deadline_s"] + settings["grace_s"], settings["wall_s"])
    try:
        if kind in ("declared", "faults"):
            with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
                connection.set_progress_handler(clock, _STEPS_PER_CHECK)
                if kind == "faults":
                    answer(([fault(connection, text) for text in argument], ""))
                    return
                declare(connection, argument)
                answer((list(tables(connection, frozenset(), settings)), ""))
            return
        connection, known = open_database(path, clock)
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        with closing(connection):
            if kind == "check":
                answer((None, ""))
            elif kind == "tables":
                answer((list(tables(connection, known.names, settings)), ""))
            else:
                connection.set_authorizer(Guard(known.names).authorize)
                for cells in sampled(connection, clock, settings, *argument):
                    answer((cells, ""))
    except (DatabaseError, sqlite3.Error, MemoryError) as error:
        late = "reading it takes too long" if clock.expired and not isinstance(error, DatabaseError) else ""
        short = "reading it takes too much memory" if isinstance(error, MemoryError) else ""
        answer((None, late or short or str(error)))


def declare(connection: sqlite3.Connection, text: str) -> None:
    """Makes the tables that the text declares in an empty database; what else it says is passed over."""
    why: object = "it has none"
    for statement in create_statements(text):
        for form in (statement, bare_columns(statement)):  # the second for what MySQL and others add
            try:
                connection.execute(form)
                break
            except sqlite3.DatabaseError as error:
                why = error
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise DatabaseError(f"it must hold a CREATE TABLE statement that is valid for SQLite: {why}")


def fault(connection: sqlite3.Connection, text: str) -> str:
    """Why the text declares no table, "" where it does; the database is empty again."""
    connection.execute("BEGIN")
    try:
        declare(connection, text)
    except DatabaseError as error:
        return str(error)
    finally:
        connection.execute("ROLLBACK")
    return ""


def create_statements(text: str) -> Iterator[str]:
    """Each CREATE TABLE up to the bracket that closes it, so neither options behind it nor a query inside counts."""
    end = 0
    for start in _CREATE.finditer(text):
        depth = 0
        for token in _BRACKETS.finditer(text, start.end()) if start.start() >= end else ():
            depth += {"(": 1, ")": -1}.get(token.group(), 0)
            if depth <= 0 and token.group() in "()":
                end = token.end()
                yield text[start.start() : end]
                break


def bare_columns(statement: str) -> str:
    """The CREATE TABLE with names, types and keys alone: no defaults, comments, indexes or other dialects' words."""
    head, _, body = statement.partition("(")
    parts, depth, start = list[str](), 0, 0
    for token in re.finditer(f"{_BRACKETS.pattern}|,", body, re.DOTALL):
        depth += {"(": 1, ")": -1}.get(token.group(), 0)
        if (token.group() == "," and depth == 0) or depth < 0:
            parts.append(body[start : token.start()].strip())
            start = token.end()
    kept = [found.group() for part in parts if (found := _KEY.match(part))]
    columns = [column for part in parts if not _NO_COLUMN.match(part) and (column := _column(part))]
    return f"{head}({', '.join(columns + kept)})"


def _column(part: str) -> str:
    found = _COLUMN.match(part)
    if found is None:
        return ""
    return found.group() + " PRIMARY KEY" * bool(re.search(r"\bPRIMARY\s+KEY\b", part, re.IGNORECASE))


def tables(connection: sqlite3.Connection, names: frozenset[str], settings: Settings) -> Iterator[TableRow]:
    """(rowid in sqlite_master, name, type, columns, foreign keys) of what a statement can query, as declared.

    A table is asked for again by its rowid, since its name may not be UTF-8. Rows are those of SQLite's pragmas.
    """
    found = connection.execute(
        "SELECT rowid, name, type, rootpage FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY rowid"
    ).fetchall()
    connection.setlimit(_VDBE_OP, settings["most_steps_compiled"])
    hidden = shadow_tables(connection) if any(kind == "table" and not page for _, _, kind, page in found) else set()
    bounds = Bounds(settings)
    for rowid, name, kind, _ in found:
        if name.lower().startswith("sqlite_") or name in hidden:
            continue
        rows = described(connection, rowid)
        if not rows or not can_be_queried(connection, name, kind, names):
            continue
        bounds.take([name, *(text for column, type_, _ in rows for text in (column, type_))], len(rows))
        keys = f'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list({_NAME}) ORDER BY id DESC, seq'
        yield rowid, name, kind, rows, connection.execute(keys, (rowid,)).fetchall()


class Bounds:
    """What one schema may hold, so that whoever writes it out needs seconds."""

    def __init__(self, settings: Settings) -> None:
        self._left = {what: settings[f"most_{what}"] for what in ("tables", "columns", "characters")}
        self._settings = settings

    def take(self, texts: list[str], columns: int) -> None:
        """DatabaseError when one more table, with these names and types, is too much."""
        if max(map(len, texts)) > self._settings["longest_name"]:
            raise DatabaseError(f"it has a name or type of more than {self._settings['longest_name']} characters")
        for what, count in (("tables", 1), ("columns", columns), ("characters", sum(map(len, texts)))):
            self._left[what] -= count
            if self._left[what] < 0:
                inside = " in its names" * (what == "characters")
                raise DatabaseError(f"it has more than {self._settings[f'most_{what}']} {what}{inside}; no schema may")


def described(connection: sqlite3.Connection, rowid: int) -> list[tuple[str, str, int]]:
    """(name, type, place in the primary key); [] for a view over what is gone, or a module that is not there."""
    query = f"SELECT name, type, pk FROM pragma_table_xinfo({_NAME}) WHERE hidden <> 1 ORDER BY cid"
    try:
        return connection.execute(query, (rowid,)).fetchall()
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            raise
        return []


def can_be_queried(connection: sqlite3.Connection, name: str, kind: str, names: frozenset[str]) -> bool:
    """Whether a query of it compiles under the rules that statements run under, and a table's pages can be read.

    A view is not run: it may take for ever. A name that is not UTF-8 cannot be written; then it is taken as readable.
    """
    if "\ufffd" in name:
        return True
    connection.set_authorizer(Guard(names).authorize)
    try:
        if kind == "view":
            connection.execute(f"EXPLAIN SELECT * FROM {quoted(name)}").close()
        else:
            connection.execute(f"SELECT 1 FROM {quoted(name)} LIMIT 1").fetchone()
        return True
    except (sqlite3.DatabaseError, MemoryError, ValueError) as error:
        if "interrupted" in str(error):
            raise
        return False
    finally:
        connection.set_authorizer(None)


def sampled(
    connection: sqlite3.Connection, clock: Clock, settings: Settings, ends: list[tuple[str, str]], per_column: int
) -> Iterator[list[str]]:
    """Distinct cells of each column in turn, as text.

    Steps are counted, not timed, so that the sample is the same on every machine; what a column leaves of its share
    goes to those behind it. The clock is there for cells of megabytes.
    """
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, settings["longest_cell"])
    steps, characters = settings["steps"], settings["characters"]
    for number, (table, column) in enumerate(ends):
        share = min(settings["steps_per_column"], steps // (len(ends) - number))
        meter = Meter(share, clock)
        connection.set_progress_handler(meter, _STEPS_PER_CHECK)
        room = characters // (len(ends) - number)
        cells = list(column_cells(connection, table, column, per_column, room))
        steps -= meter.taken
        characters -= sum(map(len, cells))
        yield cells


class Meter:
    """A progress handler that stops a query once it has taken its steps, or the database its time."""

    def __init__(self, steps: int, clock: Clock) -> None:
        self._steps, self._clock, self.taken = steps, clock, 0

    def __call__(self) -> bool:
        self.taken += _STEPS_PER_CHECK
        return self.taken > self._steps or self._clock()


def column_cells(connection: sqlite3.Connection, table: str, column: str, limit: int, room: int) -> Iterator[str]:
    # Qualified, since SQLite takes a quoted name that it does not know for a text.
    query = f"""
        SELECT DISTINCT CASE typeof(cell) WHEN 'text' THEN substr(cell, 1, 200) ELSE cell END
        FROM (SELECT t.{quoted(column)} AS cell FROM {quoted(table)} AS t LIMIT 100000)
        WHERE typeof(cell) NOT IN ('null', 'blob') LIMIT {limit}
    """
    try:
        for (value,) in connection.execute(query):
            text = str(value)
            room -= len(text)
            if room < 0:
                return
            yield text
    except (sqlite3.Error, ValueError, MemoryError):  # ValueError: a name with NUL or half a surrogate pair
        return


if __name__ == "__main__":
    serve(work)
