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

# Names that say nothing about what they identify.
_ANONYMOUS = frozenset({"id", "name", "code", "key", "no", "number", "type", "date", "year", "title", "description"})


@dataclass(frozen=True)
class Join:
    """key.table joins key.parent on the pairs of key; inferred = not declared in the database."""

    key: ForeignKey
    kind: Literal["declared", "inferred"]


def schema_graph(schema: Schema, infer: bool = True) -> networkx.MultiGraph:
    """All tables, columns and joins, in declaration order, so that the same schema gives the same graph.

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
    for join in joins(schema, infer):
        graph.add_edge((join.key.table,), (join.key.parent,), key=join, kind=join.kind)
    return graph


def joins(schema: Schema, infer: bool = True) -> tuple[Join, ...]:
    """The declared joins, then the inferred ones."""
    declared = [Join(key, "declared") for key in schema.foreign_keys]
    inferred = [Join(key, "inferred") for key in inferred_keys(schema)] if infer else []
    return (*declared, *inferred)


def inferred_keys(schema: Schema) -> tuple[ForeignKey, ...]:
    """Keys that names and types suggest and the schema does not declare.

    A column points to the single-column primary key of another table when both have the same name, unless it is one
    that says nothing ("id", "name"), or when it is named after that table and its key ("country_code" -> country.code);
    their types must be of one affinity. A column with a declared key, or with several such targets, is left alone.

    >>> a = Table("countries", (Column("code", "TEXT", True),))
    >>> b = Table("city", (Column("id", "INTEGER", True), Column("CountryCode", "CHAR(3)")))
    >>> inferred_keys(Schema("world", (a, b)))
    (ForeignKey(table='city', columns=('CountryCode',), parent='countries', parent_columns=('code',)),)
    """
    declared = {frozenset(_ends(key)) for key in schema.foreign_keys}
    pointing = {(key.table, column) for key in schema.foreign_keys for column in key.columns}
    found: dict[frozenset[tuple[str, tuple[str, ...]]], ForeignKey] = {}
    index = _targets_by_name(schema)
    for table, column in _columns_of_tables(schema):
        if (table.name, column.name) in pointing:
            continue
        named = index.get(_letters(column.name), [])
        parents = [
            (parent, (target.name,))
            for parent, target in named
            if parent != table.name and affinity(target.type) == affinity(column.type)
        ]
        if len(parents) == 1:
            key = ForeignKey(table.name, (column.name,), *parents[0])
            found.setdefault(frozenset(_ends(key)), key)
    return tuple(key for ends, key in found.items() if ends not in declared)


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


def _targets_by_name(schema: Schema) -> dict[str, list[tuple[str, Column]]]:
    """What a column may be called -> the tables, with their single-column key, that it then seems to point to."""
    index: dict[str, list[tuple[str, Column]]] = {}
    for table in schema.tables:
        keys = [column for column in table.columns if column.primary_key]
        if len(keys) == 1:
            for name in sorted(_names_for(table.name, keys[0].name)):
                index.setdefault(name, []).append((table.name, keys[0]))
    return index


def _names_for(table: str, key: str) -> set[str]:
    """What a column that points to this key may be called, letters and digits only."""
    key, plural = _letters(key), _letters(table)
    names = {plural + key, _singular(plural) + key}
    return names if key in _ANONYMOUS else names | {key}


def _singular(name: str) -> str:
    for plural, single in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("ss", "ss"), ("s", "")):
        if name.endswith(plural):
            return name.removesuffix(plural) + single
    return name


def _letters(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())


def _ends(key: ForeignKey) -> tuple[tuple[str, tuple[str, ...]], tuple[str, tuple[str, ...]]]:
    return (key.table, key.columns), (key.parent, key.parent_columns)
