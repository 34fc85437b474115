"""More rows for the same tables: new keys, references to rows that are there, cells that others have or might have."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from evaluation.instances.contents import Contents, Link, Places, Row, near_values, part, reference
from evaluation.instances.fresh import Fresh, beside, ends_of, is_ordered, measures, past

ADDED, MOST_ADDED = 0.4, 2000  # mean share of a table's rows, and a bound in rows
COPIED = 0.3  # share of the new rows that differ from an old one in their keys alone
NEAR, SHIFTED = 0.25, 0.3  # shares of new cells that lie near a literal, or beside a value that is there
FAVOURED = 0.3  # share of new cells that take the one value that is drawn more often
BEYOND = 0.06  # share of new cells past the last of values that many rows share, as the years of a season


def extended(contents: Contents, rng: random.Random) -> Contents:
    """About two fifths of the rows of each table more: new keys, references to rows that are there, other cells drawn
    from their column, shifted, or near a literal."""
    for name in contents.tables:
        contents = contents.with_rows({name: [*contents.tables[name].rows, *_more(contents, name, rng)]})
    return contents


def _more(contents: Contents, name: str, rng: random.Random) -> list[Row]:
    table = contents.tables[name]
    count = min(part(len(table.rows), ADDED, rng), MOST_ADDED)
    makers = _Makers(contents, name, rng) if count else None
    taken = [table.values(places) for places in table.unique]
    found: list[Row] = []
    copies = int(count * COPIED + rng.random())
    for _ in range(3 * count if makers else 0):
        copied = len(found) >= count - copies  # the last ones, so that new rows may be what is copied
        row = makers.row(found, copied) if makers and len(found) < count else None
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
        self._near = near_values(contents, name)
        free = [place for place in range(len(self._table.columns)) if place not in self._fresh]
        self._blocks = self._table.blocks(free)
        ordered = [place for place in free if place not in keys and is_ordered(self._table.rows, place)]
        self._measured = [place for place in ordered if measures(self._table.rows, place)]
        alone = [place for place in ordered if (place,) in self._blocks]
        self._ends = {place: ends_of(self._table.rows, place) for place in alone}
        self._outer: list[Row] | None = None
        self._favourites: dict[tuple[Places, int], int] = {}
        self._alike = {number: alike for alike in self._table.alike for number in alike}

    def row(self, made: Sequence[Row], copied: bool) -> Row | None:
        """A row to follow those made, new but for its keys or all over; None when a reference that must be unique has
        nothing left to refer to."""
        rng = self._rng
        cells = self._copy(made) if copied else self._mixture()
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

    def _mixture(self) -> list[Any]:
        """Each cell, or block of them, of another row."""
        rng, rows = self._rng, self._table.rows
        base = rng.randrange(len(rows))
        cells, alike = list(rows[base]), self._alike[base]
        for block in self._blocks:
            source = rows[self._favoured(block, alike) if rng.random() < FAVOURED else rng.choice(alike)]
            for place in block:
                cells[place] = self._cell(place, source[place])
        return cells

    def _favoured(self, block: Places, alike: Sequence[int]) -> int:
        """A row with a value that new rows have more often, any of those there: the most frequent must not stay so."""
        key = (block, alike[0])
        if key not in self._favourites:
            one_each = {self._table.rows[number][block[0]]: number for number in alike}
            self._favourites[key] = self._rng.choice(list(one_each.values()))
        return self._favourites[key]

    def _copy(self, made: Sequence[Row]) -> list[Any]:
        """The cells of a row that is first or last by what a column measures, each once, then of any: the first three
        are not the first three distinct ones."""
        if self._outer is None:
            rows = [*self._table.rows, *made]
            held = ((place, [row for row in rows if row[place] is not None]) for place in self._measured)
            self._outer = [end(some, key=itemgetter(place)) for place, some in held for end in (min, max)]
            self._rng.shuffle(self._outer)
        return list(self._outer.pop() if self._outer else self._rng.choice(self._table.rows))

    def _cell(self, place: int, old: Any) -> Any:
        if old is None:
            return None
        if place in self._near and self._rng.random() < NEAR:
            return self._rng.choice(self._near[place])
        measured = place in self._measured
        if place not in self._ends or self._rng.random() > (SHIFTED if measured else BEYOND):
            return old
        ends = self._ends[place]
        return beside(self._rng.choice((*ends, old)), self._rng) if measured else past(ends, self._rng)

    def _once(self, link: Link) -> bool:
        """Whether each parent may be referred to once."""
        return len(link.columns) == 1 and (
            link.columns in self._table.unique or link.columns[0] in self._table.distinct
        )

    def _parents(self, contents: Contents, link: Link) -> list[Row]:
        """Keys to refer to: those not yet referred to, where each may be once; else about half of all, so that some
        rows get many children and some none, those with a literal of a gold being a quarter or more of them."""
        keys = sorted(contents.tables[link.parent].values(link.parent_columns), key=repr)
        if self._once(link):
            taken = {reference(row, link.columns) for row in self._table.rows}
            keys = [key for key in keys if reference(key, range(len(key))) not in taken]
            self._rng.shuffle(keys)
            return keys
        some = self._rng.sample(keys, len(keys) // 2 + 1) if len(keys) > 2 else keys
        rows = contents.tables[link.parent].rows
        asked = {tuple(rows[i][place] for place in link.parent_columns) for i in contents.holders(link.parent)}
        wanted = [key for key in keys if key in asked]
        return some + wanted * (1 + len(some) // (3 * len(wanted))) if wanted else some
