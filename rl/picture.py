"""A database's graph as the pages draw it: tables in columns, joins, what a question and a query use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlglot import exp
from sqlglot.errors import SqlglotError

from evaluation.gold import gold_parts
from evaluation.ordering import parse
from evaluation.row_text import whole
from graph.layout import layered
from graph.link import Linked
from graph.picture import joins_on_paths
from graph.schema import Schema, Table, fold
from graph.writer import PromptWriter

MOST_TABLES, MOST_COLUMNS = 40, 14


def picture(writer: PromptWriter, question: str, evidence: str = "", queries: Sequence[str] = ()) -> dict[str, Any]:
    """{"tables", "joins", "left_out"}; x is a column of the picture, y a line of text; on_path: a join on a shortest
    way between two tables that the question names.

    queries: whose tables and columns are kept, whatever else has no room.
    """
    schema, linked = writer.schema, writer.linker.link(question, evidence)
    used = [uses(sql, schema) for sql in queries]
    wanted = {table for one in used for table in one["tables"]}
    columns = {tuple(column) for one in used for column in one["columns"]}
    shown = _tables(schema, linked, wanted)
    boxes = [_box(schema.table(name), linked, columns) for name in shown]
    joins = _joins(writer, linked, set(shown))
    heights = {box["name"]: len(box["columns"]) + 2.0 for box in boxes}
    places = layered(heights, [(join["from"][0], join["to"][0]) for join in joins])
    for box in boxes:
        box["x"], box["y"] = places[box["name"]]
    return {"tables": boxes, "joins": joins, "left_out": len(schema.tables) - len(shown)}


def uses(sql: str, schema: Schema) -> dict[str, list[Any]]:
    """{"tables", "columns": [[table, column]]} that a query names, as the schema spells them."""
    spelled = {fold(table.name): table for table in schema.tables}
    try:
        found = gold_parts(sql, schema)
        tables, columns = found.tables, found.columns
    except (SqlglotError, RecursionError, ValueError, KeyError):
        tree = parse(sql)
        tables = frozenset(fold(table.name) for table in tree.find_all(exp.Table)) if tree else frozenset()
        columns = frozenset()
    names = {
        (table, fold(column.name)): column.name for table in tables & set(spelled) for column in spelled[table].columns
    }
    return {
        "tables": sorted(spelled[table].name for table in tables & set(spelled)),
        "columns": sorted(
            [spelled[table].name, names[table, column]] for table, column in columns if (table, column) in names
        ),
    }


def _tables(schema: Schema, linked: Linked, wanted: set[str]) -> list[str]:
    names = [table.name for table in schema.tables]
    if len(names) <= MOST_TABLES:
        return names
    first = [name for name in names if name in wanted or (linked.matched and name in linked.tables)]
    return list(dict.fromkeys([*first, *names]))[:MOST_TABLES]


def _box(table: Table, linked: Linked, used: set[tuple[Any, ...]]) -> dict[str, Any]:
    kept = {column for owner, column in linked.columns if owner == table.name} if linked.matched else set()
    ranked = sorted(table.columns, key=lambda c: ((table.name, c.name) not in used, c.name not in kept))[:MOST_COLUMNS]
    columns = [column for column in table.columns if column in ranked]
    return {
        "name": whole(table.name),
        "view": table.is_view,
        "linked": linked.matched and table.name in linked.tables,
        "left_out": len(table.columns) - len(columns),
        "columns": [
            {"name": whole(c.name), "type": whole(c.type), "key": c.primary_key, "linked": c.name in kept}
            for c in columns
        ],
    }


def _joins(writer: PromptWriter, linked: Linked, shown: set[str]) -> list[dict[str, Any]]:
    on_path = joins_on_paths(writer.graph, linked)
    joins = dict.fromkeys(join for _, _, join in writer.graph.edges(keys=True) if join)
    return [
        {
            "from": [whole(name) for name in (join.key.table, *join.key.columns)],
            "to": [whole(name) for name in (join.key.parent, *join.key.parent_columns)],
            "inferred": join.kind == "inferred",
            "on_path": join in on_path,
        }
        for join in joins
        if {join.key.table, join.key.parent} <= shown
    ]
