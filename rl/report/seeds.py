"""Several runs side by side: means over seeds, and the rewards of a control."""

from __future__ import annotations

import hashlib
import json
import math
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.errors import UserError
from evaluation.metrics import t_interval
from rl.report.record import KEYS, STAGES, RunRecord, read_run
from rl.report.text import percent_range

DIFFER_AMONG_SEEDS = re.compile(
    r"(run|engine|checkpoint|alarm|evaluation)\.|init_adapter$|sft_metrics$|.*\.(workers|ranks)$"
)
"""Settings that say nothing of what is learned; how a run was evaluated is in its evaluations."""


def seeds_table(run_dirs: Sequence[Path]) -> str:
    """Markdown: base, SFT, RL and the gain RL - SFT, means over the runs with 95 % t-intervals, greedy and sampled.

    Only runs that differ in nothing but their seed are averaged: others get a table of their own, under what is
    different. UserError when a run is not finished, or given twice.
    """
    if len({path.resolve() for path in run_dirs}) < len(run_dirs):
        raise UserError("--runs must name each run once: a run is no second seed of itself")
    runs = [read_run(path) for path in run_dirs]
    for run in runs:
        missing = [stage for stage in STAGES if stage not in run.evaluations]
        if missing:
            raise UserError(f"{run.path} must hold evaluations/{missing[0]}.json: let the run finish")
    alike: dict[str, list[RunRecord]] = {}
    for run in runs:
        alike.setdefault(json.dumps(_settings(run), sort_keys=True), []).append(run)
    if len(alike) == 1:
        return _means(runs)
    settings = [json.loads(key) for key in alike]
    tables = [
        f"{_different(one, settings)}\n\n{_means(group)}" for one, group in zip(settings, alike.values(), strict=True)
    ]
    return "\n\n".join(tables)


def _means(runs: Sequence[RunRecord]) -> str:
    seeds = f"mean of {len(runs)} seeds, 95 % t-intervals" if len(runs) > 1 else "one seed"
    lines = [f"| dev ex_strict, {seeds} | greedy | each | sampled | each |", "|---|---:|---|---:|---|"]
    for stage in STAGES:
        values = {key: [run.evaluations[stage][key] for run in runs] for key in KEYS}
        lines.append(_seeds_row(runs[0].names[stage], values, "{:.1f}", lowest=0.0))
    gains = {key: [run.evaluations["rl"][key] - run.evaluations["sft"][key] for run in runs] for key in KEYS}
    lines.append(_seeds_row("**gain of RL**", gains, "{:+.1f}", lowest=-1.0))
    return "\n".join(lines)


def _settings(run: RunRecord) -> dict[str, Any]:
    """What must be the same in runs that are averaged, by dotted key: settings, questions, and what RL started from."""
    rl, sft = run.evaluations["rl"], run.evaluations["sft"]
    asked = sorted((row["id"], row.get("db_id"), row.get("gold")) for row in rl.get("per_question", []))
    facts = {
        "dev questions": rl["n"],
        "samples": rl.get("samples"),
        "dev set": hashlib.sha256(repr(asked).encode()).hexdigest()[:12],
        "training data": rl.get("of", {}).get("training data"),
        "start": run.names["sft"],
        "recipe of the start": sft.get("recipe"),
    }
    return facts | {key: value for key, value in _leaves(run.config) if not DIFFER_AMONG_SEEDS.match(key)}


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _different(one: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    """The settings of one table that are not those of all."""
    keys = [key for key in one if len({json.dumps(other.get(key)) for other in others}) > 1]
    return ", ".join(f"{key} = {one[key]}" for key in keys)


def _seeds_row(name: str, values: Mapping[str, Sequence[float]], pattern: str, lowest: float) -> str:
    """lowest: of what is averaged; its highest value is 1, and no interval leaves these bounds."""
    cells = []
    for key in KEYS:
        low, high = t_interval(values[key])
        mean = pattern.format(100 * statistics.fmean(values[key]))
        interval = f" ({percent_range((max(lowest, low), min(1.0, high)))})" if math.isfinite(low) else ""
        cells.append(f"{mean}{interval} | {', '.join(pattern.format(100 * value) for value in values[key])}")
    return f"| {name} | {' | '.join(cells)} |"


def plot_control(runs: Mapping[str, Path], out: Path) -> None:
    """One plot of the correct rate per RL step of several runs, on train and on dev. UserError for a run without."""
    from rl.plots import plot_comparison

    train, dev = {}, {}
    for name, path in runs.items():
        run = read_run(path)
        if not run.steps:
            raise UserError(f"{path} must hold metrics.jsonl with RL steps")
        train[name] = [(row["step"], row["correct"]) for row in run.steps]
        dev[name] = _dev_points(run)
    plot_comparison(train, dev, out)


def _dev_points(run: RunRecord) -> list[tuple[float, float]]:
    """Dev accuracy of samples by step: the full evaluations at both ends when there is no curve of its own."""
    if run.dev:
        return [(row["step"], row["ex_strict_sampled"]) for row in run.dev]
    ends = {"sft": 0, "rl": run.steps[-1]["step"]}
    return [(step, run.evaluations[s]["ex_strict_sampled"]) for s, step in ends.items() if s in run.evaluations]
