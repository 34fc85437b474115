"""Database files: whether one can be read, and one that is built from an SQL script, once, in the cache."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from evaluation.errors import UserError
from evaluation.text_files import read_text
from graph.database import DatabaseError
from graph.reader import check_database

SQLITE_MAGIC = b"SQLite format 3\0"


def check_sqlite(path: Path) -> None:
    """UserError unless the file is an SQLite 3 database that can be read whole."""
    try:
        with path.open("rb") as file:
            head = file.read(len(SQLITE_MAGIC))
    except OSError as error:
        raise UserError(f"the database {path} cannot be read: {error.strerror}") from None
    if head != SQLITE_MAGIC:
        raise UserError(f"the database {path} is not an SQLite 3 file (it starts with {head!r}); put one there")
    readable(path)


def readable(path: Path) -> None:
    """UserError unless the file can be read whole, as a database, in time."""
    try:
        check_database(path)
    except DatabaseError as error:
        raise UserError(str(error)) from None


def cache_directory() -> Path:
    """$ROLLSQL_CACHE, else ~/.cache/rollsql."""
    return Path(os.environ.get("ROLLSQL_CACHE") or Path.home() / ".cache" / "rollsql")


def build_database(script: Path) -> Path:
    """The SQLite file made by an SQL script, in the cache under the digest of the script; whole or not there."""
    text = read_text(script)

    def run(connection: sqlite3.Connection) -> None:
        try:
            connection.executescript(text)
        except sqlite3.Error as error:
            raise UserError(f"{script} is not a valid SQLite script: {error}") from None

    return built("tiny", script.stem, text, run)


def built(room: str, name: str, content: str, fill: Callable[[sqlite3.Connection], None]) -> Path:
    """The file name.sqlite in a room of the cache, under the digest of its content; filled when it is not there."""
    digest = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    target = cache_directory() / room / digest / f"{name}.sqlite"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            fresh = Path(scratch) / target.name
            with closing(sqlite3.connect(fresh)) as connection:
                connection.execute("PRAGMA synchronous = OFF")
                fill(connection)
                connection.commit()
            os.replace(fresh, target)
    return target
