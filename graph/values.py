"""Cells of a database: a bounded sample for linking and for joins, and a few safe ones to show in the prompt.

Cells are text of strangers. What a prompt shows of them is short, on one line, and can neither carry a token of a chat
template nor close a tag or a code fence.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from graph.introspect import open_read_only
from graph.linearize import plain
from graph.schema import Schema, Table

# (table, column) -> distinct cells as text in the order of the rows; names as the schema spells them.
Values = Mapping[tuple[str, str], tuple[str, ...]]

_ROWS_SCANNED = 100_000
_CELL_CHARACTERS = 200
_EXAMPLE_CHARACTERS = 24
# Counted, not timed, so that the sample is the same on every machine; the clock is there for cells of megabytes.
_STEPS_PER_COLUMN, _STEPS_PER_CHECK = 5_000_000, 10_000
_DATABASE_S = 60.0


def sample_values(path: Path, schema: Schema, per_column: int = 1000) -> dict[tuple[str, str], tuple[str, ...]]:
    """Up to `per_column` distinct cells of each column, among its first rows; NULLs and blobs are left out.

    Numbers are written as SQLite writes them, long cells are cut, bytes that are not UTF-8 become U+FFFD. A column
    that cannot be read, of a broken view or a file that is no database, gives what was read of it, or nothing.
    """
    sample = {(table.name, column.name): () for table in schema.tables for column in table.columns}
    try:
        connection = open_read_only(Path(path))
    except sqlite3.Error:
        return dict(sample)
    deadline = time.monotonic() + _DATABASE_S
    with closing(connection):
        return {end: tuple(_cells(connection, *end, per_column, deadline)) for end in sample}


def with_examples(schema: Schema, values: Values, count: int = 3) -> Schema:
    """The schema with up to `count` cells as each column's examples, the first that are short; else one cut short."""

    def shown(table: Table) -> Table:
        columns = (replace(c, examples=_examples(values.get((table.name, c.name), ()), count)) for c in table.columns)
        return replace(table, columns=tuple(columns))

    return replace(schema, tables=tuple(map(shown, schema.tables)))


def _cells(connection: sqlite3.Connection, table: str, column: str, limit: int, deadline: float) -> Iterator[str]:
    # Qualified, since SQLite takes a quoted name that it does not know for a text.
    cell = f"t.{_quoted(column)}"
    query = f"""
        SELECT DISTINCT CASE typeof(cell) WHEN 'text' THEN substr(cell, 1, {_CELL_CHARACTERS}) ELSE cell END
        FROM (SELECT {cell} AS cell FROM {_quoted(table)} AS t LIMIT {_ROWS_SCANNED})
        WHERE typeof(cell) NOT IN ('null', 'blob') LIMIT {limit}
    """
    connection.set_progress_handler(_bound(deadline), _STEPS_PER_CHECK)
    try:
        for (value,) in connection.execute(query):
            yield str(value)
    except (sqlite3.Error, ValueError):  # ValueError: a name with NUL or half a surrogate pair
        return


def _bound(deadline: float) -> Callable[[], bool]:
    """True, which stops the query, once it has taken its steps or the database its time."""
    checks_left = _STEPS_PER_COLUMN // _STEPS_PER_CHECK

    def stop() -> bool:
        nonlocal checks_left
        checks_left -= 1
        return checks_left < 0 or time.monotonic() > deadline

    return stop


def _examples(cells: tuple[str, ...], count: int) -> tuple[str, ...]:
    # Cut before it is cleaned, for speed, and after it, since breaking tokens adds spaces.
    texts = dict.fromkeys(_shown(cell[: 2 * _EXAMPLE_CHARACTERS]) for cell in cells[: 20 * count])
    safe = [text for text in texts if text]
    short = [text for text in safe if len(text) <= _EXAMPLE_CHARACTERS][:count]
    return tuple(short or [text[:_EXAMPLE_CHARACTERS] + "…" for text in safe[:1] if count])


def _shown(cell: str) -> str:
    """On one line, no token of a chat template, no code fence."""
    return " ".join(plain(cell).split()).replace("``", "` `").replace("``", "` `")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
