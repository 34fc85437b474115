"""The curves of an SFT run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

from evaluation.console import time_rows
from evaluation.metrics import wilson_interval

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402


def markdown(name: str, setting: str, summary: Mapping[str, Any], dev: Sequence[Mapping[str, Any]]) -> str:
    """The report as text: what was trained, dev accuracy while training with Wilson's intervals, and the time.

    setting: lines on model and data; summary: of summary.json; dev: rows of dev.jsonl.
    """
    lines = [f"# {name}", "", *setting.splitlines(), ""]
    right = f"{summary['token_accuracy']:.1%} of them guessed right"
    lines += [f"loss {summary['loss']:.4f} nats per answer token, {right}", "", "![loss](sft_loss.png)"]
    if dev:
        lines += ["", f"## Dev, greedy answers to {dev[0]['n']} questions", "", "![dev](dev.png)", ""]
        lines += ["| step | ex_strict | 95 % interval | em_spider | |", "|---:|---:|---|---:|---|"]
        lines += [_dev_row(row, summary["kept_step"]) for row in dev]
    lines += ["", "## Time", "", "| part | seconds |", "|---|---:|"]
    lines += [f"| {part} | {seconds} |" for part, seconds in time_rows(summary["seconds"]).items()]
    return "\n".join(lines) + "\n"


def _dev_row(row: Mapping[str, Any], kept: int) -> str:
    low, high = wilson_interval(row["ex_strict"] * row["n"], row["n"])
    shares = f"{row['ex_strict']:.1%} | {100 * low:.1f} … {100 * high:.1f} | {row['em_spider']:.1%}"
    return f"| {row['step']} | {shares} | {'kept' if row['step'] == kept else ''} |"


def plot_loss(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Loss (left axis, nats per answer token) and share of tokens guessed right (right axis) over the steps."""
    steps = [row["step"] for row in rows]
    figure, loss = pyplot.subplots(figsize=(7, 4), layout="constrained")
    loss.plot(steps, [row["loss"] for row in rows], color="tab:blue")
    loss.set(xlabel="step", ylabel="loss, nats per answer token", ylim=(0, None), title="SFT")
    right = loss.twinx()
    right.plot(steps, [row["token_accuracy"] for row in rows], color="tab:orange")
    right.set(ylabel="answer tokens guessed right", ylim=(0, 1))
    loss.yaxis.label.set_color("tab:blue")
    right.yaxis.label.set_color("tab:orange")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def plot_dev(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """ex_strict and em_spider on dev questions over the steps; the best ex_strict is marked."""
    steps = [row["step"] for row in rows]
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for name, colour in (("ex_strict", "tab:blue"), ("em_spider", "tab:orange")):
        axes.plot(steps, [row[name] for row in rows], marker=".", color=colour, label=name)
    best = max(rows, key=lambda row: (row["ex_strict"], row["em_spider"], -row["step"]))
    axes.plot([best["step"]], [best["ex_strict"]], marker="o", markersize=10, fillstyle="none", color="tab:blue")
    axes.set(xlabel="step", ylabel=f"share of {rows[0]['n']} dev questions", ylim=(0, 1), title="SFT on dev")
    axes.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
