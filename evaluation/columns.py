"""Orders of a prediction's columns in which it may be gold's table, found without trying all n! of them.

Rows and columns tell each other apart: a column by the values that it holds in each class of rows, a row by its values
in each class of columns, over and over until nothing more parts (colour refinement). Where columns stay alike, one is
fixed and the refining goes on. Whether two tables are equal up to the order of rows and columns is as hard as the
isomorphism of graphs, so the search ends after a fixed number of cells, undecided: no further order is offered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import compress, pairwise
from typing import Any

Row = tuple[Any, ...]
Ids = Sequence[Sequence[int]]  # columns, each value as a number; equal values have equal numbers
Colours = tuple[list[int], list[int]]  # of gold's columns (or rows), and of the prediction's
CELLS = 1_500_000  # looked at before giving up, about a second
ENOUGH_CELLS = 100_000  # of a larger table only the rows of rare content are refined


class Undecided(Exception):
    """The number of cells that a search may look at is used up."""


class Budget:
    def __init__(self) -> None:
        self.left = CELLS

    def take(self, cells: int) -> None:
        if self.left <= 0:
            raise Undecided
        self.left -= cells


def column_orders(
    gold: Sequence[Row], prediction: Sequence[Row], classes: Sequence[int], near: Callable[[Any, Any], bool] | None
) -> Iterator[tuple[int, ...]]:
    """Orders o, in which column o[i] of the prediction may stand for gold's column i, to be tried one after another.

    Tables of as many rows and columns. classes: of the row at each place; only rows of one class may change places.
    near: whether two neighbouring numbers may count as equal; None: only equal ones do.

    >>> list(column_orders([(1, "a"), (2, "b")], [("b", 2), ("a", 1)], [0, 0], None))
    [(1, 0)]
    """
    places = [_places_of(table) for table in numbered(gold, prediction, near)]
    tables: tuple[Ids, Ids] = (list(places[0]), list(places[1]))
    colours = _first_colours(places, classes)
    kept = _telling_rows(tables, classes)
    if colours is None or kept is None:
        return
    tables, rows = kept
    try:
        for order in _search(tables, colours, rows, Budget()):
            yield _spread(order, tuple(places[0].values()), tuple(places[1].values()))
    except Undecided:
        return


def covering_orders(
    pool: Sequence[Row],
    prediction: Sequence[Row],
    classes: tuple[Sequence[int], Sequence[int]],
    near: Callable[[Any, Any], bool] | None,
) -> Iterator[tuple[int, ...]]:
    """As `column_orders`, where the prediction may hold some of the pool's rows: those of the same class.

    Columns are placed one after another, as long as the rows so far can be found in the pool.
    """
    left, right = numbered(pool, prediction, near)
    contents = [tuple(column) for column in right]
    budget = Budget()
    waiting: list[tuple[tuple[int, ...], Ids]] = [((), classes)]
    try:
        while waiting:
            order, prefixes = waiting.pop()
            if len(order) == len(left):
                yield order
                continue
            fresh = {contents[place]: place for place in reversed(range(len(right))) if place not in order}
            for place in sorted(fresh.values(), reverse=True):
                budget.take(len(pool) + len(prediction))
                longer = _extended(prefixes, (left[len(order)], right[place]))
                if not Counter(longer[1]) - Counter(longer[0]):
                    waiting.append(((*order, place), longer))
    except Undecided:
        return


def reordered(rows: Sequence[Row], order: Sequence[int]) -> list[Row]:
    """Rows whose column i was column order[i]."""
    return [tuple(row[place] for place in order) for row in rows]


def numbered(left: Sequence[Row], right: Sequence[Row], near: Callable[[Any, Any], bool] | None) -> tuple[Ids, Ids]:
    """Both tables by columns, each value as a number. Runs of numbers, each near the next, share one."""
    columns = tuple([list(column) for column in zip(*rows, strict=True)] for rows in (left, right))
    values = {cell for table in columns for column in table for cell in column}
    ids = {value: place for place, value in enumerate(values)}
    if near and any(isinstance(value, float) for value in values):
        numbers = sorted(value for value in values if isinstance(value, (int, float)))
        for low, high in pairwise(numbers):
            if near(low, high):
                ids[high] = ids[low]
    first, second = ([[ids[cell] for cell in column] for column in table] for table in columns)
    return first, second


def _first_colours(places: Sequence[dict[tuple[int, ...], list[int]]], classes: Sequence[int]) -> Colours | None:
    """Distinct columns by how often they occur and by the values that they hold in each class of rows."""
    names: dict[Any, int] = {}
    one = len(set(classes)) < 2
    found = [
        [
            names.setdefault(
                (len(same), frozenset(Counter(column if one else zip(classes, column, strict=True)).items())),
                len(names),
            )
            for column, same in table.items()
        ]
        for table in places
    ]
    return (found[0], found[1]) if Counter(found[0]) == Counter(found[1]) else None


def _telling_rows(tables: tuple[Ids, Ids], classes: Sequence[int]) -> tuple[tuple[Ids, Ids], Colours] | None:
    """The rows of both tables that are refined, all of a small one, and their colours; None when the tables differ.

    A row is known in any order of columns by the bag of its values. Rows of the rarest bags tell most.
    """
    if len(classes) * len(tables[0]) <= ENOUGH_CELLS:
        return tables, (list(classes), list(classes))
    bags = [list(zip(classes, map(tuple, map(sorted, zip(*table, strict=True))), strict=True)) for table in tables]
    counts = Counter(bags[0])
    if counts != Counter(bags[1]):
        return None
    chosen: dict[Any, int] = {}
    rows = 0
    for bag in sorted(counts, key=lambda each: (counts[each], each)):
        if rows * len(tables[0]) < ENOUGH_CELLS:
            chosen[bag] = len(chosen)
            rows += counts[bag]
    colours = [[chosen[bag] for bag in side if bag in chosen] for side in bags]
    kept = [
        [list(compress(column, map(chosen.__contains__, side))) for column in t]
        for t, side in zip(tables, bags, strict=True)
    ]
    return (kept[0], kept[1]), (colours[0], colours[1])


def _search(tables: tuple[Ids, Ids], columns: Colours, rows: Colours, budget: Budget) -> Iterator[tuple[int, ...]]:
    stable = _refined(tables, columns, rows, budget)
    if stable is None:
        return
    columns, rows = stable
    sizes = Counter(columns[0])
    alike = [colour for colour in sizes if sizes[colour] > 1]
    if not alike:
        places = {colour: place for place, colour in enumerate(columns[1])}
        yield tuple(places[colour] for colour in columns[0])
        return
    colour = min(alike, key=lambda each: (sizes[each], each))
    chosen, fresh = columns[0].index(colour), len(columns[0])
    for place, other in enumerate(columns[1]):
        if other == colour:
            fixed = (_with(columns[0], chosen, fresh), _with(columns[1], place, fresh))
            yield from _search(tables, fixed, rows, budget)


def _refined(
    tables: tuple[Ids, Ids], columns: Colours, rows: Colours, budget: Budget
) -> tuple[Colours, Colours] | None:
    """Columns and rows in as many classes as they can be told apart into; None when the two tables differ."""
    size = sum(len(table) * len(colours) for table, colours in zip(tables, rows, strict=True))
    while True:
        budget.take(size)
        known = len(set(columns[0]))
        split = _recoloured(tables, columns, rows)
        if split is None or len(set(split[0])) == len(split[0]):
            return None if split is None else (split, rows)
        finer = _recoloured(tuple(list(zip(*t, strict=True)) for t in tables), rows, split)  # type: ignore[arg-type]
        if finer is None:
            return None
        if len(set(split[0])) == known and len(set(finer[0])) == len(set(rows[0])):
            return split, finer
        columns, rows = split, finer


def _recoloured(lines: tuple[Any, Any], colours: Colours, across: Colours) -> Colours | None:
    """New colours of lines (columns, or rows) by their old ones and the values in each colour of what crosses them."""
    names: dict[tuple[int, Row], int] = {}
    wide = 1 + max(across[0] + across[1], default=0)
    found: list[list[int]] = []
    for side in range(2):
        held = (
            tuple(sorted([value * wide + c for value, c in zip(line, across[side], strict=True)]))
            for line in lines[side]
        )
        found.append([names.setdefault(key, len(names)) for key in zip(colours[side], held, strict=True)])
    return (found[0], found[1]) if Counter(found[0]) == Counter(found[1]) else None


def _extended(prefixes: Ids, columns: Ids) -> Ids:
    """A number for what each row of pool and prediction holds in the columns placed so far and in one more."""
    names: dict[tuple[int, int], int] = {}
    return [
        [names.setdefault(pair, len(names)) for pair in zip(prefix, column, strict=True)]
        for prefix, column in zip(prefixes, columns, strict=True)
    ]


def _places_of(table: Ids) -> dict[tuple[int, ...], list[int]]:
    """Where each column of the same content stands: which of them is taken does not matter."""
    places: dict[tuple[int, ...], list[int]] = {}
    for place, column in enumerate(table):
        places.setdefault(tuple(column), []).append(place)
    return places


def _spread(order: tuple[int, ...], gold: Sequence[list[int]], prediction: Sequence[list[int]]) -> tuple[int, ...]:
    """An order of distinct columns as one of all columns."""
    pairs = [pair for one, other in enumerate(order) for pair in zip(gold[one], prediction[other], strict=True)]
    return tuple(place for _, place in sorted(pairs))


def _with(colours: list[int], place: int, colour: int) -> list[int]:
    return [*colours[:place], colour, *colours[place + 1 :]]
