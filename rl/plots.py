"""The report's pictures. Each function takes plain numbers (shares in 0..1) and writes one PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from sft.plots import COLOURS, INK, Point, figure, label, save, xy

SERIES = ("#d9682b", "#5b6570", "#3d74b8", "#3f8f5f", "#8a5aa8", "#b8963d")


def plot_rl_curves(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Reward, correct rate, executable rate and entropy of the samples of each RL step."""
    drawing, grid = figure(9.6, 6.0, 2, 2)
    panels = (
        ("reward", "Reward", "mean over samples", False),
        ("correct", "Correct", "share of samples", True),
        ("executable", "Executable", "share of samples", True),
        ("entropy", "Entropy", "nats per token", False),
    )
    for axes, (key, title, unit, percent) in zip(sum(grid, []), panels, strict=True):
        _curve(axes, [(row["step"], row[key]) for row in rows if key in row], COLOURS["rl"])
        label(axes, title, "RL step", unit)
        if percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    save(drawing, out)


def plot_dev(stages: Mapping[str, Mapping[str, Any]], samples: int, out: Path, labels: Mapping[str, str]) -> None:
    """`ex_strict` on dev of each stage, greedy and sampled, with 95 % intervals.

    labels: what the stages are called.
    stages: {"base" | "sft" | "rl": {"ex_strict", "ex_strict_ci", "ex_strict_sampled", "ex_strict_sampled_ci", "n"}}.
    """
    drawing, [[axes]] = figure(6.8, 4.2, 1, 1)
    width = 0.8 / max(1, len(stages))
    for place, (name, stage) in enumerate(stages.items()):
        for group, key in enumerate(("ex_strict", "ex_strict_sampled")):
            x = group + (place - (len(stages) - 1) / 2) * width
            _bar(axes, x, width * 0.92, stage[key], stage[f"{key}_ci"], name, labels[name] if group == 0 else None)
    n = next(iter(stages.values()))["n"] if stages else 0
    label(axes, f"Execution accuracy (strict) on {n} dev questions", "", "")
    axes.set_xticks([0, 1], ["greedy answer", f"sampled at T = 1, mean of {samples}"])
    axes.tick_params(axis="x", length=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(False, axis="x")
    top = max(stage[f"{key}_ci"][1] for stage in stages.values() for key in ("ex_strict", "ex_strict_sampled"))
    axes.set_ylim(0, min(1.12, max(0.1, top * 1.18)))
    axes.legend(frameon=False, ncols=3, loc="upper right", fontsize=9)
    save(drawing, out)


def plot_comparison(train: Mapping[str, Sequence[Point]], dev: Mapping[str, Sequence[Point]], out: Path) -> None:
    """Correct rate per RL step of several runs: on the training samples, and on dev (share of samples at T = 1)."""
    drawing, [[left, right]] = figure(10.4, 4.2, 1, 2)
    for colour, name in zip(_cycle(len(train)), train, strict=True):
        _curve(left, train[name], colour, name)
        points = dev.get(name, ())
        right.plot(*xy(points), color=colour, marker="o", markersize=5, linewidth=2, label=name)
    label(left, "Correct, training questions", "RL step", "share of samples")
    label(right, "Correct, dev questions", "RL step", "share of samples")
    for axes in (left, right):
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.margins(y=0.15)
        axes.legend(frameon=False, fontsize=9)
    save(drawing, out)


def moving_average(points: Sequence[Point], window: int) -> list[Point]:
    """Centred mean over `window` points, fewer at the ends, so that nothing is invented there.

    >>> moving_average([(1, 0.0), (2, 3.0), (3, 0.0)], 3)
    [(1, 1.5), (2, 1.0), (3, 1.5)]
    """
    half, smooth = window // 2, []
    for i, (x, _) in enumerate(points):
        near = [y for _, y in points[max(0, i - half) : i + half + 1]]
        smooth.append((x, sum(near) / len(near)))
    return smooth


def _curve(axes: Axes, points: Sequence[Point], colour: str, label: str | None = None) -> None:
    """Every step faintly, the trend boldly; with few points, the points themselves."""
    window = max(1, len(points) // 10) | 1
    if window == 1:
        axes.plot(*xy(points), color=colour, linewidth=2, marker="o", markersize=3.5, label=label)
    else:
        axes.plot(*xy(points), color=colour, linewidth=1, alpha=0.3)
        axes.plot(*xy(moving_average(points, window)), color=colour, linewidth=2.2, label=label)


def _bar(
    axes: Axes, x: float, width: float, value: float, interval: Sequence[float], name: str, label: str | None
) -> None:
    axes.bar(x, value, width, color=COLOURS[name], label=label)
    low, high = max(0.0, value - interval[0]), max(0.0, interval[1] - value)
    axes.errorbar(x, value, yerr=[[low], [high]], color=INK, capsize=3, linewidth=1.2)
    axes.annotate(
        f"{100 * value:.1f}", (x, interval[1]), (0, 3), textcoords="offset points", ha="center", fontsize=9, color=INK
    )


def _cycle(count: int) -> list[str]:
    return [SERIES[i % len(SERIES)] for i in range(count)]
