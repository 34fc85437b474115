"""What a domain of the tiny benchmark is: a small database described in words, from which questions can be made.

A `Domain` is declarative, so that the same question grammar serves the hand-written domains of the benchmark
(`evaluation/tiny/domains/`) and the random schemas of the pre-training corpus (`sft/pretraining/corpus.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "id",  # integer primary key, never asked for
    "fk",  # foreign key, never asked for; see Domain.links
    "name",  # text that names the row ("Abbey Road"); unique within the table
    "category",  # text from a small pool, repeated over rows ("jazz")
    "number",  # integer or real measure ("price"), summed, averaged, compared
    "year",  # integer year
    "date",  # ISO date text YYYY-MM-DD
    "flag",  # text "yes" | "no"
]


@dataclass(frozen=True)
class Column:
    """One column and the English for it.

    words: noun phrases, the first the most usual ("release year", "year of release"); for `id` and `fk` may be ().
    pool:  values drawn for `name` (distinct) and `category`; believable and free of quotes.
    low, high, step: inclusive range of `number` and `year` (step 1 = INTEGER, fractional = REAL).
    more, less: comparatives for numbers, years and dates ("more expensive", "cheaper"); () = "higher", "lower".
    most, least: superlatives ("most expensive", "cheapest").
    unit: said after a number in a question ("dollars", "km"), may be "".
    adjective: how a category's value is said before the noun, "{}" -> "jazz albums"; a flag's, the word for "yes"
        ("retired authors"); "" = use "with".
    nullable: share of NULLs in the rows, 0.0 to 0.3.
    """

    name: str
    kind: Kind
    words: tuple[str, ...] = ()
    pool: tuple[str, ...] = ()
    low: float = 0
    high: float = 0
    step: float = 1
    more: tuple[str, ...] = ()
    less: tuple[str, ...] = ()
    most: tuple[str, ...] = ()
    least: tuple[str, ...] = ()
    unit: str = ""
    adjective: str = ""
    nullable: float = 0.0

    @property
    def sql_type(self) -> str:
        if self.kind in ("id", "fk", "year") or (self.kind == "number" and self.step == int(self.step)):
            return "INTEGER"
        return "REAL" if self.kind == "number" else "TEXT"


@dataclass(frozen=True)
class Table:
    """An entity table, or a bridge table when `bridge` is true (then never the subject of a question by itself).

    one, many: nouns for a row, parallel tuples of synonyms (("singer", "artist"), ("singers", "artists")).
    columns: first the `id`, then the `fk`s, then the rest. rows: how many rows the built database holds (12 to 60).
    """

    name: str
    one: tuple[str, ...]
    many: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: int = 24
    bridge: bool = False

    def column(self, name: str) -> Column:
        return next(c for c in self.columns if c.name == name)

    @property
    def title(self) -> Column | None:
        """The `name` column: what "the singers" are listed by."""
        return next((c for c in self.columns if c.kind == "name"), None)


@dataclass(frozen=True)
class Link:
    """A foreign key, and how English says it, in both directions.

    child.fk references parent's id. Phrases hold {} for the other side:
      of_parent:  follows the child noun, "{}" is a parent: concerts "held in {}" (held in Wembley / in a stadium ...)
      has_child:  follows the parent noun, "{}" is a plural child noun: stadiums "that hosted {}"
    For a fk of a bridge table, these are unused; see Bridge.
    """

    child: str
    fk: str
    parent: str
    of_parent: tuple[str, ...] = ()
    has_child: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bridge:
    """A many-to-many relation through a bridge table: left.id = bridge.left_fk, right.id = bridge.right_fk.

    left_verb:  follows the left noun, {} is a right: singers "who performed in {}"
    right_verb: follows the right noun, {} is a left: concerts "featuring {}"
    """

    table: str
    left: str
    left_fk: str
    right: str
    right_fk: str
    left_verb: tuple[str, ...]
    right_verb: tuple[str, ...]


@dataclass(frozen=True)
class Domain:
    """A database in words. `name` is its db_id."""

    name: str
    tables: tuple[Table, ...]
    links: tuple[Link, ...] = ()
    bridges: tuple[Bridge, ...] = field(default=())

    def table(self, name: str) -> Table:
        return next(t for t in self.tables if t.name == name)
