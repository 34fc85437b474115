"""The page of one run: how it stands, its steps, its curves, its settings, what it cost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from evaluation import console
from evaluation.console import time_rows
from rl.report.charts import rl_charts
from rl.view.files import Problems, number, read_json, read_rows, tail
from rl.view.runs import Place, stamp, summary
from sft.page.charts import sft_charts
from sft.settings.file import leaves

LOG_BYTES = 400_000  # of the end of a log that is shown
_ALARM = re.compile(r"ALARM step (\d+): (.*)")
STAGES = ("base", "sft", "rl")


def run_page(place: Place) -> dict[str, Any]:
    """All but log, groups and single answers."""
    problems: Problems = []
    path = place.path
    config = read_json(path / "config.json", problems)
    rows, dev = (read_rows(path / name, problems) for name in ("metrics.jsonl", "dev.jsonl"))
    found = {**summary(place), "stamp": stamp(path)}
    stages = {stage: _stage(read_json(path / "evaluations" / f"{stage}.json", problems)) for stage in STAGES}
    stages = {stage: figures for stage, figures in stages.items() if figures}
    return found | {
        "bar": _bar(path, rows),
        "charts": _charts(place, config, rows, dev, stages),
        "settings": settings(config, place.kind),
        "stages": stages,
        "costs": _costs(path, rows, config, problems),
        "problems": list(dict.fromkeys([*problems, *found["problems"]])),
    }


def log_page(place: Place) -> dict[str, Any]:
    text, whole = tail(place.path / console.FILE, LOG_BYTES)
    return {"text": text, "whole": whole}


def settings(config: dict[str, Any], kind: str) -> list[list[Any]]:
    """[key, value, default or None where it is the same] of all that config.json holds."""
    defaults = {key: value for key, value in leaves(_defaults(kind))}
    return [[key, value, None if defaults.get(key, value) == value else defaults[key]] for key, value in leaves(config)]


def _defaults(kind: str) -> dict[str, Any]:
    if kind == "rl":
        from rl.config import RlConfig

        return RlConfig().model_dump(mode="json")
    from sft.config import SftConfig

    return SftConfig().model_dump(mode="json")


def _stage(evaluation: dict[str, Any]) -> dict[str, Any]:
    """The figures of an evaluation, without its questions."""
    kept = ("n", "samples", "ex_strict", "ex_strict_ci", "ex_strict_sampled", "ex_strict_sampled_ci")
    return {key: evaluation.get(key) for key in kept} if number(evaluation.get("ex_strict")) is not None else {}


def _bar(path: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A cell per step: reward, flags, and whether its samples are there."""
    text, _ = tail(path / console.FILE, 50 * LOG_BYTES)
    alarms: dict[int, list[str]] = {}
    for step, said in _ALARM.findall(text):
        alarms.setdefault(int(step), []).append(said[:500])
    kept = _numbers(path / "checkpoints", "step_*")
    sampled = _numbers(path / "rollouts", "step_*.parquet")
    metrics = {row["step"]: row for row in rows}
    return [
        {
            "step": step,
            "reward": number(metrics.get(step, {}).get("reward")),
            "right": number(metrics.get(step, {}).get("correct")),
            "alarms": alarms.get(step, []),
            "checkpoint": step in kept,
            "samples": step in sampled,
        }
        for step in sorted({*metrics, *sampled})
        if step in sampled or "reward" in metrics.get(step, {})
    ]


def _numbers(folder: Path, pattern: str) -> set[int]:
    found = (re.fullmatch(r"step_(\d{1,9})(\.parquet)?", path.name) for path in folder.glob(pattern))
    return {int(match[1]) for match in found if match}


def _charts(
    place: Place, config: dict[str, Any], rows: list[dict[str, Any]], dev: list[dict[str, Any]], stages: dict[str, Any]
) -> list[dict[str, Any]]:
    if place.kind == "sft":
        return sft_charts(rows, dev)
    last = rows[-1]["step"] if rows else 0
    ends = [{"step": step, **stages[stage]} for stage, step in (("sft", 0), ("rl", last)) if stage in stages]
    evaluation = config.get("evaluation")
    watched = evaluation.get("watched") if isinstance(evaluation, dict) else None
    return rl_charts(rows, dev, ends, watched if isinstance(watched, int) else 0)


def _costs(path: Path, rows: list[dict[str, Any]], config: dict[str, Any], problems: Problems) -> list[list[Any]]:
    """[what, planned or None, measured]: seconds by part, and what a step took."""
    seconds = {
        key: value for key, value in read_json(path / "seconds.json", problems).items() if number(value) is not None
    }
    costs: list[list[Any]] = (
        [[f"{name}, seconds", None, value] for name, value in time_rows(seconds).items()] if seconds else []
    )
    steps = [
        s
        for row in rows
        if isinstance(row.get("seconds"), dict) and (s := number(row["seconds"].get("step"))) is not None
    ]
    if steps:
        costs.append(["seconds per step, median", None, sorted(steps)[len(steps) // 2]])
    samples = sum(found for row in rows if (found := number(row.get("samples"))))
    if samples and steps:
        costs.append(["samples per second, whole steps", None, round(samples / max(1e-9, sum(steps)), 2)])
    return costs
