"""A schema graph as a matplotlib figure: a box per table, a line per join between its columns, a legend.

Measures are in lines of text: x to the right, y downwards.
"""

from __future__ import annotations

import textwrap
from itertools import combinations
from typing import Any

import networkx

from graph.build import Join
from graph.layout import layered
from graph.link import Linked
from graph.paths import join_paths
from graph.schema import Schema
from graph.writer import MOST_PATHS

MOST_COLUMNS = 14
"""Columns that a box lists: linked ones and those of joins before others."""
PLAIN, LINKED, PATH, INK = "#7b838e", "#1f5fbf", "#c8102e", "#22262c"
_LETTER, _INCH, _BETWEEN = 0.46, 0.165, 6.0  # a letter's width, inches of a line, room between columns of boxes


def draw_schema(schema: Schema, graph: networkx.MultiGraph, linked: Linked | None, question: str = "") -> Any:
    """The figure. linked: what the question is about, with the joins on paths between the tables that it names."""
    from matplotlib.figure import Figure

    joins = [join for _, _, join in graph.edges(keys=True) if join]
    lines = {table.name: _lines(schema, table.name, linked, joins) for table in schema.tables}
    places = layered({name: len(found) + 1.6 for name, found in lines.items()}, [_ends(join) for join in joins])
    width = {name: _LETTER * max(len(text) for _, text in found) + 1.8 for name, found in lines.items()}
    lefts = _lefts(places, width)
    figure = Figure(figsize=_size(places, lines, lefts, width))
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.invert_yaxis()
    on_path = joins_on_paths(graph, linked)
    for join in joins:
        _draw_join(axes, join, places, lefts, width, lines, join in on_path)
    for name, found in lines.items():
        _draw_box(axes, lefts[name], places[name][1], width[name], found, _is_linked(linked, name))
    axes.autoscale_view()
    title = "\n".join([schema.name, *textwrap.wrap(question, 90)]).replace("$", r"\$")
    axes.set_title(title, color=INK, fontsize=10, loc="left")
    axes.legend(
        handles=_legend(linked), loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3, frameon=False, fontsize=8
    )
    return figure


def joins_on_paths(graph: networkx.MultiGraph, linked: Linked | None) -> set[Join]:
    """The joins on a shortest path between two tables that the question names."""
    pairs = combinations(linked.sure, 2) if linked and linked.matched else ()
    return {join for pair in pairs for path in join_paths(graph, *pair, MOST_PATHS) for join in path}


Line = tuple[str, str]  # the column, its text; "" for what is no column


def _ends(join: Join) -> tuple[str, str]:
    return join.key.table, join.key.parent


def _is_linked(linked: Linked | None, name: str) -> bool:
    return linked is not None and linked.matched and name in linked.tables


def _lines(schema: Schema, name: str, linked: Linked | None, joins: list[Join]) -> list[Line]:
    """The table's name, then columns in their order; a dot marks a linked one."""
    kept = {column for table, column in linked.columns if table == name} if linked and linked.matched else set()
    joined = {c for j in joins if j.key.table == name for c in j.key.columns}
    joined |= {c for j in joins if j.key.parent == name for c in j.key.parent_columns}
    columns = schema.table(name).columns
    shown = sorted(columns, key=lambda column: (column.name not in kept, column.name not in joined))[:MOST_COLUMNS]
    lines = [
        (c.name, f"{'•' if c.name in kept else ' '} {c.name}{' (key)' if c.primary_key else ''}")
        for c in columns
        if c in shown
    ]
    more = [("", f"  … {len(columns) - len(shown)} more")] if len(columns) > len(shown) else []
    return [("", name), *lines, *more]


def _lefts(places: dict[str, tuple[int, float]], width: dict[str, float]) -> dict[str, float]:
    """The left edge of each box: columns are as wide as their widest box."""
    widest: dict[int, float] = {}
    for name, (column, _) in places.items():
        widest[column] = max(widest.get(column, 0.0), width[name])
    starts, at = {}, 0.0
    for column in sorted(widest):
        starts[column] = at
        at += widest[column] + _BETWEEN
    return {name: starts[column] for name, (column, _) in places.items()}


