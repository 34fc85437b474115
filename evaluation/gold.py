"""What a gold query needs of its schema: the tables and columns that it names, its joins and its bridge tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from graph.schema import Schema, fold

End = tuple[str, str]  # (table, column), both folded


@dataclass(frozen=True)
class Gold:
    """Names are folded (`graph.schema.fold`).

    columns: those that are named; a star names none. joins: pairs of columns of two tables that the query sets equal.
    bridges: tables that join two others, and of which the query uses nothing else.
    """

    tables: frozenset[str]
    columns: frozenset[End]
    bridges: frozenset[str]
    joins: frozenset[frozenset[End]]


@lru_cache(maxsize=20_000)
def gold_parts(sql: str, schema: Schema) -> Gold:
    """sqlglot.errors.SqlglotError: the query does not parse, or names what the schema does not have.

    >>> from graph.schema import Column, Table
    >>> shop = Schema("s", (Table("item", (Column("id", "INT"),)), Table("sale", (Column("item_id", "INT"),))))
    >>> sorted(gold_parts("SELECT count(*) FROM sale JOIN item ON item_id = id", shop).columns)
    [('item', 'id'), ('sale', 'item_id')]
    """
    tables: set[str] = set()
    columns: set[End] = set()
    outside_joins: set[str] = set()
    joined: set[frozenset[End]] = set()
    for scope in traverse_scope(_qualified(sql, schema)):
        here = {fold(source.name) for source in scope.sources.values() if isinstance(source, exp.Table)}
        tables |= here
        for column in scope.columns:
            end = _end(scope, column)
            if end is None:
                continue
            columns.add(end)
            other = _other_side(scope, column)
            if other is None:
                outside_joins.add(end[0])
            else:
                joined.add(frozenset((end, other)))
    bridges = {table for table in tables - outside_joins if len(_neighbours(table, joined)) > 1}
    return Gold(frozenset(tables), frozenset(columns), frozenset(bridges), frozenset(joined))


def _neighbours(table: str, joined: set[frozenset[End]]) -> set[str]:
    pairs = ({end[0] for end in ends} for ends in joined)
    return {name for pair in pairs if table in pair for name in pair - {table}}


def _qualified(sql: str, schema: Schema) -> exp.Expression:
    """Every column with its table. SQLite reads "x" as a text where no column is called so."""
    names = {fold(column.name) for table in schema.tables for column in table.columns}

    def text_or_column(node: Any) -> Any:
        quoted = isinstance(node, exp.Column) and not node.table and node.this.args.get("quoted")
        return exp.Literal.string(node.name) if quoted and fold(node.name) not in names else node

    tree = sqlglot.parse_one(sql, dialect="sqlite").transform(text_or_column)
    described: dict[str, Any] = {t.name: {column.name: "text" for column in t.columns} for t in schema.tables}
    found: Any = qualify(
        tree, schema=described, dialect="sqlite", expand_stars=False, quote_identifiers=False, identify=False
    )
    return found


def _end(scope: Scope, column: Any) -> End | None:
    """The column of a table of the schema; None for one of a subquery, or of an outer query's other scope."""
    source = scope.sources.get(column.table) if isinstance(column, exp.Column) else None
    return (fold(source.name), fold(column.name)) if isinstance(source, exp.Table) else None


def _other_side(scope: Scope, column: exp.Column) -> End | None:
    """The column of another table that this one is set equal to, in ON or WHERE; None when it is used otherwise."""
    equal = column.parent
    if not isinstance(equal, exp.EQ):
        return None
    other = _end(scope, equal.right if equal.left is column else equal.left)
    return other if other and other[0] != fold(_table(scope, column)) else None


def _table(scope: Scope, column: exp.Column) -> str:
    source = scope.sources[column.table]
    return source.name if isinstance(source, exp.Table) else ""
