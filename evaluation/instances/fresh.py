"""Values that a column does not hold yet, and might: the next number, a day nearby, a text of the same form."""

from __future__ import annotations

import datetime
import random
import re
import string
from collections.abc import Sequence
from typing import Any

from evaluation.instances.contents import Row

_DATE = re.compile(r"[12]\d{3}-[01]\d-[0-3]\d")


def is_ordered(rows: Sequence[Row], place: int) -> bool:
    """Whether a column holds numbers, or days, more than four of them."""
    cells = {row[place] for row in rows} - {None}
    return len(cells) > 4 and (
        all(type(cell) in (int, float) for cell in cells)
        or all(isinstance(cell, str) and _DATE.match(cell) for cell in cells)
    )


def measures(rows: Sequence[Row], place: int) -> bool:
    """Whether an ordered column measures something: most of its values are different."""
    cells = [row[place] for row in rows if row[place] is not None]
    return len(set(cells)) > len(cells) // 2


def ends_of(rows: Sequence[Row], place: int) -> tuple[Any, Any]:
    """The least and the largest, beside which new cells lie as often as elsewhere: who is first must not stay so."""
    cells = [row[place] for row in rows if row[place] is not None]
    return min(cells), max(cells)


def beside(number: Any, rng: random.Random) -> Any:
    """A number of the same kind and as many decimals, up to a tenth of its size away; or a day up to a year away.

    >>> beside(1999, random.Random(0)) != 1999, isinstance(beside(7.25, random.Random(0)), float)
    (True, True)
    """
    if isinstance(number, str):
        return _another_day(number, rng)
    step = rng.choice((-1, 1)) * rng.uniform(0.01, 0.1)
    if isinstance(number, int):
        return max(number + (int(number * step) or rng.choice((-1, 1))), min(number, 0))
    decimals = len(repr(number).partition(".")[2]) if abs(number) < 1e15 and "e" not in repr(number) else 0
    return round(number * (1 + step), min(max(decimals, 1), 6))


def past(ends: tuple[Any, Any], rng: random.Random) -> Any:
    """A whole number soon after the largest or before the least; of other numbers and days, one beside either.

    >>> past((1970, 1982), random.Random(0)) in (1968, 1969, 1983, 1984)
    True
    """
    place = rng.randrange(2)
    end, step = ends[place], rng.randrange(1, 3)
    return max(end + (2 * place - 1) * step, min(end, 0)) if isinstance(end, int) else beside(end, rng)


class Fresh:
    """Values that a column does not hold yet, of the kind and shape that it holds.

    counted: whole numbers go on from the largest, as keys do; others lie beside one that is there.
    """

    def __init__(self, cells: Sequence[Any], counted: bool, rng: random.Random) -> None:
        self._cells = [cell for cell in cells if cell is not None]
        self._taken = {_folded(cell) for cell in self._cells}
        self._texts = [cell for cell in self._cells if isinstance(cell, str)]
        self._largest = max((cell for cell in self._cells if isinstance(cell, int)), default=0)
        self._counted, self._rng = counted and self._largest < 2**62, rng
        rows = [(cell,) for cell in self._cells]
        self._ends = ends_of(rows, 0) if not counted and is_ordered(rows, 0) and measures(rows, 0) else ()

    def value(self) -> Any:
        pattern = self._rng.choice(self._cells) if self._cells else 0
        for attempt in range(50):
            value = self._like(pattern, attempt)
            if _folded(value) not in self._taken:
                break
        self._taken.add(_folded(value))
        return value

    def _like(self, pattern: Any, attempt: int) -> Any:
        if self._ends and attempt < 20:
            return beside(self._rng.choice((*self._ends, pattern)), self._rng)
        if isinstance(pattern, str):
            if _DATE.match(pattern):
                return _another_day(pattern, self._rng)
            return self._mixed(pattern) if attempt < 3 else reshaped(pattern + "a" * (attempt > 20), self._rng)
        if isinstance(pattern, bytes):
            return self._rng.randbytes(max(8, len(pattern)))
        if self._counted and isinstance(pattern, int):
            self._largest += 1
            return self._largest
        return beside(pattern, self._rng) if attempt < 20 else pattern + attempt * self._rng.randrange(1, 100)

    def _mixed(self, pattern: str) -> str:
        """The first word of one value and the others of another: what people and places may be called."""
        first, blank, _ = pattern.partition(" ")
        rest = self._rng.choice(self._texts).partition(" ")[2]
        return f"{first} {rest}" if blank and rest and not any(map(str.isdigit, first + rest)) else pattern


def _folded(cell: Any) -> Any:
    return cell.casefold().strip() if isinstance(cell, str) else cell


def _another_day(text: str, rng: random.Random) -> str:
    """A date up to a year away, with the time of day that stands behind it."""
    try:
        day = datetime.date.fromisoformat(text[:10]) + datetime.timedelta(days=rng.randrange(-365, 366))
    except (ValueError, OverflowError):
        return reshaped(text, rng)
    return day.isoformat() + text[10:]


def reshaped(text: str, rng: random.Random) -> str:
    """Some letters and digits of a text replaced by others of their kind, so that its length and form stay.

    >>> reshaped("AB-12", random.Random(1))[2]
    '-'
    """
    kinds = (string.ascii_uppercase, string.ascii_lowercase, string.digits)
    places = [place for place, character in enumerate(text) if any(character in kind for kind in kinds)]
    found = list(text)
    for place in rng.sample(places, min(len(places), max(2, len(places) // 2))):
        found[place] = rng.choice(next(kind for kind in kinds if text[place] in kind))
    return "".join(found)