def _size(
    places: dict[str, tuple[int, float]], lines: dict[str, list[Line]], lefts: dict[str, float], width: dict[str, float]
) -> tuple[float, float]:
    """Inches."""
    right = max(lefts[name] + width[name] for name in places)
    bottom = max(top + len(lines[name]) + 1.6 for name, (_, top) in places.items())
    return max(5.0, _INCH * (right + 6)), max(2.5, _INCH * (bottom + 9))


def _draw_join(
    axes: Any,
    join: Join,
    places: dict[str, tuple[int, float]],
    lefts: dict[str, float],
    width: dict[str, float],
    lines: dict[str, list[Line]],
    on_path: bool,
) -> None:
    """From column to column; between boxes of one column, and from a table to itself, round the right side."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    (child, parent), key = _ends(join), join.key
    start = _row(lines[child], key.columns[0]) + places[child][1]
    end = _row(lines[parent], key.parent_columns[0]) + places[parent][1]
    if places[child][0] == places[parent][0]:
        x1, x2 = lefts[child] + width[child], lefts[parent] + width[parent]
        end += 0.4 * (child == parent and start == end)
        bend = max(x1, x2) + 3.0
        bends = (bend, bend)
    else:
        rightwards = places[child][0] < places[parent][0]
        x1, x2 = lefts[child] + rightwards * width[child], lefts[parent] + (not rightwards) * width[parent]
        bends = ((x1 + x2) / 2, (x1 + x2) / 2)
    path = Path([(x1, start), (bends[0], start), (bends[1], end), (x2, end)], [Path.MOVETO, *[Path.CURVE4] * 3])
    axes.add_patch(PathPatch(path, facecolor="none", **_style(join.kind, on_path), zorder=1))


def _row(lines: list[Line], column: str) -> float:
    """The middle of a column's line below the top of its box; of its head, when it is not listed."""
    listed = [place for place, (name, _) in enumerate(lines) if name == column]
    return listed[0] + 1.3 if listed else 1.0


def _style(kind: str, on_path: bool) -> dict[str, Any]:
    return {
        "linestyle": "--" if kind == "inferred" else "-",
        "edgecolor": PATH if on_path else PLAIN,
        "linewidth": 2.4 if on_path else 1.2,
    }


def _draw_box(axes: Any, left: float, top: float, width: float, lines: list[Line], linked: bool) -> None:
    from matplotlib.patches import FancyBboxPatch

    colour = LINKED if linked else PLAIN
    height = len(lines) + 0.8
    style: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.4", "facecolor": "white", "edgecolor": colour}
    axes.add_patch(FancyBboxPatch((left, top), width, height, **style, linewidth=1.8, zorder=2))
    for place, (_, text) in enumerate(lines):
        weight, shown = "bold" if place == 0 else "normal", text.replace("$", r"\$")
        colour_of = LINKED if linked and (place == 0 or text.startswith("•")) else INK
        y = top + place + (0.9 if place == 0 else 1.3)
        axes.text(left + 0.6, y, shown, va="center", fontsize=8, color=colour_of, fontweight=weight, zorder=3)


def _legend(linked: Linked | None) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    if linked and linked.matched:
        handles.append(
            Patch(facecolor="white", edgecolor=LINKED, linewidth=1.8, label="linked to the question (• column)")
        )
        handles.append(Patch(facecolor="white", edgecolor=PLAIN, linewidth=1.8, label="not linked"))
        handles.append(Line2D([], [], color=PATH, linewidth=2.4, label="on a shortest path between named tables"))
    handles.append(Line2D([], [], color=PLAIN, linewidth=1.2, label="declared join"))
    handles.append(Line2D([], [], color=PLAIN, linewidth=1.2, linestyle="--", label="inferred join"))
    return handles
