"""A run's figures: accuracy of its stages, and what RL gained, question by question."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.errors import UserError
from evaluation.metrics import mcnemar, paired_interval
from rl.report.record import RunRecord


def summarise(run: RunRecord) -> dict[str, Any]:
    """The figures of summary.json; shares are in 0..1, times in seconds.

    "gain" compares RL with SFT question by question; its interval is of the paired differences.
    """
    kept = ("ex_strict", "ex_strict_sampled", "ex_strict_ci", "ex_strict_sampled_ci", "n")
    summary: dict[str, Any] = {
        stage: {key: evaluation[key] for key in kept} | {"empty_both": empty_share(evaluation["per_question"])}
        for stage, evaluation in run.evaluations.items()
    }
    if {"sft", "rl"} <= set(run.evaluations):
        summary["gain"] = compare(run.evaluations["sft"], run.evaluations["rl"])
    if run.steps:
        summary["rl_steps"] = len(run.steps)
    return {**summary, "stages": run.names, "seconds": run.seconds}


def empty_share(rows: Sequence[Mapping[str, Any]]) -> float:
    """Of right greedy answers, the share where gold too returned no row: these say little about the policy."""
    right = [row.get("status") == "empty_both" for row in rows if row["correct"]]
    return statistics.fmean(right) if right else 0.0


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Paired comparison of two evaluations of the same questions: gains with 95 % intervals, McNemar's exact test."""
    changes = pairs(before, after)
    greedy = [float(new["correct"]) - float(old["correct"]) for old, new in changes]
    sampled = [new["sampled_correct_rate"] - old["sampled_correct_rate"] for old, new in changes]
    fixed, broke = greedy.count(1.0), greedy.count(-1.0)
    return {
        "ex_strict": statistics.fmean(greedy),
        "ex_strict_ci": list(paired_interval(greedy)),
        "ex_strict_sampled": statistics.fmean(sampled),
        "ex_strict_sampled_ci": list(paired_interval(sampled)),
        "fixed": fixed,
        "broke": broke,
        "mcnemar_p": mcnemar(fixed, broke),
    }


def pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The rows of both on each question. UserError when they are of other questions."""
    old = {row["id"]: row for row in before["per_question"]}
    if set(old) != {row["id"] for row in after["per_question"]}:
        raise UserError("two evaluations can only be compared on the same questions; evaluate both stages again")
    return [(old[row["id"]], row) for row in after["per_question"]]
