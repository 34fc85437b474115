"""Rows as text for a terminal: column names, a bounded table, and nothing in a cell that could steer the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from evaluation.databases.sandbox import Execution

MOST_ROWS, MOST_COLUMNS, WIDEST = 50, 20, 40


def described(execution: Execution, most_rows: int = MOST_ROWS) -> str:
    """The table of a result, or in one line why there is none."""
    if execution.status != "ok":
        return f"{execution.status}: {one_line(execution.error)}"
    rows, count = execution.rows[:most_rows], len(execution.rows)
    said = f"{count} row{'s' * (count != 1)}" + " or more" * execution.truncated
    if count > len(rows):
        said += f", the first {len(rows)} shown"
    return table(execution.columns, rows) + f"\n({said})"


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A line of names, a rule, a line per row; numbers stand at the right.

    >>> print(table(["name", "n"], [("Ann", 3), (None, 12)]))
    name |  n
    -----+---
    Ann  |  3
    NULL | 12
    """
    hidden = len(columns) - MOST_COLUMNS
    names = [_shown(name) for name in columns[:MOST_COLUMNS]] + [f"… {hidden} more"] * (hidden > 0)
    cells = [[_shown(cell) for cell in row[:MOST_COLUMNS]] + ["…"] * (hidden > 0) for row in rows]
    right = [bool(rows) and all(_is_number(row[place]) for row in rows) for place in range(len(columns))]
    widths = [max(map(_width, column)) for column in zip(names, *cells, strict=True)]
    lines = [" | ".join(map(_padded, line, widths, right)).rstrip() for line in (names, *cells)]
    return "\n".join([lines[0], "-+-".join("-" * width for width in widths), *lines[1:]])


def one_line(text: str) -> str:
    """The text with control characters and line ends as escapes: what a terminal prints as it stands."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in whole(text))


def whole(text: str) -> str:
    """The text with U+FFFD for lone surrogates: bytes that are no UTF-8, or half of a pair."""
    return text if text.isascii() else "".join("\ufffd" if 0xD800 <= ord(char) <= 0xDFFF else char for char in text)


def _shown(cell: Any) -> str:
    if cell is None:
        return "NULL"
    text = f"<{len(cell)} bytes>" if isinstance(cell, bytes) else str(cell)
    text = one_line(text[: 2 * WIDEST])
    while _width(text) > WIDEST:
        text = text[: min(WIDEST, len(text)) - 1 - text.endswith("…")] + "…"
    return text


def _is_number(cell: Any) -> bool:
    return cell is None or isinstance(cell, (int, float))


def _width(text: str) -> int:
    """Columns of a terminal: wide letters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _padded(text: str, width: int, right: bool) -> str:
    room = " " * (width - _width(text))
    return room + text if right else text + room
