"""The child process of `sandbox.py`: batches of (database path, SQL) in, one answer per statement out.

Run by path with `python -I -S`; see `graph.confined`.
"""

from __future__ import annotations

import marshal
import sqlite3
import struct
import sys
from collections.abc import Callable
from contextlib import closing
from itertools import islice, repeat
from pathlib import Path
from time import monotonic
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from evaluation.databases.effort import measure  # noqa: E402
from graph.confined import Settings, end_after, serve  # noqa: E402
from graph.database import PROGRESS_OPS, DatabaseError, Identity, open_database, whole  # noqa: E402
from graph.guard import Clock, Guard  # noqa: E402

EXPLAIN_COLUMNS = (("addr", "opcode", "p1"), ("id", "parent", "notused"))


def work(batch: list[tuple[str, str]], limits: Settings, answer: Callable[[Any], None]) -> None:
    seen: dict[str, Identity] = {}
    for path, sql in batch:
        answer(run(path, sql, limits, seen))


def run(path: str, sql: str, limits: Settings, seen: dict[str, Identity]) -> tuple[Any, ...]:
    """(status, columns, marshalled rows, truncated, tables read, volatile, error, seconds, effort) of one statement.

    seen: the files of this batch that were looked at; one that changes meanwhile may be read in part.
    """
    started = monotonic()
    clock, guard = Clock(limits["open_s"]), Guard(())
    columns: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    rows, truncated, effort, seconds = b"", False, (0, 0), 0.0
    try:
        end_after(limits["open_s"] + limits["grace_s"], limits["wall_s"])
        if path not in seen:
            seen[path] = whole(path)
        connection, known = open_database(path, clock, seen[path])
        with closing(connection):
            end_after(limits["deadline_s"] + limits["grace_s"], limits["wall_s"])
            clock, guard = Clock(limits["deadline_s"]), Guard(known.names)
            watch(connection, guard, clock, limits)
            columns, rows, truncated = fetch(connection, sql, limits, clock)
            looks, tables = clock.looks, tables_read(guard, connection, sql, columns, known.tables)
            seconds = monotonic() - started
            if limits["effort"] and tables:
                effort = measure(connection, sql, clock, looks)
        if guard.made_rows and not tables and columns[:3] not in EXPLAIN_COLUMNS:
            raise Refused(f"not allowed: {guard.made_rows} over constants alone, without a table of the database")
        status, error = "ok", ""
    except BaseException as failure:
        columns, rows, truncated, tables, effort = (), b"", False, (), (0, 0)
        status, error = describe(failure, guard, clock, limits)
    return status, columns, rows, truncated, tables, guard.volatile, error, seconds or monotonic() - started, effort


def watch(connection: sqlite3.Connection, guard: Guard, clock: Clock, limits: Settings) -> None:
    for category, value in limits["sqlite_limits"]:
        connection.setlimit(category, value)
    connection.set_authorizer(guard.authorize)
    connection.set_progress_handler(clock, PROGRESS_OPS)


class TooLarge(Exception):
    """More rows or bytes than the limits allow."""


class Refused(Exception):
    """A statement that SQLite would run."""


def fetch(
    connection: sqlite3.Connection, sql: str, limits: Settings, clock: Clock
) -> tuple[tuple[str, ...], bytes, bool]:
    """Column names, marshalled rows, whether there are more; text that is not UTF-8 is read as surrogate escapes."""
    try:
        return fetch_rows(connection.execute(sql), limits)
    except sqlite3.OperationalError as error:
        if "Could not decode to UTF-8" not in str(error):
            raise
    # A text factory in Python costs a call per cell, so only the statements that need it pay.
    connection.text_factory = lambda cell: cell.decode("utf-8", "surrogateescape")
    clock.looks = 0
    return fetch_rows(connection.execute(sql), limits)


def fetch_rows(cursor: sqlite3.Cursor, limits: Settings) -> tuple[tuple[str, ...], bytes, bool]:
    """Each row is marshalled and counted as it comes, so that no more than one is held beyond the limit."""
    columns = tuple(column[0] for column in cursor.description or ())
    room, cells = limits["max_bytes"], 8 * len(columns)
    rows: list[bytes] = []
    for row in map(marshal.dumps, islice(cursor, limits["max_rows"] + 1), repeat(2)):
        rows.append(row)
        room -= len(row) + cells
        if room < 0:
            break
    over = room < 0 or len(rows) > limits["max_rows"]
    if over and not limits["cut"]:
        raise TooLarge(f"the result has more than {limits['max_rows']} rows or {limits['max_bytes']} bytes")
    rows = rows[:-1] if over else rows
    # A marshalled tuple is its length and its items one after another.
    return columns, b"".join((b"(", struct.pack("<i", len(rows)), *rows)), over


def tables_read(
    guard: Guard, connection: sqlite3.Connection, sql: str, columns: tuple[str, ...], known: dict[str, str]
) -> tuple[str, ...]:
    """Base tables that the statement reads, as declared, sorted; () for EXPLAIN.

    A read that names no column, as in `count(*)`, carries the name as written, which a CTE may have taken: then the
    compiled program tells which tables it opens.
    """
    if columns[:3] in EXPLAIN_COLUMNS:
        return ()
    sure = {known[table.lower()] for table, named in guard.reads if named and table.lower() in known}
    unsure = {known[table.lower()] for table, named in guard.reads if not named and table.lower() in known} - sure
    if unsure and "with" in sql.lower():
        unsure &= opened_tables(connection, sql)
    return tuple(sorted(sure | unsure))


def opened_tables(connection: sqlite3.Connection, sql: str) -> set[str]:
    connection.set_authorizer(None)
    roots = dict(connection.execute("SELECT rootpage, tbl_name FROM sqlite_master WHERE rootpage > 0").fetchall())
    program = connection.execute("EXPLAIN " + sql).fetchall()
    return {roots[step[3]] for step in program if step[1] == "OpenRead" and step[3] in roots}


def describe(failure: BaseException, guard: Guard, clock: Clock, limits: Settings) -> tuple[str, str]:
    """Status and message of a failed statement."""
    message = str(failure) or type(failure).__name__
    if isinstance(failure, DatabaseError):
        return "error", message[:500]
    if clock.expired:
        return "timeout", f"ran longer than the deadline of {limits['deadline_s']} s"
    if isinstance(failure, Refused):
        return "refused", message
    if guard.denied:
        return "refused", f"not allowed: {guard.denied}"
    if "one statement at a time" in message:
        return "refused", "more than one statement"
    if isinstance(failure, MemoryError):
        return "too_large", f"needs more than {limits['heap_bytes']} bytes of memory, or too long a program"
    if isinstance(failure, TooLarge) or (isinstance(failure, sqlite3.DataError) and "too big" in message):
        return "too_large", message
    return "error", message[:500]


if __name__ == "__main__":
    serve(work)
