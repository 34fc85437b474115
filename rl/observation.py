"""What an executed answer looks like to a policy that reads it: a few rows or the error, bounded, a line each."""

from __future__ import annotations

from typing import Any

from evaluation.databases.sandbox import Execution
from graph.linearize import plain

CELL = 40
"""Longest cell, in characters; longer ones are cut."""
COLUMNS = 12
ERROR = 200


def observed(execution: Execution | None, rows: int, characters: int) -> str:
    """Text of at most so many characters, with so many rows. What a database or its errors say is untrusted text.

    >>> print(observed(Execution("ok", ((1, "a"), (2, None)), ("id", "name")), rows=1, characters=200))
    2 rows
    id | name
    1 | a
    …
    """
    if execution is None:
        return "error: the answer holds no query"[:characters]
    if execution.status != "ok":
        return f"{execution.status}: {plain(execution.error[: 4 * ERROR])[:ERROR]}"[:characters]
    more = "more than " if execution.truncated else ""
    lines = [f"{more}{len(execution.rows)} {'row' if len(execution.rows) == 1 else 'rows'}"]
    lines += [_line(execution.columns), *map(_line, execution.rows[:rows])]
    lines += ["…"] if len(execution.rows) > rows else []
    return "\n".join(lines)[:characters]


def _line(cells: tuple[Any, ...]) -> str:
    return " | ".join(map(_cell, cells[:COLUMNS])) + (" | …" if len(cells) > COLUMNS else "")


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    text = f"x'{value[:CELL].hex()}'" if isinstance(value, bytes) else str(value)[: 4 * CELL]
    text = plain(text)
    return text if len(text) <= CELL else text[: CELL - 1] + "…"
