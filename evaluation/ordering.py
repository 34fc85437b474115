"""What the ORDER BY and LIMIT of a gold query say about its rows, and what they leave open.

`ORDER BY age LIMIT 1` with two youngest singers has two right answers, and SQLite picks one. So the gold query is run
once more without its LIMIT, with its sort keys as further columns and with a number that SQLite gives to each run of
equal keys, by its own collations: such a run is a tie group. Without ORDER BY all rows are one.
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
    """A gold query without its LIMIT, its last `added` columns being sort keys.

    terms: of its order, over the columns c0, c1, …; start: the expression of its OFFSET; distinct: whether the rows
    without the keys must be distinct, or else a row has several places.
    """

    rows: str
    added: int
    terms: tuple[str, ...]
    start: str
    distinct: bool

    def sql(self, width: int) -> str:
        """The query that shows width columns, the keys, the number of the tie group and the first row's place."""
        columns = ", ".join(f"c{place}" for place in range(width + self.added))
        tie = f"dense_rank() OVER (ORDER BY {', '.join(self.terms)})"
        for place in range(self.added):
            tie = tie.replace(f"{{key{place}}}", f"c{width + place}")
        return (
            f'WITH "gold rows"({columns}) AS ({self.rows}) SELECT *, {tie if self.terms else 1} AS tie, '
            f'max(0, CAST(({self.start}) AS INTEGER)) AS start FROM "gold rows" ORDER BY tie'
        )


@lru_cache(maxsize=50_000)
def is_ordered(sql: str) -> bool:
    """Whether the outermost query orders its rows. One that cannot be parsed is searched outside its parentheses."""
    tree = parse(sql)
    return _orders_outside_parentheses(sql) if tree is None else tree.args.get("order") is not None


def is_distinct(sql: str) -> bool:
    """Whether the outermost query is a SELECT DISTINCT."""
    tree = parse(sql)
    return isinstance(tree, exp.Select) and tree.args.get("distinct") is not None


def chooses(sql: str) -> bool:
    """Whether the outermost query has an ORDER BY or a LIMIT; one that cannot be parsed may have."""
    tree = parse(sql)
    return tree is None or bool(tree.args.get("order") or tree.args.get("limit"))


@lru_cache(maxsize=50_000)
def keyed_query(sql: str) -> KeyedQuery | None:
    """The query that shows the ties; None where nothing is ordered or cut, or it cannot be shown in one more query."""
    tree = parse(sql)
    if tree is None or not chooses(sql) or isinstance(tree, exp.Subquery):
        return None
    offset, order = tree.args.get("offset"), tree.args.get("order")
    ordered = order.expressions if order else []
    tree = tree.copy()
    bases = [term.this.this if isinstance(term.this, exp.Collate) else term.this for term in ordered]
    places = [_output_position(tree, base) for base in bases]
    added = [base.copy() for base, place in zip(bases, places, strict=True) if place is None]
    if added and not isinstance(tree, exp.Select):  # of a set operation, whose rows another column would change
        return None
    names = (f"{{key{number}}}" for number in range(len(added)))
    columns = [next(names) if place is None else f"c{place}" for place in places]
    for number, key in enumerate(added):
        tree.append("expressions", exp.alias_(key, f"_sort_key_{number}"))
    for clause in ("limit", "offset", "order"):
        tree.set(clause, None)
    terms = tuple(_term(column, term) for column, term in zip(columns, ordered, strict=True))
    distinct = bool(added) and tree.args.get("distinct") is not None
    return KeyedQuery(
        tree.sql("sqlite", copy=False), len(added), terms, offset.expression.sql("sqlite") if offset else "0", distinct
    )


def _term(column: str, ordered: exp.Ordered) -> str:
    """A sort term of the same direction and collation over a column."""
    collation = f" COLLATE {ordered.this.expression.name}" if isinstance(ordered.this, exp.Collate) else ""
    direction = " DESC" if ordered.args.get("desc") else ""
    return f"{column}{collation}{direction} NULLS {'FIRST' if ordered.args.get('nulls_first') else 'LAST'}"


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


def _orders_outside_parentheses(sql: str) -> bool:
    depth, outside = 0, []
    for character in sql:
        depth += (character == "(") - (character == ")")
        outside.append(character if depth == 0 else " ")
    return "order by" in " ".join("".join(outside).lower().split())
