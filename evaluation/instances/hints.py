"""What golds say of a database: which columns they join, and which values they compare columns with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from evaluation.ordering import parse
from graph.schema import fold

End = tuple[str, str]  # folded table and column
_BOUNDS = (exp.GT, exp.GTE, exp.LT, exp.LTE)


@dataclass(frozen=True)
class Hints:
    """joins: pairs of ends that golds set equal. near: column, folded -> values that tell the golds' comparisons from
    others: the literal, its neighbours where it is a bound, texts that hold what a LIKE asks for."""

    joins: tuple[tuple[End, End], ...] = ()
    near: tuple[tuple[str, tuple[Any, ...]], ...] = ()


def hints(golds: Iterable[str]) -> Hints:
    """Of the golds of one database; what cannot be parsed says nothing.

    >>> hints(["SELECT 1 FROM a JOIN b ON a.x = b.y WHERE a.age > 30"])
    Hints(joins=((('a', 'x'), ('b', 'y')),), near=(('age', (29, 30, 31)),))
    """
    joins: set[tuple[End, End]] = set()
    near: dict[str, set[Any]] = {}
    for gold in dict.fromkeys(golds):
        tree = parse(gold)
        if tree is None:
            continue
        tables = {fold(table.alias_or_name): fold(table.name) for table in tree.find_all(exp.Table)}
        for node in tree.find_all(exp.Predicate):
            joins.update(_join(node, tables))
            for column, values in _compared(node):
                near.setdefault(column, set()).update(values)
    return Hints(tuple(sorted(joins)), tuple((name, tuple(sorted(near[name], key=repr))) for name in sorted(near)))


def _join(node: exp.Expr, tables: dict[str, str]) -> Iterator[tuple[End, End]]:
    sides = (node.args.get("this"), node.args.get("expression"))
    ends = [(tables.get(fold(side.table), ""), fold(side.name)) for side in sides if isinstance(side, exp.Column)]
    if isinstance(node, exp.EQ) and len(ends) == 2 and all(table for table, _ in ends) and ends[0] != ends[1]:
        yield (ends[0], ends[1]) if ends[0] < ends[1] else (ends[1], ends[0])


def _compared(node: exp.Expr) -> Iterator[tuple[str, list[Any]]]:
    column, other = node.args.get("this"), node.args.get("expression")
    if not isinstance(column, exp.Column):
        column, other = other, column
    if not isinstance(column, exp.Column):
        return
    found = [value for literal in _literals(node, other) if (value := _value(literal)) is not None]
    if isinstance(node, (exp.Like, exp.ILike)):
        found = [text for value in found if isinstance(value, str) for text in _holding(value)]
    elif isinstance(node, (*_BOUNDS, exp.Between)):
        found = [near for value in found for near in _around(value)]
    if found:
        yield fold(column.name), found


def _literals(node: exp.Expr, other: Any) -> list[Any]:
    if isinstance(node, exp.Between):
        return [node.args.get("low"), node.args.get("high")]
    return list(node.expressions) if isinstance(node, exp.In) else [other]


def _value(literal: Any) -> Any:
    """A literal's value; a quoted name may be one, as in WHERE city = "Rome"."""
    if isinstance(literal, exp.Column) and not literal.table and literal.this.args.get("quoted"):
        return literal.name
    if isinstance(literal, exp.Neg):
        value = _value(literal.this)
        return -value if isinstance(value, (int, float)) else None
    if not isinstance(literal, exp.Literal):
        return None
    if literal.is_string:
        return literal.this
    try:
        return int(literal.this)
    except ValueError:
        return float(literal.this)


def _around(value: Any) -> list[Any]:
    return [value] if isinstance(value, str) else [value - 1, value, value + 1]


def _holding(pattern: str) -> list[str]:
    """Texts that match a pattern at their start, at their end or inside, as far as it leaves them free; none where it
    does not: such a LIKE means equality, whatever the case."""
    if "%" not in pattern:
        return []
    core = pattern.strip("%").replace("%", " ").replace("_", "a")
    before, behind = ("a " * pattern.startswith("%"), " a" * pattern.endswith("%"))
    return list(dict.fromkeys((core, before + core, core + behind, before + core + behind))) if core else []
