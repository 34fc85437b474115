"""A domain with its rows, indexed for the grammar, and the random draws made in it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from evaluation.tiny.domain import Bridge, Column, Domain, Link, Table
from evaluation.tiny.rows import Row, Rows, primary_key

T = TypeVar("T")
MEASURES = ("number", "year", "date")
PERSONAL = frozenset(("birth year", "year of birth", "birth date", "date of birth", "hire date", "hiring date",
                      "salary", "pay", "wage", "nationality", "joining date", "date of joining"))  # fmt: skip


@dataclass(frozen=True)
class Crossing:
    """A bridge seen from one side: `table` -> bridge -> `other`; verbs follow the noun of `table`."""

    bridge: Bridge
    table: str
    key: str
    other: str
    other_key: str
    verbs: tuple[str, ...]


class World:
    """Everything that a rule of the grammar may ask for. `rng` makes all draws, so a seed fixes the questions.

    `span`: over how many tables the next subject shall stretch.
    """

    def __init__(self, domain: Domain, rows: Rows, rng: random.Random) -> None:
        self.domain, self.rows, self.rng = domain, rows, rng
        self.span = 1
        self.position = {t.name: {c.name: i for i, c in enumerate(t.columns)} for t in domain.tables}
        self.entities = [t for t in domain.tables if not t.bridge]
        bridges = {t.name for t in domain.tables if t.bridge}
        self.links = [k for k in domain.links if k.child not in bridges and k.child != k.parent]
        self.up = {t.name: [k for k in self.links if k.child == t.name and k.of_parent] for t in domain.tables}
        self.down = {t.name: [k for k in self.links if k.parent == t.name and k.has_child] for t in domain.tables}
        self.crossings: dict[str, list[Crossing]] = {t.name: [] for t in domain.tables}
        for b in domain.bridges:
            if b.left != b.right:
                self.crossings[b.left].append(Crossing(b, b.left, b.left_fk, b.right, b.right_fk, b.left_verb))
                self.crossings[b.right].append(Crossing(b, b.right, b.right_fk, b.left, b.left_fk, b.right_verb))
        self.person = {t.name: self._is_person(t) for t in domain.tables}

    def _is_person(self, table: Table) -> bool:
        """Whether one says "who": a phrase does so, or there is an age or a pay."""
        said = [p for k in self.up[table.name] for p in k.of_parent]
        said += [p for k in self.down[table.name] for p in k.has_child]
        said += [p for c in self.crossings[table.name] for p in c.verbs]
        words = {word for column in table.columns for word in column.words}
        return any(p.startswith("who ") for p in said) or bool(words & PERSONAL)

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self.rng.random() * len(items))]

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def word(self, column: Column) -> str:
        """A noun for the column, the most usual one more often than not."""
        return column.words[0] if len(column.words) == 1 or self.chance(0.6) else self.pick(column.words[1:])

    def columns(self, table: Table, *kinds: str) -> list[Column]:
        return [c for c in table.columns if c.kind in kinds]

    def values(self, table: Table, column: str, rows: Sequence[Row] | None = None) -> list:
        """The values of a column, NULLs included, over some rows or all."""
        i = self.position[table.name][column]
        return [row[i] for row in (self.rows[table.name] if rows is None else rows)]

    def link_keys(self, link: Link) -> list:
        """The parent id of each child row."""
        return self.values(self.domain.table(link.child), link.fk)

    def pairs(self, crossing: Crossing) -> list[tuple]:
        """(id of table, id of other) for each row of the bridge."""
        bridge = self.domain.table(crossing.bridge.table)
        return list(zip(self.values(bridge, crossing.key), self.values(bridge, crossing.other_key), strict=True))

    def ids(self, table: Table, rows: Sequence[Row] | None = None) -> list:
        return self.values(table, primary_key(table), rows)
