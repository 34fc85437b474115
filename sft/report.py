"""The report of an SFT run, as text and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.console import time_rows
from evaluation.metrics import wilson_interval
from sft.page.charts import Block, sft_charts
from sft.page.document import document


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


def page(
    name: str,
    setting: str,
    summary: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    dev: Sequence[Mapping[str, Any]],
) -> str:
    """The same with curves that can be read step by step, as one HTML file. rows: of metrics.jsonl."""
    blocks: list[Block] = [{"kind": "text", "text": line} for line in setting.splitlines()]
    blocks += sft_charts(rows, dev)
    if dev:
        lines = [[cell.strip() for cell in _dev_row(row, summary["kept_step"]).strip("|").split("|")] for row in dev]
        head = ["step", "ex_strict", "95 % interval", "em_spider", ""]
        caption = f"Greedy answers to {dev[0]['n']} dev questions"
        blocks.append({"kind": "table", "caption": caption, "head": head, "rows": lines, "numbers": [0, 1, 3]})
    seconds = [[part, str(value)] for part, value in time_rows(summary["seconds"]).items()]
    blocks.append({"kind": "table", "caption": "Time", "head": ["part", "seconds"], "rows": seconds, "numbers": [1]})
    return document(name, blocks)


def _dev_row(row: Mapping[str, Any], kept: int) -> str:
    low, high = wilson_interval(row["ex_strict"] * row["n"], row["n"])
    shares = f"{row['ex_strict']:.1%} | {100 * low:.1f} … {100 * high:.1f} | {row['em_spider']:.1%}"
    return f"| {row['step']} | {shares} | {'kept' if row['step'] == kept else ''} |"
