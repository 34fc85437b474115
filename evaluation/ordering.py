"""What the ORDER BY of a gold query says about its rows, and what it leaves open.

`ORDER BY age LIMIT 1` with two youngest singers has two right answers, and SQLite picks one. So the gold query is run
once more without its LIMIT and with its sort keys as further columns; rows with equal keys are a tie group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import sqlglot
from sqlglot import exp

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Ranking:
    """All rows of a gold query before LIMIT and OFFSET, best first, each with its sort key; `start` is the OFFSET.

    >>> tie_groups(Ranking((("Ann",), ("Bob",), ("Cy",)), ((20,), (20,), (30,)), 0).keys)
    [(0, 2), (2, 3)]
    """

    rows: tuple[Row, ...]
    keys: tuple[Row, ...]
    start: int = 0


@dataclass(frozen=True)
class KeyedQuery:
    """A gold query without its LIMIT. Its last `added` columns are sort keys; the others stand at `positions`.

    changed: False when gold itself already shows all rows and keys, so that nothing more need be run.
    """

    sql: str
    positions: tuple[int, ...]
    added: int
    start: int
    changed: bool


@lru_cache(maxsize=50_000)
def is_ordered(sql: str) -> bool:
    """Whether the outermost query orders its rows. One that cannot be parsed is searched outside its parentheses."""
    tree = parse(sql)
    return _orders_outside_parentheses(sql) if tree is None else tree.args.get("order") is not None


@lru_cache(maxsize=50_000)
def keyed_query(sql: str) -> KeyedQuery | None:
    """The query that shows the sort keys; None where there is no order, or it cannot be shown in one more query."""
    tree = parse(sql)
    if tree is None or tree.args.get("order") is None or isinstance(tree, exp.Subquery):
        return None
    start = _whole_number(tree.args.get("offset"))
    if start is None or (tree.args.get("limit") is not None and _whole_number(tree.args["limit"]) is None):
        return None
    limited = tree.args.get("limit") is not None
    tree = tree.copy()
    keys = [ordered.this for ordered in tree.args["order"].expressions]
    found = [_output_position(tree, key) for key in keys]
    added = [key.copy() for key, position in zip(keys, found, strict=True) if position is None]
    if added and not _can_show_more(tree):
        return None
    for number, key in enumerate(added):
        tree.append("expressions", exp.alias_(key, f"_sort_key_{number}"))
    tree.set("limit", None)
    tree.set("offset", None)
    positions = tuple(position for position in found if position is not None)
    return KeyedQuery(tree.sql("sqlite"), positions, len(added), start, changed=limited or bool(added))


def tie_groups(keys: Sequence[Row]) -> list[tuple[int, int]]:
    """[first, last) of each run of equal keys."""
    edges = [0, *(place for place in range(1, len(keys)) if keys[place] != keys[place - 1]), len(keys)]
    return list(pairwise(edges)) if keys else []


@lru_cache(maxsize=50_000)
def parse(sql: str) -> exp.Query | None:
    """The tree of a query in SQLite's dialect; None when sqlglot cannot read it. Do not change it: it is shared."""
    try:
        tree = sqlglot.parse_one(sql, read="sqlite")
    except (sqlglot.errors.SqlglotError, RecursionError):
        return None
    return tree if isinstance(tree, exp.Query) else None


def _output_position(tree: exp.Query, key: exp.Expr) -> int | None:
    """The output column that a key names by number, alias or expression (in this order); None when it is none."""
    if isinstance(key, exp.Literal) and not key.is_string:
        return int(key.this) - 1
    outputs = tree.selects
    if any(output.is_star for output in outputs):
        return None
    names = [output.alias if isinstance(tree, exp.Select) else output.alias_or_name for output in outputs]
    if isinstance(key, exp.Column) and not key.table:
        for position, name in enumerate(names):
            if name.lower() == key.name.lower():
                return position
    return next((position for position, output in enumerate(outputs) if output.unalias() == key), None)


def _can_show_more(tree: exp.Query) -> bool:
    """A column may be added to a plain SELECT; after DISTINCT or in a set operation it would change the rows."""
    return isinstance(tree, exp.Select) and tree.args.get("distinct") is None


def _whole_number(clause: exp.Expr | None) -> int | None:
    """0 for no clause, n for LIMIT n or OFFSET n, None for anything else."""
    if clause is None:
        return 0
    value = clause.expression
    return int(value.this) if isinstance(value, exp.Literal) and value.this.isdigit() else None


def _orders_outside_parentheses(sql: str) -> bool:
    depth, outside = 0, []
    for character in sql:
        depth += (character == "(") - (character == ")")
        outside.append(character if depth == 0 else " ")
    return "order by" in " ".join("".join(outside).lower().split())
