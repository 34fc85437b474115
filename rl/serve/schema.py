"""A database as the page draws it: tables, columns, joins, and what of them a question is about."""

from __future__ import annotations

from typing import Any

from graph.link import Linked
from graph.picture import joins_on_paths
from graph.writer import PromptWriter
from rl.wire import text

MOST_TABLES, MOST_COLUMNS = 60, 30


def picture(name: str, writer: PromptWriter, question: str = "", evidence: str = "") -> dict[str, Any]:
    """{"database", "tables", "joins", "left_out"}: tables that are linked to the question come first where not all have
    room; `linked` is false everywhere when no word of the question meets the schema."""
    linked = writer.linker.link(question, evidence) if question.strip() else None
    if linked and not linked.matched:
        linked = None
    kept = set(linked.tables) if linked else set()
    order = sorted(writer.schema.tables, key=lambda table: table.name not in kept)[:MOST_TABLES]
    shown = {table.name for table in order}
    tables = [_table(table, linked) for table in writer.schema.tables if table.name in shown]
    left_out = len(writer.schema.tables) - len(tables)
    return {"database": name, "tables": tables, "joins": _joins(writer, linked, shown), "left_out": left_out}


def _table(table: Any, linked: Linked | None) -> dict[str, Any]:
    ends = {column for of, column in linked.columns if of == table.name} if linked else set()
    columns = sorted(table.columns, key=lambda column: column.name not in ends)[:MOST_COLUMNS]
    named = {column.name for column in columns}
    return {
        "name": text(table.name),
        "linked": bool(linked and table.name in linked.tables),
        "left_out": len(table.columns) - len(columns),
        "columns": [
            {
                "name": text(column.name),
                "type": text(column.type),
                "key": column.primary_key,
                "linked": column.name in ends,
            }
            for column in table.columns
            if column.name in named
        ],
    }


def _joins(writer: PromptWriter, linked: Linked | None, shown: set[str]) -> list[dict[str, Any]]:
    """Each once; on_path: on a shortest way between two tables that the question names."""
    lit = joins_on_paths(writer.graph, linked)
    joins = dict.fromkeys(join for _, _, join in writer.graph.edges(keys=True) if join)
    return [
        {
            "from": [text(join.key.table), *map(text, join.key.columns)],
            "to": [text(join.key.parent), *map(text, join.key.parent_columns)],
            "inferred": join.kind == "inferred",
            "on_path": join in lit,
        }
        for join in joins
        if {join.key.table, join.key.parent} <= shown
    ]
