"""The picture of an ablation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from rl.report.record import NAMES
from sft.plots import COLOURS

INK, FAINT = "#2b2f36", "#d8dce2"
OFFSET = {"sft": 0.13, "rl": -0.13}


def plot_subsets(summary: Mapping[str, Any], out: Path) -> None:
    """Greedy accuracy by variant in a panel per subset: the mean with its 95 % interval, small points for the seeds.

    summary: of `rl.ablation.report.summarise`.
    """
    variants = list(dict.fromkeys(row["variant"] for row in summary["rows"]))
    subsets = summary["questions"]
    figure = Figure(figsize=(3.6 * len(subsets) + 0.8, 1.7 + 0.5 * len(variants)), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(subsets), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (name, n) in zip(panels, subsets.items(), strict=True):
        for row in summary["rows"]:
            if row["subsets"][name]["n"]:
                _point(axes, variants.index(row["variant"]), row["stage"], row["subsets"][name]["greedy"])
        _dress(axes, f"{name} (n = {n})", variants)
    stages = [stage for stage in OFFSET if any(row["stage"] == stage for row in summary["rows"])]
    marks = [panels[0].plot([], [], "o", color=COLOURS[stage], label=NAMES[stage])[0] for stage in stages]
    figure.legend(handles=marks, loc="outside lower center", ncols=len(stages), frameon=False, fontsize=9)
    label = "ex_strict, greedy answers; 95 % interval over questions, a tick per seed"
    panels[len(panels) // 2].set_xlabel(label, fontsize=9, color=INK)
    partial = out.with_name(out.name + ".partial")
    figure.savefig(partial, format="png")
    os.replace(partial, out)


def plot_cost(summary: Mapping[str, Any], out: Path) -> None:
    """Greedy accuracy after RL over the minutes of its steps, a point per variant: means over the seeds.

    summary: as for `plot_subsets`, with rl_minutes of each variant.
    """
    figure = Figure(figsize=(6.4, 3.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for row in (row for row in summary["rows"] if row["stage"] == "rl"):
        found, minutes = row["subsets"]["all"]["greedy"], summary["variants"][row["variant"]]["rl_minutes"]
        axes.plot([minutes] * len(found["seeds"]), list(found["seeds"].values()), "_", color=INK, alpha=0.6)
        axes.plot(minutes, found["mean"], "o", color=COLOURS["rl"])
        axes.annotate(row["variant"], (minutes, found["mean"]), (7, -3), textcoords="offset points", fontsize=9)
    axes.set_xlabel("minutes of RL steps, mean over seeds", fontsize=9, color=INK)
    axes.set_ylabel("ex_strict, greedy; a tick per seed", fontsize=9, color=INK)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.margins(x=0.2, y=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    partial = out.with_name(out.name + ".partial")
    figure.savefig(partial, format="png")
    os.replace(partial, out)


def _point(axes: Axes, place: int, stage: str, found: Mapping[str, Any]) -> None:
    y, colour, (low, high) = place - OFFSET[stage], COLOURS[stage], found["ci95"]
    mean = found["mean"]
    arms = [[max(0.0, mean - low)], [max(0.0, high - mean)]]  # rounding can put a bound beyond a mean of 0 or 1
    axes.errorbar(mean, y, xerr=arms, color=colour, fmt="o", capsize=3, linewidth=1.6)
    if len(found["seeds"]) > 1:
        axes.plot(list(found["seeds"].values()), [y] * len(found["seeds"]), "|", color=INK, markersize=7, alpha=0.6)
    axes.annotate(
        f"{100 * mean:.1f}", (mean, y), (0, 5), textcoords="offset points", ha="center", fontsize=8, color=INK
    )


def _dress(axes: Axes, title: str, variants: list[str]) -> None:
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK)
    axes.set_yticks(range(len(variants)), variants)
    axes.set_ylim(len(variants) - 0.5, -0.5)  # the baseline on top
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.margins(x=0.1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(color=FAINT, linewidth=0.6, axis="x")
    axes.set_axisbelow(True)
