"""Cells of a database: a bounded sample for linking and for joins, and a few safe ones to show in the prompt.

Cells are text of strangers. What a prompt shows of them is short, on one line, and can neither carry a token of a chat
template nor close a tag or a code fence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from graph.linearize import plain
from graph.reader import read_cells
from graph.schema import Schema, Table

# (table, column) -> distinct cells as text in the order of the rows; names as the schema spells them.
Values = Mapping[tuple[str, str], tuple[str, ...]]

_EXAMPLE_CHARACTERS = 24


def sample_values(path: Path, schema: Schema, per_column: int = 1000) -> dict[tuple[str, str], tuple[str, ...]]:
    """Up to `per_column` distinct cells of each column, among its first rows; NULLs and blobs are left out.

    Numbers are written as SQLite writes them, long cells are cut, bytes that are not UTF-8 become U+FFFD. A column
    that cannot be read, of a broken view or a file that is no database, gives what was read of it, or nothing; so do
    the last columns of a database that takes too long.
    """
    ends = [(table.name, column.name) for table in schema.tables for column in table.columns]
    cells = read_cells(Path(path), ends, per_column)
    return {end: tuple(cells[place]) if place < len(cells) else () for place, end in enumerate(ends)}


def with_examples(schema: Schema, values: Values, count: int = 3) -> Schema:
    """The schema with up to `count` cells as each column's examples, the first that are short; else one cut short."""

    def shown(table: Table) -> Table:
        columns = (replace(c, examples=_examples(values.get((table.name, c.name), ()), count)) for c in table.columns)
        return replace(table, columns=tuple(columns))

    return replace(schema, tables=tuple(map(shown, schema.tables)))


def _examples(cells: tuple[str, ...], count: int) -> tuple[str, ...]:
    # Cut before it is cleaned, for speed, and after it, since breaking tokens adds spaces.
    texts = dict.fromkeys(_shown(cell[: 2 * _EXAMPLE_CHARACTERS]) for cell in cells[: 20 * count])
    safe = [text for text in texts if text]
    short = [text for text in safe if len(text) <= _EXAMPLE_CHARACTERS][:count]
    return tuple(short or [text[:_EXAMPLE_CHARACTERS] + "…" for text in safe[:1] if count])


def _shown(cell: str) -> str:
    """On one line, no token of a chat template, no code fence."""
    return " ".join(plain(cell).split()).replace("``", "` `").replace("``", "` `")
