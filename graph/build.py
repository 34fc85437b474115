"""Schema -> a networkx multigraph of tables, columns and joins; and joins that the schema forgot to declare.

    node  (table,)           kind = "table" | "view"
    node  (table, column)    kind = "column"
    edge  (table,) — (table, column)   kind = "owns" | "primary_key"
    edge  (table,) — (table,)          kind = "declared" | "inferred", key = the Join itself

Two keys between the same tables (flight.source and flight.destination, both an airport) are two edges.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import networkx

from graph.schema import Column, ForeignKey, Schema, Table
from graph.targets import Cells, Target, Targets, Values


@dataclass(frozen=True)
class Join:
    """key.table joins key.parent on the pairs of key; inferred = not declared in the database."""

    key: ForeignKey
    kind: Literal["declared", "inferred"]


def schema_graph(schema: Schema, infer: bool = True, values: Values | None = None) -> networkx.MultiGraph:
    """All tables, columns and joins, in declaration order, so that the same schema gives the same graph.

    values: cells that help to infer joins, see `inferred_keys`.

    >>> a = Table("city", (Column("city_id", "INTEGER", True),))
    >>> b = Table("shop", (Column("id", "INTEGER", True), Column("city_id", "INTEGER")))
    >>> [join.kind for _, _, join in schema_graph(Schema("s", (a, b))).edges(keys=True) if join]
    ['inferred']
    """
    graph = networkx.MultiGraph(name=schema.name)
    for table in schema.tables:
        graph.add_node((table.name,), kind="view" if table.is_view else "table")
        for column in table.columns:
            graph.add_node((table.name, column.name), kind="column", type=column.type)
            kind = "primary_key" if column.primary_key else "owns"
            graph.add_edge((table.name,), (table.name, column.name), key=None, kind=kind)
    for join in joins(schema, infer, values):
        graph.add_edge((join.key.table,), (join.key.parent,), key=join, kind=join.kind)
    return graph


def joins(schema: Schema, infer: bool = True, values: Values | None = None) -> tuple[Join, ...]:
    """The declared joins, then the inferred ones."""
    declared = [Join(key, "declared") for key in schema.foreign_keys]
    inferred = [Join(key, "inferred") for key in inferred_keys(schema, values)] if infer else []
    return (*declared, *inferred)


def inferred_keys(schema: Schema, values: Values | None = None) -> tuple[ForeignKey, ...]:
    """Keys that names, types and cells suggest and the schema does not declare.

    A column points to the single-column key of another table (where none is declared, the column named after it) when
    both have the same name, unless it is one that says nothing ("id", "name"), or when it is named after that table and
    its key ("country_code" -> country.code); their types must be of one affinity. Of several such targets, it is the
    table that the column is named after, else the column is left alone, as one with a declared key is.

    values: distinct cells of (table, column), spelled as the schema spells them, a bounded sample. They drop a target
    that holds few of the column's cells, decide between several, and admit what the name alone leaves open when the
    target holds nearly all: a type of another affinity, or a longer name ("host_city_id" -> city.city_id).

    >>> a = Table("countries", (Column("code", "TEXT", True),))
    >>> b = Table("city", (Column("id", "INTEGER", True), Column("CountryCode", "CHAR(3)")))
    >>> inferred_keys(Schema("world", (a, b)))
    (ForeignKey(table='city', columns=('CountryCode',), parent='countries', parent_columns=('code',)),)
    """
    declared = {frozenset(_ends(key)) for key in schema.foreign_keys}
    pointing = {(key.table, column) for key in schema.foreign_keys for column in key.columns}
    found: dict[frozenset[tuple[str, tuple[str, ...]]], ForeignKey] = {}
    cells, targets = Cells(values or {}), Targets(schema)
    for table, column in _columns_of_tables(schema):
        if (table.name, column.name) in pointing:
            continue
        target = _target(table, column, targets, cells)
        if target is not None:
            key = ForeignKey(table.name, (column.name,), target.table, (target.column.name,))
            found.setdefault(frozenset(_ends(key)), key)
    return tuple(key for ends, key in found.items() if ends not in declared)


def _target(table: Table, column: Column, targets: Targets, cells: Cells) -> Target | None:
    """What the column points to, if that is clear."""
    likely = [
        target
        for target in targets.named(table.name, column.name)
        if cells.allow(table.name, column.name, target)
        and (affinity(target.column.type) == affinity(column.type) or cells.confirm(table.name, column.name, target))
    ]
    if not likely:
        resembling = targets.resembling(table.name, column.name)
        likely = [target for target in resembling if cells.confirm(table.name, column.name, target)]
    if len(likely) > 1:
        likely = [target for target in likely if target.names(column.name)] or likely
    if len(likely) > 1:
        likely = cells.best(table.name, column.name, likely)
    return likely[0] if len(likely) == 1 else None


def affinity(declared: str) -> str:
    """SQLite's type affinity of a declared type; numbers are one class, since integers are stored in either.

    >>> affinity("VARCHAR(20)"), affinity("int"), affinity("DECIMAL(9,2)"), affinity("")
    ('TEXT', 'NUMBER', 'NUMBER', '')
    """
    name = declared.upper()
    if "INT" in name:
        return "NUMBER"
    if re.search("CHAR|CLOB|TEXT", name):
        return "TEXT"
    return "" if not name or "BLOB" in name else "NUMBER"


def _columns_of_tables(schema: Schema) -> Iterator[tuple[Table, Column]]:
    return ((table, column) for table in schema.tables if not table.is_view for column in table.columns)


def _ends(key: ForeignKey) -> tuple[tuple[str, tuple[str, ...]], tuple[str, tuple[str, ...]]]:
    return (key.table, key.columns), (key.parent, key.parent_columns)
