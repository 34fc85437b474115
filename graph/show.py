"""What a question makes of a database: the prompt as text, and a picture of the schema graph.

python -m graph.show --db FILE [--question "…"] [--style compact+graph] [--out schema.html|png|svg]

In the picture the tables and columns that are linked to the question are blue, declared joins are solid lines, inferred
ones dashed, and the joins on a shortest path between the tables that the question names are thick and red; see
`graph.picture`.
"""

from __future__ import annotations

import argparse
import html
import io
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import networkx

from graph.introspect import schema_from_sqlite
from graph.link import Linked
from graph.picture import draw_schema
from graph.prompt import messages_from_text
from graph.schema import Schema, SchemaError
from graph.values import sample_values
from graph.writer import PromptStyle, PromptWriter


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
    figure = picture(writer.schema, writer.graph, linked, question)
    out.parent.mkdir(parents=True, exist_ok=True)
    in_words = not (_shown_text(writer.schema) + question).isascii()  # then an SVG holds text, for the reader's fonts
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


def picture(schema: Schema, graph: networkx.MultiGraph, linked: Linked | None, question: str = "") -> Any:
    """A matplotlib figure in fonts that hold the names."""
    from matplotlib import rc_context

    with rc_context({"font.family": fonts(_shown_text(schema) + question)}):
        return draw_schema(schema, graph, linked, question)


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


if __name__ == "__main__":
    raise SystemExit(main())
