"""The one way in which a SQLite file is opened, for schemas, example values and queries alike.

A file is read whole or refused in one line. It is opened read-only and immutable, so that reading it never changes it,
makes no file beside it and waits for nobody's lock; what a write-ahead log or an unfinished transaction beside it holds
would then be missing, so such a file is refused. The owner's schema is read before any limit on statements is set.

Opening runs what the file holds, and a hostile file may never let go: only a child process (`graph.confined`) opens.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Identity = tuple[str, int, int, int, int, int]
_Found = TypeVar("_Found", "Contents", str)
_LOG_HEADER_BYTES = 32  # of a write-ahead log; what is committed comes behind it
_REMEMBERED = 1000  # files
# The last one loads the schema.
_SET_UP = """PRAGMA temp_store=2; PRAGMA query_only=1; PRAGMA trusted_schema=1; PRAGMA cell_size_check=1;
SELECT 1 FROM sqlite_master LIMIT 0"""
PROGRESS_OPS = 4000  # virtual machine steps between two looks at the clock: costs under 3 %
_HOW = "let the program that writes it finish, or run: sqlite3 FILE 'PRAGMA wal_checkpoint(TRUNCATE)'"


class DatabaseError(ValueError):
    """A file that cannot be read as a whole database; the text is one line and names no path."""


@dataclass(frozen=True)
class Contents:
    """What statements need to know of a file.

    tables: base tables by lower-case name, virtual ones included; not views, SQLite's own tables, or the shadow tables
    in which virtual ones keep their rows. virtual: names of the virtual tables. names: of all there is, lower case.
    """

    uri: str
    tables: dict[str, str]
    virtual: tuple[str, ...]
    names: frozenset[str]


_known: dict[Identity, Contents | str] = {}  # or why it is refused


def identity(path: str | Path) -> Identity:
    """Changes whenever the file does. DatabaseError unless it is a regular file, without opening it."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise DatabaseError("it does not exist") from None
    except (OSError, ValueError) as error:
        raise DatabaseError(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(found.st_mode):
        raise DatabaseError("it is not a file")
    return str(path), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def whole(path: str | Path) -> Identity:
    """The file's identity. DatabaseError unless it is one that holds all of the database."""
    key = identity(path)
    refuse_unmerged(os.path.realpath(path))
    return key


def open_database(
    path: str | Path, stop: Callable[[], bool], key: Identity | None = None
) -> tuple[sqlite3.Connection, Contents]:
    """A connection with its schema loaded and its virtual tables connected, and what the file holds.

    key: what `whole` has said of the file, where it was asked before. stop: asked every few thousand steps, from now
    on, whether to interrupt what runs. DatabaseError: the file is refused; a schema that took too much is refused from
    then on without another try.
    """
    key = key or whole(path)
    known = _known.get(key)
    if isinstance(known, str):
        raise DatabaseError(known)
    uri = known.uri if known else Path(path).resolve().as_uri() + "?mode=ro&immutable=1"  # quotes ? and #
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, cached_statements=0)
    except sqlite3.OperationalError as error:
        raise DatabaseError(f"{error}") from None
    try:
        connection.set_progress_handler(stop, PROGRESS_OPS)
        connection.executescript(_SET_UP)
        if known is None:
            known = _remember(key, contents(connection, uri))
        for name in known.virtual:
            with suppress(sqlite3.OperationalError):  # its module is not there: then nothing can query it
                connection.execute(f"SELECT 1 FROM {quoted(name)} LIMIT 0")
    except (sqlite3.Error, MemoryError) as error:
        connection.close()
        raise DatabaseError(_remember(key, _reason(error, stop()))) from None
    return connection, known


def _reason(error: Exception, out_of_time: bool) -> str:
    if out_of_time:
        return "its schema takes too long to read"
    return "its schema takes too much memory" if isinstance(error, MemoryError) else str(error)[:300]


def refuse_unmerged(path: str) -> None:
    """DatabaseError when some of the database stands in another file.

    A journal that is not empty and does not begin with a zero is that of a transaction which may have half reached the
    file.
    """
    with suppress(FileNotFoundError):
        if os.stat(path + "-wal").st_size > _LOG_HEADER_BYTES:
            raise DatabaseError(f"some of it is still in its write-ahead log ({os.path.basename(path)}-wal); {_HOW}")
    with suppress(FileNotFoundError):
        journal = os.stat(path + "-journal")
        if journal.st_size and (not stat.S_ISREG(journal.st_mode) or first_byte(path + "-journal") != b"\0"):
            raise DatabaseError(
                f"a transaction on it is unfinished ({os.path.basename(path)}-journal); let the program that writes it "
                "finish, or roll it back: sqlite3 FILE 'SELECT count(*) FROM sqlite_master'"
            )


def first_byte(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1)
    except PermissionError:
        return b""


def contents(connection: sqlite3.Connection, uri: str) -> Contents:
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    query = "SELECT type, name, rootpage FROM sqlite_master WHERE type IN ('table', 'view')"
    found = connection.execute(query).fetchall()
    connection.text_factory = str
    virtual = tuple(name for kind, name, page in found if kind == "table" and not page)
    tables = {name.lower(): name for kind, name, _ in found if kind == "table"}
    hidden = shadow_tables(connection) if virtual else set()
    own = {low: name for low, name in tables.items() if name not in hidden and not low.startswith("sqlite_")}
    return Contents(uri, own, virtual, frozenset(name.lower() for _, name, _ in found))


def shadow_tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM pragma_table_list WHERE type = 'shadow'")}


def _remember(key: Identity, found: _Found) -> _Found:
    if len(_known) >= _REMEMBERED:
        _known.clear()
    _known[key] = found
    return found


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
