"""The curves of an RL run, each with what it means: for the report's page and for the viewer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sft.page.charts import Block, Row, band, chart, line

ACTORS = {"engine": "engine", "rewards": "reward pool", "learner": "learner"}
PHASES = ("generate", "reward", "learn", "publish", "wait")
VERDICTS = (
    "correct", "empty_both", "reordered", "wrong", "open", "lucky", "no_sql", "error", "refused", "timeout",
    "too_large", "crashed",
)  # fmt: skip


def rl_charts(rows: Sequence[Row], dev: Sequence[Row], ends: Sequence[Row], watched: int) -> list[Block]:
    """rows: of metrics.jsonl; dev: of dev.jsonl, on `watched` questions; ends: {"step", "ex_strict", "n", …} of the
    whole dev evaluations before and after."""
    return [
        *_answers(rows),
        *_dev(dev, ends, watched),
        *_groups(rows),
        *_verdicts(rows),
        *_health(rows),
        *_time(rows),
    ]


def _answers(rows: Sequence[Row]) -> list[Block]:
    blocks = chart(
        "Right and executable",
        "Sampled answers that are right, and that run and read a table; executable without right is no gain.",
        "share of samples", [line("right", rows, "correct"), line("executable", rows, "executable")], percent=True,
    )  # fmt: skip
    differs = any(row.get("reward") != row.get("correct") for row in rows)
    return blocks + (
        chart("Reward", "What the learner is paid, all parts together; it should rise with the share of right answers.",
              "mean over samples", [line("reward", rows, "reward")])
        if differs else []
    )  # fmt: skip


def _dev(dev: Sequence[Row], ends: Sequence[Row], watched: int) -> list[Block]:
    intervals = band(dev, "ex_strict", watched)
    greedy = line(f"greedy, {watched} questions", dev, "ex_strict", band=intervals, dots=True)
    whole = line("greedy, all of dev", ends, "ex_strict", band=band(ends, "ex_strict", "n"), dots=True)
    sampled = line("sampled", dev or ends, "ex_strict_sampled", dots=True)
    return chart(
        "Right on dev", "Questions that are never trained on, with Wilson's 95 % intervals: what the run is for.",
        "share of questions", [whole, greedy, sampled], percent=True,
    )  # fmt: skip


def _groups(rows: Sequence[Row]) -> list[Block]:
    said = "Groups whose answers are all alike teach nothing: all wrong is too hard, all right too easy."
    parts = [("none right", "none_correct"), ("all right", "all_correct")]
    mixed = line("right and wrong", rows, lambda row: _rest(row, ("none_correct", "all_correct")))
    return chart(
        "Groups by what they teach", said, "share of groups", [mixed, *(line(n, rows, key) for n, key in parts)],
        percent=True, stack=True,
    )  # fmt: skip


def _rest(row: Row, keys: Sequence[str]) -> float | None:
    known = [row.get(key) for key in keys]
    return None if not all(isinstance(value, (int, float)) for value in known) else max(0.0, 1 - sum(known))  # type: ignore[arg-type]


def _verdicts(rows: Sequence[Row]) -> list[Block]:
    told = [row for row in rows if isinstance(row.get("verdicts"), Mapping)]
    seen = {str(name) for row in told for name in row["verdicts"]}
    names = [name for name in VERDICTS if name in seen] + sorted(seen - set(VERDICTS))

    def part(name: str) -> Block:
        return line(name, told, lambda row: _share(row["verdicts"], name))

    return chart(
        "Verdicts", "What became of the samples; one verdict that takes all is a run that has found a way round.",
        "share of samples", map(part, names), percent=True, stack=True,
    )  # fmt: skip


def _share(verdicts: Mapping[str, Any], name: str) -> float:
    counts = {key: value for key, value in verdicts.items() if isinstance(value, (int, float))}
    return counts.get(name, 0) / max(1, sum(counts.values()))


def _health(rows: Sequence[Row]) -> list[Block]:
    says = {
        "Entropy": "How undecided the policy is; near nought the samples of a question are all one.",
        "KL to the start": "How far the policy has moved from the adapter that it began with.",
        "Engine against learner": "How far both disagree about the same tokens; above 0.05 much of it is noise.",
        "Gradient norm": "How hard each update pulls, before clipping; a jump is a step to look at.",
        "Length": "Mean tokens of an answer; growth without gain is padding.",
        "Cut short": "Answers that reached the limit of tokens; their end was never read.",
    }
    lines = {
        "Entropy": ("nats per token", [line("sampled", rows, "entropy")]),
        "KL to the start": ("nats per token", [line("KL", rows, "kl_reference")]),
        "Engine against learner": ("nats per token", [line("batch", rows, "mismatch"), line("canary", rows, "canary")]),
        "Gradient norm": ("norm", [line("gradient norm", rows, "grad_norm")]),
        "Length": ("tokens", [line("mean", rows, "mean_tokens")]),
        "Cut short": ("share of samples", [line("cut", rows, "truncated")]),
    }
    return [
        block
        for title, (unit, series) in lines.items()
        for block in chart(title, says[title], unit, series, zero=True, percent=title == "Cut short")
    ]


def _time(rows: Sequence[Row]) -> list[Block]:
    told = [row for row in rows if isinstance(row.get("seconds"), Mapping)]
    phases = [line(name, told, partial(_seconds, name=name)) for name in PHASES]
    blocks = chart(
        "Seconds by phase", "What a step waits for; phases may overlap, so a step can be shorter than their sum.",
        "seconds", phases, zero=True,
    )  # fmt: skip
    lanes = [line(name, told, partial(_idle, actor=key)) for key, name in ACTORS.items()]
    return blocks + chart(
        "Idle by actor", "Share of each step in which an actor had nothing to do: dark is idle.", "", lanes, lanes=True
    )


def _seconds(row: Row, name: str) -> Any:
    return row["seconds"].get(name)


def _idle(row: Row, actor: str) -> float | None:
    seconds = row["seconds"]
    idle, step = seconds.get(f"{actor}_idle"), seconds.get("step")
    known = isinstance(idle, (int, float)) and isinstance(step, (int, float)) and step > 0
    return min(1.0, idle / step) if known else None
