"""The child process of `evaluation.sandbox`: reads batches of statements on stdin, writes one answer per statement.

Run by path with `python -I -S`, so it imports only light parts of the standard library and nothing of this project.
A frame is a length (4 bytes, little endian) and a marshalled value: first the limits as a dict, answered by "ready";
then lists of (database path, SQL), each answered by one frame per statement, in order.
"""

from __future__ import annotations

import gc
import marshal
import os
import resource
import signal
import sqlite3
import struct
import sys
from pathlib import Path
from time import monotonic, thread_time
from typing import Any, BinaryIO

READ, SELECT, FUNCTION, RECURSIVE = 20, 21, 31, 33  # authorizer actions, sqlite3.h
ALLOWED = frozenset((READ, SELECT, FUNCTION, RECURSIVE))
ACTION_NAMES = {9: "delete from", 18: "insert into", 19: "pragma", 22: "transaction", 23: "update", 24: "attach"}
NOT_A_QUERY = "a statement that does not only read: "
# fts3_tokenizer registers a pointer taken from the statement; blobs serve only to fill memory; the rest reach files.
DENIED_FUNCTIONS = frozenset(
    ["load_extension", "fts3_tokenizer", "writefile", "readfile", "edit", "zeroblob", "randomblob"]
)
VOLATILE_FUNCTIONS = frozenset(
    ["random", "randomblob", "current_date", "current_time", "current_timestamp", "date", "time", "datetime"]
    + ["julianday", "unixepoch", "strftime", "timediff"]
)
PROGRESS_OPS = 4000  # virtual machine steps between two looks at the clock: costs under 3 %
STOP_AT = 0.99  # of the deadline, so that the answer is there by the deadline itself
EXPLAIN_COLUMNS = (("addr", "opcode", "p1"), ("id", "parent", "notused"))

_uris: dict[str, str] = {}
_base_tables: dict[tuple[Any, ...], dict[str, str]] = {}


def main() -> None:
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    limits = read_frame(stdin)
    restrict_process(limits)
    write_frame(stdout, "ready")
    while (batch := read_frame(stdin)) is not None:
        for path, sql in batch:
            signal.setitimer(signal.ITIMER_PROF, limits["deadline_s"] + limits["grace_s"])  # SIGPROF ends the process
            signal.setitimer(signal.ITIMER_REAL, limits["wall_s"])  # and so does SIGALRM
            write_frame(stdout, run(path, sql, limits))
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.collect()


def restrict_process(limits: dict[str, Any]) -> None:
    """No more memory, file, process or core than one query needs; the heap limit holds for every connection."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    gc.disable()  # rows are plain tuples; cycles are collected after each batch
    for name, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 32),
        (resource.RLIMIT_AS, limits["memory_bytes"]),
    ):
        resource.setrlimit(name, (value, value))
    connection = sqlite3.connect(":memory:")
    connection.execute(f"PRAGMA hard_heap_limit={limits['heap_bytes']}")
    connection.close()


def run(path: str, sql: str, limits: dict[str, Any]) -> tuple[Any, ...]:
    """(status, columns, marshalled chunks of rows, tables read, volatile, error, seconds) of one statement."""
    started = monotonic()
    guard = Guard(limits["deadline_s"])
    columns: tuple[str, ...] = ()
    chunks: list[bytes] = []
    tables: tuple[str, ...] = ()
    try:
        columns, chunks, tables = query(path, sql, limits, guard)
        status, error = "ok", ""
    except BaseException as failure:
        status, error = describe(failure, guard, limits)
    return status, columns, chunks, tables, guard.volatile, error, monotonic() - started


def query(
    path: str, sql: str, limits: dict[str, Any], guard: Guard
) -> tuple[tuple[str, ...], list[bytes], tuple[str, ...]]:
    """Column names, marshalled chunks of rows and base tables read, over a connection of its own."""
    connection = connect(path, limits)
    try:
        known = base_tables(path, connection)
        guard.watch(connection)
        columns, chunks = fetch(connection, sql, limits, guard)
        return columns, chunks, tables_read(guard, connection, sql, columns, known)
    finally:
        connection.close()


def connect(path: str, limits: dict[str, Any]) -> sqlite3.Connection:
    """A read-only, immutable connection; as_uri quotes ? and #, which would otherwise name another file."""
    if path not in _uris:
        _uris[path] = Path(path).absolute().as_uri() + "?mode=ro&immutable=1"
    if os.path.exists(path + "-wal") and os.path.getsize(path + "-wal"):
        raise sqlite3.OperationalError("database has rows in a write-ahead log; checkpoint it before it is read")
    connection = sqlite3.connect(_uris[path], uri=True, isolation_level=None, cached_statements=0)
    for pragma in ("temp_store=2", "query_only=1", "trusted_schema=0", "cell_size_check=1"):
        connection.execute(f"PRAGMA {pragma}")
    for category, value in limits["sqlite_limits"]:
        connection.setlimit(category, value)
    return connection


