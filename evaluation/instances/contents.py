"""Other rows for the same tables: permuted, fewer, more, and near what the golds ask for. Pure: rows in, rows out.

Keys stay keys: a value of a primary or foreign key is not changed, what is unique stays unique, what refers to a row
goes on referring to one, and no NULL appears in a column that has none. So a query that is right by its meaning is
right on the new rows too, while one that was right by coincidence mostly is not (Zhong et al. 2020, arXiv 2010.02840,
let test suites of random rows tell queries apart; here rows stay believable).
"""

from __future__ import annotations

import datetime
import math
import random
import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, permutations
from typing import Any

Row = tuple[Any, ...]
Places = tuple[int, ...]
GONE, ADDED, MOST_ADDED = 0.3, 0.4, 2000  # mean shares of a table's rows, and a bound in rows
BY_CHANCE = 1e-3  # how probable a dependence between columns may be that is taken for one
COPIED = 0.3  # share of the new rows that differ from an old one in their keys alone
KEPT_WITNESSES = 0.3  # share of the rows with a literal of a gold that keep all their cells
TURNED = 2000  # rows; where there are more, one shuffle serves all columns of a table
NEAR, SHIFTED = 0.25, 0.3  # shares of new cells that lie near a literal, or beside a value that is there
STEPS = {
    "permuted": ("permute", "near"),
    "extended": ("extend",),
    "reduced": ("reduce", "permute"),
    "mixed": ("permute", "extend", "near"),
}
KINDS = tuple(STEPS)
_DATE = re.compile(r"[12]\d{3}-[01]\d-[0-3]\d")


@dataclass(frozen=True)
class Link:
    """child.columns refer to parent.parent_columns, by place; tables by folded name."""

    child: str
    columns: Places
    parent: str
    parent_columns: Places


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
        pairs = [(row[one], row[other]) for row in self.rows]
        counts, first = Counter(cell for _, cell in pairs), dict(reversed(pairs))
        repeats = len(pairs) - len(first)
        if len(counts) < 2 or any(first[cell] != found for cell, found in pairs):
            return False
        chance = sum(count * count for count in counts.values()) / len(pairs) ** 2
        return repeats * math.log(chance) < math.log(BY_CHANCE)

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

    def witnesses(self, name: str, rng: random.Random) -> set[int]:
        """Numbers of rows that are left alone, a share of those that hold a literal of a gold."""
        table = self.tables[name]
        wanted = [(place, set(self.near[column])) for place, column in enumerate(table.columns) if column in self.near]
        found = (i for i, row in enumerate(table.rows) if any(row[place] in values for place, values in wanted))
        return {i for i in found if rng.random() < KEPT_WITNESSES}


def changed(contents: Contents, kind: str, rng: random.Random) -> tuple[Contents, Contents]:
    """The rows that are kept, and what becomes of them: cells change, and new rows stand behind them."""
    steps = {"permute": permuted, "near": neared, "extend": extended}
    kept = reduced(contents, rng) if "reduce" in STEPS[kind] else contents
    after = kept
    for step in STEPS[kind]:
        after = steps[step](after, rng) if step in steps else after
    return kept, after


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
    """About three tenths of the rows of each table less, children first: none goes that one left refers to."""
    left = contents
    for name in reversed(list(contents.tables)):
        rows, still = contents.tables[name].rows, contents.witnesses(name, rng)
        spare = [number for number in range(len(rows)) if number not in still]
        most = min(_part(len(rows), GONE, rng), len(rows) - 1)
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


def _part(rows: int, mean: float, rng: random.Random) -> int:
    """Another share for each table, so that tables of one size do not keep one size."""
    return int(rows * mean * rng.uniform(0.5, 1.5) + rng.random())


