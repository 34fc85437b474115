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
    return [
        [key, value, None if defaults.get(key, value) == value else defaults.get(key)] for key, value in leaves(config)
    ]


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
    """[what, planned by the settings or None, measured]: what a step was to be and was, and seconds by part."""
    seconds = read_json(path / "seconds.json", problems)
    known = {key: value for key, value in seconds.items() if number(value) is not None}
    costs: list[list[Any]] = _against_plan(rows, config) if "rollout" in config else []
    steps = sorted(filter(None, (number(_part(row, "seconds", "step")) for row in rows)))
    if steps:
        costs.append(["seconds per step, median", None, steps[len(steps) // 2]])
        samples = sum(filter(None, (number(row.get("samples")) for row in rows)))
        costs.append(["samples per second, whole steps", None, round(samples / sum(steps), 2)])
    return costs + ([[f"{name}, seconds", None, value] for name, value in time_rows(known).items()] if known else [])


def _against_plan(rows: list[dict[str, Any]], config: dict[str, Any]) -> list[list[Any]]:
    """What the settings bound, and what came of it, mean over the steps."""
    questions, samples = (number(_part(config, "rollout", name)) for name in ("questions", "samples"))
    planned = {
        "samples per step; more by refills": ("samples", questions * samples if questions and samples else None),
        "tokens of an answer; planned: at most": ("mean_tokens", number(_part(config, "rollout", "max_tokens"))),
        "updates that samples lag behind; planned: at most": ("lag", number(_part(config, "rollout", "staleness"))),
        "engine against learner, nats; planned: at most": (
            "mismatch",
            number(_part(config, "engine", "mismatch_limit")),
        ),
    }
    found = [["steps", number(config.get("steps")), len(rows)]]
    for name, (key, plan) in planned.items():
        values = [value for row in rows if (value := number(row.get(key))) is not None]
        found += [[name, plan, sum(values) / len(values)]] if values else []
    return found


def _part(row: dict[str, Any], section: str, key: str) -> Any:
    inner = row.get(section)
    return inner.get(key) if isinstance(inner, dict) else None
