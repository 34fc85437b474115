"""What a question makes of a database: the prompt as text, and a picture of the schema graph.

python -m graph.show --db FILE [--question "…"] [--style compact+graph] [--out schema.html|png|svg]

In the picture the tables and columns that are linked to the question are blue, declared joins are solid lines, inferred
ones dashed, and the joins on a shortest path between the tables that the question names are thick and red.
"""

from __future__ import annotations

import argparse
import html
import io
import sys
import warnings
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NoReturn

import networkx

from graph.build import Join
from graph.introspect import schema_from_sqlite
from graph.link import Linked
from graph.paths import join_paths
from graph.prompt import messages_from_text
from graph.schema import Schema, SchemaError
from graph.values import sample_values
from graph.writer import MOST_PATHS, PromptStyle, PromptWriter

MOST_COLUMNS = 14
"""Columns that a box lists; linked ones first, then those of the schema's order."""
_PLAIN, _LINKED, _PATH = "#8a8f98", "#1f5fbf", "#c8102e"


class CommandLine(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        print(f"error: {message}; {self.prog} --help lists all arguments", file=sys.stderr)
        raise SystemExit(2)


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine(prog="python -m graph.show", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--db", type=Path, required=True, help="a SQLite file")
    parser.add_argument("--question", default="", help="what is asked of the database")
    parser.add_argument("--evidence", default="", help="knowledge given with the question")
    parser.add_argument("--style", default="compact+graph", help="BASE[-keys][+graph][+linked], as mschema+graph")
    parser.add_argument("--out", type=Path, help="a file to draw: .html, .png or .svg")
    args = parser.parse_args(argv)
    try:
        if args.out and args.out.suffix not in (".html", ".png", ".svg"):
            raise ValueError(f"--out must end with .html, .png or .svg, got {args.out}")
        schema = schema_from_sqlite(args.db)
        writer = PromptWriter(schema, PromptStyle.parse(args.style), sample_values(args.db, schema))
        text = messages_from_text(writer.schema_text(args.question, args.evidence), args.question, args.evidence)
        print(text[0]["content"])
        if args.out:
            draw(args.out, writer, text[0]["content"], args.question, args.evidence)
            print(f"drawn: {args.out}", file=sys.stderr)
    except (SchemaError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def draw(out: Path, writer: PromptWriter, prompt: str, question: str, evidence: str = "") -> None:
    """Writes the picture; an .html page holds it above the prompt."""
    linked = writer.linker.link(question, evidence) if question else None
    figure = picture(writer.schema, writer.graph, linked)
    out.parent.mkdir(parents=True, exist_ok=True)
    in_words = not _shown_text(writer.schema).isascii()  # then an SVG holds text, for the reader's fonts
    if out.suffix != ".html":
        _save(figure, out, out.suffix[1:], in_words)
        return
    image = io.StringIO()
    _save(figure, image, "svg", in_words)
    svg = image.getvalue()[image.getvalue().index("<svg") :]
    title = html.escape(f"{writer.schema.name}: {question}" if question else writer.schema.name)
    out.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        "<style>body{font:16px system-ui;margin:2em auto;max-width:70em}svg{max-width:100%;height:auto}"
        "pre{background:#f4f5f7;padding:1em;overflow:auto}</style>"
        f"<h1>{title}</h1>{svg}<h2>Prompt</h2><pre>{html.escape(prompt)}</pre></html>\n",
        encoding="utf-8",
    )


def _save(figure: Any, to: Path | io.StringIO, kind: str, in_words: bool) -> None:
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none" if in_words else "path"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # `fonts` has said it in one line
        figure.savefig(to, format=kind, dpi=120, bbox_inches="tight")


def picture(schema: Schema, graph: networkx.MultiGraph, linked: Linked | None) -> Any:
    """A matplotlib figure: a box per table with its columns, a line per join."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"font.family": fonts(_shown_text(schema))}):
        return _picture(Figure, schema, graph, linked)


def _shown_text(schema: Schema) -> str:
    return schema.name + "".join(t.name + "".join(c.name for c in t.columns) for t in schema.tables)


def fonts(text: str) -> list[str]:
    """The default font, then those of the system that hold what it lacks of `text`, the one that holds most first."""
    from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

    usual = set(get_font(findfont(FontProperties(family=["sans-serif"]))).get_charmap())
    lacking = {ord(letter) for letter in text if not letter.isspace()} - usual
    chosen = ["sans-serif"]
    if not lacking:
        return chosen
    held = {
        font.name: lacking & set(get_font(findfont(FontProperties(family=[font.name]))).get_charmap())
        for font in fontManager.ttflist
        if not font.name.startswith("Last Resort")  # boxes for all there is
    }
    while lacking and (best := max(sorted(held), key=lambda name: len(held[name] & lacking))) and held[best] & lacking:
        chosen.append(best)
        lacking -= held[best]
    if lacking:
        letters = "".join(map(chr, sorted(lacking)[:8]))
        print(
            f"no font here has {letters}: a .png shows boxes instead, .svg and .html show them in the reader's fonts; "
            "install one that has them, such as Noto Sans CJK",
            file=sys.stderr,
        )
    return chosen


def _picture(figure_class: Any, schema: Schema, graph: networkx.MultiGraph, linked: Linked | None) -> Any:
    places = _places(schema, graph)
    side = max(6.0, 2.6 * len(schema.tables) ** 0.5)
    figure = figure_class(figsize=(1.5 * side, side))
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.margins(0.15)
    on_path = _joins_on_paths(graph, linked)
    for left, right, join in graph.edges(keys=True):
        if join:
            _line(axes, places[left[0]], places[right[0]], join, join in on_path)
    for table in schema.tables:
        _box(axes, places[table.name], schema, table.name, linked)
    axes.set_title(schema.name, color="#222222")
    return figure


def _places(schema: Schema, graph: networkx.MultiGraph) -> dict[str, tuple[float, float]]:
    """Joined tables near each other; the parts that no join connects side by side."""
    tables = networkx.Graph()
    tables.add_nodes_from(table.name for table in schema.tables)
    tables.add_edges_from((left[0], right[0]) for left, right, join in graph.edges(keys=True) if join)
    places: dict[str, tuple[float, float]] = {}
    offset = 0.0
    for part in networkx.connected_components(tables):
        names = [table.name for table in schema.tables if table.name in part]
        size = len(names) ** 0.5
        found = {names[0]: (0.0, 0.0)}
        if len(names) > 1:
            found = networkx.spring_layout(tables.subgraph(names), k=2.0, iterations=200, scale=size, seed=0)
        places |= {name: (offset + size + float(found[name][0]), float(found[name][1])) for name in names}
        offset += 2 * size + 0.8
    return places


def _joins_on_paths(graph: networkx.MultiGraph, linked: Linked | None) -> set[Join]:
    pairs = combinations(linked.sure, 2) if linked else ()
    return {join for pair in pairs for path in join_paths(graph, *pair, MOST_PATHS) for join in path}


def _line(axes: Any, start: tuple[float, float], end: tuple[float, float], join: Join, on_path: bool) -> None:
    axes.plot(
        *zip(start, end, strict=True),
        linestyle="--" if join.kind == "inferred" else "-",
        color=_PATH if on_path else _PLAIN,
        linewidth=3 if on_path else 1.2,
        zorder=1,
    )


def _box(axes: Any, place: tuple[float, float], schema: Schema, name: str, linked: Linked | None) -> None:
    kept = {column for table, column in linked.columns if table == name} if linked and linked.matched else set()
    columns = schema.table(name).columns
    shown = sorted(columns, key=lambda column: column.name not in kept)[:MOST_COLUMNS]
    lines = [f"{'•' if c.name in kept else ' '} {c.name}{' (key)' if c.primary_key else ''}" for c in shown]
    if len(columns) > len(shown):
        lines.append(f"  … {len(columns) - len(shown)} more")
    color = _LINKED if linked and linked.matched and name in linked.tables else _PLAIN
    text = "\n".join([name.upper(), *lines]).replace("$", r"\$")
    style = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": color, "linewidth": 2}
    axes.text(*place, text, ha="center", va="center", fontsize=8, color=color, bbox=style, zorder=2, linespacing=1.3)


if __name__ == "__main__":
    raise SystemExit(main())