def neared(contents: Contents, rng: random.Random) -> Contents:
    """A few cells of each column that golds compare take a value near the one that they compare with."""
    found: dict[str, Sequence[Row]] = {}
    for name, table in contents.tables.items():
        still = contents.witnesses(name, rng)
        free = [number for number in max(table.alike, key=len, default=[]) if number not in still]
        rows = [list(row) for row in table.rows]
        for place, values in _near(contents, name).items() if free else ():
            for value in rng.sample(values, min(len(values), 1 + len(free) // 8)):
                number = rng.choice(free)
                rows[number][place] = rows[number][place] if rows[number][place] is None else value
        found[name] = [tuple(row) for row in rows]
    return contents.with_rows(found)


def _near(contents: Contents, name: str) -> dict[int, list[Any]]:
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


def extended(contents: Contents, rng: random.Random) -> Contents:
    """About two fifths of the rows of each table more: new keys, references to rows that are there, other cells drawn
    from their column, shifted, or near a literal."""
    for name in contents.tables:
        contents = contents.with_rows({name: [*contents.tables[name].rows, *_more(contents, name, rng)]})
    return contents


def _more(contents: Contents, name: str, rng: random.Random) -> list[Row]:
    table = contents.tables[name]
    count = min(_part(len(table.rows), ADDED, rng), MOST_ADDED)
    makers = _Makers(contents, name, rng) if count else None
    taken = [table.values(places) for places in table.unique]
    found: list[Row] = []
    for _ in range(3 * count if makers else 0):
        row = makers.row() if makers and len(found) < count else None
        if row is None:
            break
        keys = [tuple(row[place] for place in places) for places in table.unique]
        if any(key in held for key, held in zip(keys, taken, strict=True)):
            continue
        for key, held in zip(keys, taken, strict=True):
            held.add(key)
        found.append(row)
    return found


class _Makers:
    """What makes the cells of new rows of one table."""

    def __init__(self, contents: Contents, name: str, rng: random.Random) -> None:
        self._table, self._rng = contents.tables[name], rng
        self._links = [(link, self._parents(contents, link)) for link in contents.links if link.child == name]
        linked = set(chain.from_iterable(link.columns for link, _ in self._links))
        keys = contents.keys(name)
        single = {places[0] for places in self._table.unique if len(places) == 1}
        self._fresh = {
            place: Fresh([row[place] for row in self._table.rows], place in keys, rng)
            for place in sorted((single | self._table.distinct) - linked)
        }
        self._near = _near(contents, name)
        free = [place for place in range(len(self._table.columns)) if place not in self._fresh]
        self._blocks = self._table.blocks(free)
        single = {block[0] for block in self._blocks if len(block) == 1} - keys
        self._ends = {place: _ends(self._table.rows, place) for place in single if _measures(self._table.rows, place)}
        self._alike = {number: alike for alike in self._table.alike for number in alike}

    def row(self) -> Row | None:
        """A new row; None when a reference that must be unique has nothing left to refer to."""
        rng, rows = self._rng, self._table.rows
        base = rng.randrange(len(rows))
        copied, alike = rng.random() < COPIED, self._alike[base]
        cells = list(rows[base])
        for block in self._blocks if not copied else ():
            source = rows[rng.choice(alike)]
            for place in block:
                cells[place] = self._cell(place, source[place])
        for place, fresh in self._fresh.items():
            cells[place] = fresh.value() if cells[place] is not None else None
        for link, parents in self._links:
            old = tuple(cells[place] for place in link.columns)
            if None in old or (copied and not self._once(link)):
                continue
            if not parents:
                return None
            chosen = parents.pop() if self._once(link) else rng.choice(parents)
            for place, cell in zip(link.columns, chosen, strict=True):
                cells[place] = cell
        return tuple(cells)

    def _cell(self, place: int, old: Any) -> Any:
        if old is None:
            return None
        if place in self._near and self._rng.random() < NEAR:
            return self._rng.choice(self._near[place])
        if place not in self._ends or self._rng.random() > SHIFTED:
            return old
        return beside(self._rng.choice((*self._ends[place], old)), self._rng)

    def _once(self, link: Link) -> bool:
        """Whether each parent may be referred to once."""
        return len(link.columns) == 1 and (
            link.columns in self._table.unique or link.columns[0] in self._table.distinct
        )

    def _parents(self, contents: Contents, link: Link) -> list[Row]:
        """Keys to refer to: those not yet referred to, where each may be once; else about half of all, so that some
        rows get many children and some none."""
        keys = sorted(contents.tables[link.parent].values(link.parent_columns), key=repr)
        if self._once(link):
            taken = {reference(row, link.columns) for row in self._table.rows}
            keys = [key for key in keys if reference(key, range(len(key))) not in taken]
            self._rng.shuffle(keys)
            return keys
        return self._rng.sample(keys, len(keys) // 2 + 1) if len(keys) > 2 else keys


def _measures(rows: Sequence[Row], place: int) -> bool:
    """Whether a column measures something: numbers or days, most of them different."""
    cells = [row[place] for row in rows if row[place] is not None]
    return len(set(cells)) > max(4, len(cells) // 2) and (
        all(type(cell) in (int, float) for cell in cells)
        or all(isinstance(cell, str) and _DATE.match(cell) for cell in cells)
    )


def _ends(rows: Sequence[Row], place: int) -> tuple[Any, Any]:
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
        self._ends = _ends(rows, 0) if not counted and _measures(rows, 0) else ()

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
