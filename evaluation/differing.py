"""Which rows of an answer differ from gold's: the two result tables side by side, equal rows on one line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.compare import same_row
from evaluation.ordering import is_ordered

Row = tuple[Any, ...]
MATCHED_NEARLY = 400  # rows left over on a side that are compared with tolerance, each with each


@dataclass(frozen=True)
class Line:
    """Places in gold's rows and in the answer's; None: no row there. same: the two rows are equal."""

    gold: int | None
    answer: int | None
    same: bool


def side_by_side(gold_sql: str, gold: Sequence[Row], answer: Sequence[Row]) -> list[Line]:
    """Gold's rows in their order, each beside its equal; then the answer's rows that gold has not.

    Where gold orders its rows and both hold the same ones, place by place: what differs is the order.

    >>> side_by_side("SELECT a FROM t", [(1,), (2,)], [(2,), (3,)])
    [Line(gold=0, answer=None, same=False), Line(gold=1, answer=0, same=True), Line(gold=None, answer=1, same=False)]
    """
    found = matches(gold, answer)
    if is_ordered(gold_sql) and len(found) == len(gold) == len(answer):
        return [Line(place, place, same_row(*rows)) for place, rows in enumerate(zip(gold, answer, strict=True))]
    taken = set(found.values())
    lines = [Line(place, found.get(place), place in found) for place in range(len(gold))]
    return lines + [Line(None, place, False) for place in range(len(answer)) if place not in taken]


def matches(gold: Sequence[Row], answer: Sequence[Row]) -> dict[int, int]:
    """Place of a gold row -> place of the answer's row that is paired with it: equal ones, then nearly equal ones."""
    waiting: dict[Any, list[int]] = defaultdict(list)
    for place, row in enumerate(answer):
        waiting[_key(row)].append(place)
    for places in waiting.values():
        places.reverse()
    found = {place: waiting[key].pop() for place, row in enumerate(gold) if waiting.get(key := _key(row))}
    left = [place for place in range(len(gold)) if place not in found][:MATCHED_NEARLY]
    right = sorted(place for places in waiting.values() for place in places)[:MATCHED_NEARLY]
    for mine in left:
        near = next((other for other in right if same_row(gold[mine], answer[other])), None)
        if near is not None:
            found[mine] = near
            right.remove(near)
    return found


def shortened(lines: Sequence[Line], most: int) -> list[Line]:
    """At most so many lines, in their order: those that differ before those that are the same."""
    if len(lines) <= most:
        return list(lines)
    odd, even = ([place for place, line in enumerate(lines) if line.same == same] for same in (False, True))
    return [lines[place] for place in sorted((odd + even)[:most])]


def _key(row: Row) -> Any:
    """Equal for equal rows; 1 and 1.0 are equal, text and numbers are not."""
    return tuple((type(cell).__name__ if isinstance(cell, (str, bytes)) else "", cell) for cell in row)
