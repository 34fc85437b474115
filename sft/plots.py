"""The pictures of runs: one look for all, and the curves of SFT. Each takes plain numbers and writes one PNG."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

COLOURS = {"base": "#9aa1ab", "sft": "#3d74b8", "rl": "#d9682b"}
INK, FAINT = "#2b2f36", "#d8dce2"

Point = tuple[float, float]  # (x, y)


def plot_loss(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Training loss, nats per answer token, and beside it the share of tokens guessed right, where it is known.

    rows: of an SFT run's metrics.jsonl.
    """
    guessed = [(row["step"], row["token_accuracy"]) for row in rows if "token_accuracy" in row]
    drawing, [panels] = figure(9.6 if guessed else 6.4, 3.8, 1, 2 if guessed else 1)
    # its points are means over steps already
    panels[0].plot(*xy([(row["step"], row["loss"]) for row in rows]), color=COLOURS["sft"], linewidth=2)
    label(panels[0], "SFT loss", "optimizer step", "nats per answer token")
    panels[0].set_ylim(bottom=0)
    if guessed:
        panels[1].plot(*xy(guessed), color=COLOURS["sft"], linewidth=2)
        label(panels[1], "Answer tokens guessed right", "optimizer step", "share of tokens")
        panels[1].set_ylim(0, 1.02)
        panels[1].yaxis.set_major_formatter(PercentFormatter(1.0))
    save(drawing, out)


def plot_dev_curve(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """ex_strict and em_spider on dev questions over the steps; the best ex_strict, which is kept, is marked."""
    drawing, [[axes]] = figure(6.8, 4.0, 1, 1)
    for name, colour in (("ex_strict", COLOURS["sft"]), ("em_spider", COLOURS["base"])):
        axes.plot(*xy([(row["step"], row[name]) for row in rows]), marker="o", markersize=4, color=colour, label=name)
    best = max(rows, key=lambda row: (row["ex_strict"], row["em_spider"], -row["step"]))
    axes.scatter(
        [best["step"]], [best["ex_strict"]], s=120, facecolors="none", edgecolors=COLOURS["rl"], zorder=3,
        label=f"kept: step {best['step']}",
    )  # fmt: skip
    label(axes, f"Greedy answers to {rows[0]['n']} dev questions", "optimizer step", "share of questions")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylim(0, min(1.02, max(0.1, 1.25 * max(max(row["ex_strict"], row["em_spider"]) for row in rows))))
    axes.legend(frameon=False, fontsize=9)
    save(drawing, out)


def figure(width: float, height: float, rows: int, columns: int) -> tuple[Figure, list[list[Axes]]]:
    """An empty figure, inches, with its panels by row."""
    drawing = Figure(figsize=(width, height), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(drawing)
    drawing.get_layout_engine().set(w_pad=0.1, h_pad=0.1)  # type: ignore[union-attr, call-arg]
    return drawing, drawing.subplots(rows, columns, squeeze=False).tolist()


def label(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    if x:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def xy(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def save(drawing: Figure, out: Path) -> None:
    """Whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    drawing.savefig(partial, format="png")
    os.replace(partial, out)
