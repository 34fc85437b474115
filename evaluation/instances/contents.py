"""Other rows for the same tables: permuted, fewer, and near what the golds ask for. Pure: rows in, rows out.

Keys stay keys: a value of a primary or foreign key is not changed, what is unique stays unique, what refers to a row
goes on referring to one, and no NULL appears in a column that has none. So a query that is right by its meaning is
right on the new rows too, while one that was right by coincidence mostly is not (Zhong et al. 2020, arXiv 2010.02840,
let test suites of random rows tell queries apart; here rows stay believable).
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, permutations
from typing import Any

Row = tuple[Any, ...]
Places = tuple[int, ...]
GONE = 0.5  # mean share of a table's rows that a smaller instance lacks
BY_CHANCE = 1e-3  # how probable a dependence between columns may be that is taken for one
KEPT_WITNESSES = 0.3  # share of the rows with a literal of a gold that keep all their cells
TURNED = 2000  # rows; where there are more, one shuffle serves all columns of a table


@dataclass(frozen=True)
class Link:
    """child.columns refer to parent.parent_columns, by place; tables by folded name."""

    child: str
    columns: Places
    parent: str
    parent_columns: Places

    @property
    def turned(self) -> Link:
        """The other way round: of two tables with one row for each of the other's, one refers to the other."""
        return Link(self.parent, self.parent_columns, self.child, self.columns)


@dataclass(frozen=True)
class Table:
    """columns: folded names. unique: places of each declared key. rows: cells as SQLite stores them."""

    columns: tuple[str, ...]
    unique: tuple[Places, ...]
    rows: Sequence[Row]

    @cached_property
    def distinct(self) -> frozenset[int]:
        """Places of single columns that hold each value once, declared or not."""
        return frozenset(
            place
            for place in range(len(self.columns))
            if len(self.rows) > 1 and len({row[place] for row in self.rows}) == len(self.rows)
        )

    @cached_property
    def alike(self) -> list[list[int]]:
        """Numbers of the rows that lack the same cells: cells move among those alone, so that no column of a group of
        rows, say of one country, is first without a value because another row was."""
        found: dict[Row, list[int]] = {}
        for number, row in enumerate(self.rows):
            found.setdefault(tuple([cell is None for cell in row]), []).append(number)
        return list(found.values())

    def blocks(self, places: Sequence[int]) -> list[Places]:
        """The columns in groups that stay together: those of which one determines another, as a city its country."""
        groups = {place: {place} for place in places}
        for one, other in permutations(places, 2):
            if groups[one] is not groups[other] and self.determines(one, other):
                groups[one] |= groups[other]
                groups |= dict.fromkeys(groups[one], groups[one])
        return list(dict.fromkeys(tuple(sorted(group)) for group in groups.values()))

    def determines(self, one: int, other: int) -> bool:
        """Whether rows alike in one column are alike in the other, more often than chance would have it."""
        if one in self.distinct or other in self.distinct:
            return False
        first: dict[Any, Any] = {}
        for row in self.rows:  # most pairs of columns end it within a few rows
            if first.setdefault(row[one], row[other]) != row[other]:
                return False
        counts = Counter([row[other] for row in self.rows])
        if len(counts) < 2:
            return False
        chance = sum(count * count for count in counts.values()) / len(self.rows) ** 2
        return (len(self.rows) - len(first)) * math.log(chance) < math.log(BY_CHANCE)

    def values(self, places: Places) -> set[Row]:
        """What these columns hold, rows with a NULL among them left out."""
        if len(places) == 1:
            return {(cell,) for cell in {row[places[0]] for row in self.rows} if cell is not None}
        found = {tuple(row[place] for place in places) for row in self.rows}
        return {cells for cells in found if None not in cells}


@dataclass(frozen=True)
class Contents:
    """tables: by folded name, those that others refer to first. near: column name -> values that golds compare with."""

    tables: Mapping[str, Table]
    links: tuple[Link, ...]
    near: Mapping[str, Sequence[Any]]

    def keys(self, name: str) -> set[int]:
        """Places of the columns that belong to a declared key or to a link."""
        own = set(chain.from_iterable(self.tables[name].unique))
        for link in self.links:
            own |= set(link.columns) if link.child == name else set()
            own |= set(link.parent_columns) if link.parent == name else set()
        return own

    def with_rows(self, rows: Mapping[str, Sequence[Row]]) -> Contents:
        tables = {name: replace(table, rows=rows.get(name, table.rows)) for name, table in self.tables.items()}
        return replace(self, tables=tables)

    def holders(self, name: str) -> list[int]:
        """Numbers of the rows that hold a literal of a gold."""
        table = self.tables[name]
        wanted = [(place, set(self.near[column])) for place, column in enumerate(table.columns) if column in self.near]
        return [i for i, row in enumerate(table.rows) if any(row[place] in values for place, values in wanted)]

    def witnesses(self, name: str, rng: random.Random) -> set[int]:
        """Numbers of rows that are left alone, a share of those that hold a literal of a gold."""
        return {i for i in self.holders(name) if rng.random() < KEPT_WITNESSES}


