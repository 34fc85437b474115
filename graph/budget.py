"""A schema cut down until its prompt fits: the least relevant columns go first, the question never."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from graph.link import subschema
from graph.schema import Schema


def within(schema: Schema, scores: Mapping[tuple[str, ...], float], fits: Callable[[Schema], bool]) -> Schema:
    """The largest part of the schema that fits; the least is one column of one table, whether it fits or not.

    Columns go by their score, lowest first, those of keys after all others; of equal ones the last. A table goes with
    its last column. fits: called about log2(columns) times; a smaller part must be no longer.
    """
    order = _least_relevant_first(schema, scores)
    few, many = 0, len(order) - 1  # to drop: `few` do not suffice, `many` must
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if fits(_without(schema, order[:middle])) else (middle, many)
    return _without(schema, order[:many])


def _least_relevant_first(schema: Schema, scores: Mapping[tuple[str, ...], float]) -> list[tuple[str, str]]:
    keys = {(key.table, c) for key in schema.foreign_keys for c in key.columns}
    keys |= {(key.parent, c) for key in schema.foreign_keys for c in key.parent_columns}
    ends = [(table.name, column) for table in schema.tables for column in table.columns]
    ranked = [
        ((table, column.name) in keys or column.primary_key, scores.get((table, column.name), 0.0), -place)
        for place, (table, column) in enumerate(ends)
    ]
    order = sorted(range(len(ends)), key=ranked.__getitem__)
    return [(ends[place][0], ends[place][1].name) for place in order]


def _without(schema: Schema, dropped: list[tuple[str, str]]) -> Schema:
    gone = set(dropped)
    columns = [(t.name, c.name) for t in schema.tables for c in t.columns if (t.name, c.name) not in gone]
    return subschema(schema, {table for table, _ in columns}, columns)
