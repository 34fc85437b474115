"""Golds of another dialect, carried over to SQLite by sqlglot, and checked: each must parse and run."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence

import sqlglot
from sqlglot.errors import ErrorLevel, SqlglotError

from evaluation.benchmarks.layout import Example
from evaluation.databases.files import built
from evaluation.databases.sandbox import Sandbox
from graph.introspect import is_declared, schema_of
from graph.linearize import ddl
from graph.schema import SchemaError

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what it cannot read is counted here


def carried_over(examples: Sequence[Example], dialect: str) -> list[str | None]:
    """The gold of each in SQLite, None where it cannot be carried over.

    Where the database is a schema without rows, the query runs on an empty database of it: that finds functions and
    columns that are not there, though not a wrong answer.
    """
    written = [in_sqlite(example.gold_sql, dialect) for example in examples]
    files = {database: run_on(database) for database in {example.database for example in examples}}
    asked = [place for place, sql in enumerate(written) if sql and files[examples[place].database]]
    sandbox = Sandbox()
    try:
        runs = sandbox.execute([(files[examples[place].database], str(written[place])) for place in asked])
    finally:
        sandbox.close()
    fine = {place for place, run in zip(asked, runs, strict=True) if run.status == "ok"}
    return [sql if sql == "" or place in fine else None for place, sql in enumerate(written)]


def in_sqlite(sql: str, dialect: str) -> str | None:
    """Without a check; None when sqlglot cannot read it, or it is more than one statement.

    >>> in_sqlite("SELECT TOP 3 [User Name] FROM users", "tsql")
    'SELECT "User Name" FROM users LIMIT 3'
    """
    if not sql.strip():
        return sql
    try:
        statements = sqlglot.transpile(sql, read=dialect, write="sqlite", unsupported_level=ErrorLevel.RAISE)
    except (SqlglotError, RecursionError, ValueError):
        return None
    found = [statement for statement in statements if statement.strip()]
    return found[0] if len(found) == 1 else None


def run_on(database: str) -> str:
    """A file that the query can run on: the database, or an empty one of its schema. "" when it cannot be read."""
    if not is_declared(database):
        return database
    try:
        script = ddl(schema_of(database))
    except SchemaError:
        return ""

    def fill(connection: sqlite3.Connection) -> None:
        connection.executescript(script)

    return str(built("schemas", "schema", script, fill))