def permuted(contents: Contents, rng: random.Random) -> Contents:
    """Cells that are no keys change rows within their column, and so do whole references to other tables."""
    found: dict[str, Sequence[Row]] = {}
    for name, table in contents.tables.items():
        keys, still = contents.keys(name), contents.witnesses(name, rng)
        columns = [list(column) for column in zip(*table.rows, strict=True)]
        groups = table.blocks([place for place in range(len(columns)) if place not in keys])
        groups += _references(contents, name)
        for alike in table.alike:
            free = [number for number in alike if number not in still]
            rng.shuffle(free)
            for places in groups if len(free) > 1 else ():
                sources = _moved(free, rng)
                for place in places:
                    held = columns[place]
                    for number, cell in zip(free, [held[source] for source in sources], strict=True):
                        held[number] = cell
        found[name] = list(zip(*columns, strict=True))
    return contents.with_rows(found)


def _references(contents: Contents, name: str) -> list[Places]:
    """References to other tables that may be permuted: no part of a key of their own table, no two overlapping."""
    taken = set(chain.from_iterable(contents.tables[name].unique))
    taken |= set(chain.from_iterable(link.parent_columns for link in contents.links if link.parent == name))
    found: list[Places] = []
    for link in contents.links:
        if link.child == name != link.parent and not taken & set(link.columns):
            found.append(link.columns)
            taken |= set(link.columns)
    return found


def _moved(numbers: Sequence[int], rng: random.Random) -> list[int]:
    """In another order than they came, where there is one; many that are shuffled already are only turned round."""
    order = list(numbers)
    if len(order) > TURNED:
        start = rng.randrange(1, len(order))
        return order[start:] + order[:start]
    for _ in range(3):
        rng.shuffle(order)
        if order != numbers:
            break
    return order


def reduced(contents: Contents, rng: random.Random) -> Contents:
    """About half of the rows of each table less, children first: none goes that one left refers to."""
    left = contents
    for name in reversed(list(contents.tables)):
        rows, still = contents.tables[name].rows, contents.witnesses(name, rng)
        spare = [number for number in range(len(rows)) if number not in still]
        most = min(part(len(rows), GONE, rng), len(rows) - 1)
        gone = _gone(left, name, rng.sample(spare, len(spare)), most)
        left = left.with_rows({name: [row for number, row in enumerate(rows) if number not in gone]})
    return left


def _gone(contents: Contents, name: str, spare: Sequence[int], most: int) -> set[int]:
    """The first of the spare rows that no row left refers to."""
    links, rows = [link for link in contents.links if link.parent == name], contents.tables[name].rows
    used = [Counter(reference(row, link.columns) for row in contents.tables[link.child].rows) for link in links]
    gone: set[int] = set()
    grown = True
    while grown and len(gone) < most:
        grown = False
        for number in spare:
            row = rows[number]
            free = not any(u[reference(row, link.parent_columns)] for u, link in zip(used, links, strict=True))
            if free and number not in gone and len(gone) < most:
                gone.add(number)
                for counts, link in zip(used, links, strict=True):
                    if link.child == name:
                        counts[reference(row, link.columns)] -= 1
                        grown = True
    return gone


def reference(row: Row, places: Sequence[int]) -> Row:
    """The cells as both sides of a reference spell them: a text column may refer to a number.

    >>> reference((1, "1", 1.0), (0, 1, 2))
    ('1', '1', '1')
    """
    cells = [row[place] for place in places]
    return tuple([f"{c:.0f}" if isinstance(c, (int, float)) and c == c // 1 else c for c in cells])


def part(rows: int, mean: float, rng: random.Random) -> int:
    """Another share for each table, so that tables of one size do not keep one size."""
    return int(rows * mean * rng.uniform(0.5, 1.5) + rng.random())


def neared(contents: Contents, rng: random.Random) -> Contents:
    """A few cells of each column that golds compare take a value near the one that they compare with."""
    found: dict[str, Sequence[Row]] = {}
    for name, table in contents.tables.items():
        still = contents.witnesses(name, rng)
        free = [number for number in max(table.alike, key=len, default=[]) if number not in still]
        rows = [list(row) for row in table.rows]
        for place, values in near_values(contents, name).items() if free else ():
            for value in rng.sample(values, min(len(values), 1 + len(free) // 8)):
                number = rng.choice(free)
                rows[number][place] = rows[number][place] if rows[number][place] is None else value
        found[name] = [tuple(row) for row in rows]
    return contents.with_rows(found)


def near_values(contents: Contents, name: str) -> dict[int, list[Any]]:
    """The values that each column may take besides its own: none where it is a key or bound to another, and where it is
    unique only those that it does not hold."""
    table, keys = contents.tables[name], contents.keys(name)
    blocks = table.blocks([place for place in range(len(table.columns)) if place not in keys])
    found: dict[int, list[Any]] = {}
    for place in (block[0] for block in blocks if len(block) == 1):
        held = table.values((place,)) if place in table.distinct else set()
        values = [value for value in _fitting(contents, table, place) if (value,) not in held]
        found |= {place: values} if values else {}
    return found


def _fitting(contents: Contents, table: Table, place: int) -> list[Any]:
    """Values near the golds' literals, of the kind that the column holds: whole numbers, numbers or text."""
    kinds = {type(row[place]) for row in table.rows} - {type(None)}
    kind = kinds.pop() if len(kinds) == 1 else float if kinds == {int, float} else None
    found: list[Any] = []
    for value in contents.near.get(table.columns[place], ()):
        if kind is str:
            found.append(value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value))
        elif kind is float and not isinstance(value, str):
            found.append(float(value))
        elif kind is int and not isinstance(value, str) and value == int(value):
            found.append(int(value))
    return sorted(dict.fromkeys(found))
