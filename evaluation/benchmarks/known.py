"""Which layouts there are, by name: the files of this folder that hold a LAYOUT, and "package.module:LAYOUT"."""

from __future__ import annotations

import difflib
import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path

from evaluation.benchmarks.layout import Layout
from evaluation.errors import UserError
from graph.reference import is_reference, load


@cache
def known_layouts() -> dict[str, Layout]:
    """name -> layout, the bundled one first."""
    names = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    found = {name: getattr(import_module(f"evaluation.benchmarks.{name}"), "LAYOUT", None) for name in names}
    layouts = {name: layout for name, layout in found.items() if layout is not None}
    return dict(sorted(layouts.items(), key=lambda item: item[1].bundled is None))


def named(benchmark: str) -> Layout:
    """UserError when there is no such layout."""
    if is_reference(benchmark):
        try:
            layout = load(benchmark)
        except ValueError as error:
            raise UserError(f"the benchmark {error}") from None
        if not isinstance(layout, Layout):
            raise UserError(f"the benchmark {benchmark} must be a Layout, got {type(layout).__name__}")
        return layout
    layouts = known_layouts()
    if benchmark not in layouts:
        close = difflib.get_close_matches(benchmark, layouts, n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        raise UserError(
            f'the benchmark must be one of {", ".join(layouts)}, or "package.module:LAYOUT", got {benchmark!r}{meant}'
        )
    return layouts[benchmark]


def is_bundled(benchmark: str) -> bool:
    """Whether it needs no data directory."""
    return named(benchmark).bundled is not None