class TooLarge(Exception):
    """More rows or bytes than the limits allow."""


class Guard:
    """Authorizer and clock of one statement, and what they saw.

    The deadline is of time on the processor, so that a verdict does not hang on what else the machine does.
    """

    def __init__(self, deadline_s: float) -> None:
        self.ends_at = thread_time() + STOP_AT * deadline_s
        self.reads: set[tuple[str, bool]] = set()  # (table, whether a column of it is named)
        self.denied = ""
        self.volatile = False
        self.expired = False

    def watch(self, connection: sqlite3.Connection) -> None:
        connection.set_authorizer(self.authorize)
        connection.set_progress_handler(self.out_of_time, PROGRESS_OPS)

    def authorize(self, action: int, first: str | None, second: str | None, _db: str | None, _via: str | None) -> int:
        if action == READ:
            self.reads.add((first or "", bool(second)))
        elif action == FUNCTION:
            name = (second or "").lower()
            self.volatile = self.volatile or name in VOLATILE_FUNCTIONS
            if name in DENIED_FUNCTIONS or name.startswith("sqlite_"):
                return self.deny(f"the function {name}")
        elif action not in ALLOWED:
            return self.deny(f"{NOT_A_QUERY}{ACTION_NAMES.get(action, action)} {first or ''}".strip())
        return sqlite3.SQLITE_OK

    def deny(self, what: str) -> int:
        self.denied = self.denied or what
        return sqlite3.SQLITE_DENY

    def out_of_time(self) -> bool:
        self.expired = thread_time() > self.ends_at
        return self.expired


def fetch(
    connection: sqlite3.Connection, sql: str, limits: dict[str, Any], guard: Guard
) -> tuple[tuple[str, ...], list[bytes]]:
    """Column names and marshalled chunks of rows; text that is not UTF-8 is read as surrogate escapes."""
    try:
        return fetch_rows(connection.execute(sql), limits, guard)
    except sqlite3.OperationalError as error:
        if "Could not decode to UTF-8" not in str(error):
            raise
    # A text factory in Python costs a call per cell, so only the statements that need it pay.
    connection.text_factory = lambda cell: cell.decode("utf-8", "surrogateescape")
    return fetch_rows(connection.execute(sql), limits, guard)


def fetch_rows(cursor: sqlite3.Cursor, limits: dict[str, Any], guard: Guard) -> tuple[tuple[str, ...], list[bytes]]:
    chunks: list[bytes] = []
    rows, size, wanted = 0, 0, 64
    while batch := cursor.fetchmany(wanted):
        chunks.append(marshal.dumps(batch, 2))
        rows += len(batch)
        size += len(chunks[-1])
        if rows > limits["max_rows"] or size > limits["max_bytes"]:
            raise TooLarge(f"the result has more than {limits['max_rows']} rows or {limits['max_bytes']} bytes")
        if guard.out_of_time():
            raise TimeoutError
        if len(batch) < wanted:
            break
        wanted = min(2 * wanted, 4096)
    return tuple(column[0] for column in cursor.description or ()), chunks


def base_tables(path: str, connection: sqlite3.Connection) -> dict[str, str]:
    """Tables of the file by lower-case name (no views, no sqlite_ tables), remembered while the file is unchanged."""
    stat = os.stat(path)
    key = (path, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if key not in _base_tables:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        _base_tables[key] = {name.lower(): name for (name,) in found if not name.startswith("sqlite_")}
    return _base_tables[key]


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


def describe(failure: BaseException, guard: Guard, limits: dict[str, Any]) -> tuple[str, str]:
    """Status and message of a failed statement."""
    message = str(failure) or type(failure).__name__
    if guard.expired:
        return "timeout", f"ran longer than the deadline of {limits['deadline_s']} s"
    if guard.denied:
        return "refused", f"not allowed: {guard.denied}"
    if "one statement at a time" in message:
        return "refused", "more than one statement"
    if isinstance(failure, MemoryError):
        return "too_large", f"needs more than {limits['heap_bytes']} bytes of memory, or too long a program"
    if isinstance(failure, TooLarge) or (isinstance(failure, sqlite3.DataError) and "too big" in message):
        return "too_large", message
    return "error", message[:500]


def read_frame(stream: BinaryIO) -> Any:
    """The next value, or None when the parent is gone."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    return marshal.loads(stream.read(struct.unpack("<I", head)[0]))


def write_frame(stream: BinaryIO, value: Any) -> None:
    payload = marshal.dumps(value, 2)
    stream.write(struct.pack("<I", len(payload)) + payload)
    stream.flush()


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # the parent is gone
        os._exit(0)
