"""Columns that a table can have, each with its English and the kinds of entity that it suits."""

from __future__ import annotations

from dataclasses import dataclass

from evaluation.tiny.domain import Column
from evaluation.tiny.domain import Kind as ColumnKind
from sft.pretraining.vocabulary.choices import CATEGORIES, FLAGS
from sft.pretraining.vocabulary.entities import KINDS, Kind
from sft.pretraining.vocabulary.measures import DATES, DEGREES, NUMBERS, YEARS
from sft.pretraining.vocabulary.pools import POOLS


@dataclass(frozen=True)
class Attribute:
    """column.name is snake_case, to be respelled; suits: the kinds of entity it fits; bridge: for a bridge table."""

    column: Column
    suits: tuple[Kind, ...]
    bridge: bool = False


# kind, name, words, low, high, step, unit or pool: columns of a bridge table
BRIDGE_COLUMNS: tuple[tuple[ColumnKind, str, str, float, float, float, str], ...] = (
    ("number", "quantity", "|number of units", 1, 40, 1, "units"),
    ("number", "hours", "number of hours|hours", 1, 200, 1, "hours"),
    ("number", "share", "|percentage", 1, 100, 1, "percent"),
    ("number", "score", "", 1, 100, 1, "points"),
    ("number", "fee", "", 10, 900, 5, "dollars"),
    ("number", "ranking", "", 1, 20, 1, ""),
    ("year", "since_year", "starting year", 1995, 2024, 1, ""),
    ("date", "assigned_on", "assignment date", 2016, 2024, 1, ""),
    ("date", "start_date", "", 2014, 2024, 1, ""),
    ("category", "role", "", 0, 0, 1, "role"),
    ("category", "grade", "", 0, 0, 1, "grade"),
    ("category", "result", "", 0, 0, 1, "result"),
    ("category", "medal", "", 0, 0, 1, "medal"),
)


def _words(name: str, text: str) -> tuple[str, ...]:
    """Synonyms split at "|", where an empty one stands for the name with spaces."""
    return tuple(word or name.replace("_", " ") for word in text.split("|"))


def _kinds(text: str) -> tuple[Kind, ...]:
    return tuple(kind for kind in KINDS if kind in text.split())


def _measured(
    kind: ColumnKind, name: str, words: str, low: float, high: float, step: float, degree: str, unit: str, suits: str
) -> Attribute:
    more, less, most, least = (tuple(part.split("|")) if part else () for part in DEGREES[degree])
    column = Column(name, kind, _words(name, words), (), low, high, step, more, less, most, least, unit)
    return Attribute(column, _kinds(suits))


def _dated(kind: ColumnKind, name: str, words: str, first: int, last: int, degree: str, suits: str) -> Attribute:
    return _measured(kind, name, words, first, last, 1, degree, "", suits)


def _chosen(name: str, words: str, pool: str, adjective: str, suits: str) -> Attribute:
    return Attribute(Column(name, "category", _words(name, words), POOLS[pool], adjective=adjective), _kinds(suits))


def _bridging(kind: ColumnKind, name: str, words: str, low: float, high: float, step: float, last: str) -> Attribute:
    if kind == "category":
        return Attribute(Column(name, kind, _words(name, words), POOLS[last]), (), True)
    return Attribute(Column(name, kind, _words(name, words), low=low, high=high, step=step, unit=last), (), True)


ATTRIBUTES: tuple[Attribute, ...] = (
    *(_measured("number", *row) for row in NUMBERS),
    *(_dated("year", *row) for row in YEARS),
    *(_dated("date", *row) for row in DATES),
    *(Attribute(Column(n, "flag", _words(n, words), adjective=adj), _kinds(kinds)) for n, words, adj, kinds in FLAGS),
    *(_chosen(*row) for row in CATEGORIES),
    *(_bridging(*row) for row in BRIDGE_COLUMNS),
)


def clash(first: Column, second: Column) -> bool:
    """Whether two columns of one table would share an identifier, a noun or a superlative, and so be ambiguous."""
    if first.name == second.name or set(first.words) & set(second.words):
        return True
    if first.pool and set(first.pool) & set(second.pool):
        return True
    return bool(set(first.most + first.least) & set(second.most + second.least))
