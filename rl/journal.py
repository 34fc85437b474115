"""What a step leaves behind: a line of metrics, TensorBoard events, a Parquet file of rollouts, a checkpoint, a line
on the screen."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.console import time_left
from evaluation.score import write_whole
from rl.batch import Batch
from rl.types import Group
from sft.events import Events


def step_metrics(groups: Sequence[Group], step: int) -> dict[str, Any]:
    """Figures of one step's groups; rates are shares of samples, or of groups where the name says so.

    lag: updates that the sampling policy was behind the newest one, mean over samples.
    entropy, nats per token: −mean log-probability of the sampled tokens, its unbiased estimate over all samples.
    """
    rewards = [reward for group in groups for reward in group.rewards]
    episodes = [episode for group in groups for episode in group.episodes]
    share_correct = [statistics.fmean(float(r.correct) for r in group.rewards) for group in groups]
    return {
        "reward": statistics.fmean(r.value for r in rewards),
        **{name: statistics.fmean(r.parts[name] for r in rewards) for name in rewards[0].parts},
        "no_signal": statistics.fmean(float(not group.has_signal) for group in groups),
        "all_correct": statistics.fmean(float(share == 1) for share in share_correct),
        "none_correct": statistics.fmean(float(share == 0) for share in share_correct),
        "truncated": statistics.fmean(float(e.finish_reason == "length") for e in episodes),
        "entropy": -statistics.fmean(log_prob for e in episodes for log_prob in e.log_probs),
        "mean_tokens": statistics.fmean(len(e.token_ids) for e in episodes),
        "samples": len(episodes),
        "lag": statistics.fmean(float(step - 1 - e.policy_step) for e in episodes),
        "verdicts": dict(Counter(reward.verdict for reward in rewards).most_common()),
        **({"turns": statistics.fmean(turns)} if max(turns := [e.turns for e in episodes]) > 1 else {}),
    }


def phases(seconds: dict[str, float], learn: float) -> dict[str, float]:
    """Seconds by phase of a step that took seconds["step"]; phases may overlap, and an actor is idle in the rest.

    generate: the busiest engine; reward: the pool; learn: the learner; publish: adapter and canary; wait: until the
    last group was there.
    """
    busy = seconds | {"learn": learn}
    idle = {
        f"{actor}_idle": max(0.0, busy["step"] - busy.get(phase, 0.0))
        for actor, phase in (("engine", "generate"), ("rewards", "reward"), ("learner", "learn"))
    }
    return {name: value for name, value in busy.items() if name != "step"} | idle | {"step": busy["step"]}


class Journal:
    """Appends to a run directory. `kept` goes into each checkpoint, and a resumed run begins by `restore`."""

    KEPT = ("metrics.jsonl", "dev.jsonl", "golds.json", "evaluations/base.json", "evaluations/sft.json")

    def __init__(self, run_dir: Path, last_step: int, report_to: Sequence[str] = ()) -> None:
        self.run_dir, self.last_step, self.report_to = run_dir, last_step, report_to
        (run_dir / "rollouts").mkdir(parents=True, exist_ok=True)
        self._events: Events | None = None
        self._done, self._began = 0, time.perf_counter()

    def record(self, step: int, batch: Batch, metrics: dict[str, float]) -> dict[str, Any]:
        """Writes the step, and returns its line of metrics.jsonl."""
        groups, whole = batch.groups, time.perf_counter() - batch.began
        row = {"step": step, **step_metrics(groups, step), **metrics}
        seconds = {**batch.seconds, "publish": row.pop("publish_seconds", 0.0), "step": whole}
        row["seconds"] = phases(seconds, row.pop("learn_seconds", 0.0))
        write_rollouts(self.run_dir / "rollouts" / f"step_{step:06d}.parquet", groups)
        with (self.run_dir / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.events.scalars(scalars(row), step)
        self.events.text("samples", samples_text(groups), step)
        print(self._line(step, row), flush=True)
        return row

    def dev(self, row: Mapping[str, Any]) -> None:
        """Dev accuracy while training: a line of dev.jsonl, which `row` is, and two scalars."""
        with (self.run_dir / "dev.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.evaluated("dev", row["step"], row)

    def evaluated(self, what: str, step: int, result: Mapping[str, Any]) -> None:
        """The accuracy of an evaluation as scalars: dev, the part that is watched; dev_all, all that is asked."""
        self.events.scalars({f"{what}/{name}": result[name] for name in ("ex_strict", "ex_strict_sampled")}, step)

    def kept(self) -> dict[str, bytes]:
        """What was recorded so far, but for events and rollouts, by the names of a checkpoint's files."""
        paths = {f"run/{name}": self.run_dir / name for name in self.KEPT}
        return {name: path.read_bytes() for name, path in paths.items() if path.exists()}

    def restore(self, step: int, files: Mapping[str, bytes]) -> None:
        """The run as it was after `step`, of which `files` were kept; 0 is the start. Steps done since then are done
        again, not counted twice; in a directory of another machine what came before is there again."""
        for name in self.KEPT:
            path, content = self.run_dir / name, files.get(f"run/{name}")
            if content is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, content.decode())
            elif name.endswith(".jsonl"):
                path.unlink(missing_ok=True)
        self._events = Events(self.run_dir, self.report_to, step)
        self._done, self._began = step, time.perf_counter()

    def close(self) -> None:
        if self._events is not None:
            self._events.close()

    @property
    def events(self) -> Events:
        self._events = self._events or Events(self.run_dir, self.report_to)
        return self._events

    def _line(self, step: int, row: dict[str, Any]) -> str:
        seconds = row["seconds"]
        shown = ("generate", "reward", "learn", "publish")
        left = time_left(time.perf_counter() - self._began, step - self._done, self.last_step - self._done)
        phases = " ".join(f"{name} {seconds.get(name, 0.0):.1f}" for name in shown)
        return (
            f"step {step}/{self.last_step}  reward {row['reward']:.3f}  correct {row['correct']:.1%}  "
            f"executable {row['executable']:.1%}  entropy {row['entropy']:.3f}  no signal {row['no_signal']:.0%}  "
            f"mismatch {row.get('mismatch', 0):.4f}  {seconds['step']:.1f} s ({phases})  {left}"
        )


def scalars(row: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a line of metrics.jsonl as curves: rl/NAME, and NAME/PART of those that have parts."""
    return {
        f"{name}/{key}" if key else f"rl/{name}": number
        for name, value in row.items()
        for key, number in (value.items() if isinstance(value, dict) else [("", value)])
    }


def samples_text(groups: Sequence[Group]) -> str:
    """A question with its gold, its best and its worst answer: of the first group that tells right from wrong."""
    shown = next((group for group in groups if group.has_signal), groups[0])
    ranked = sorted(range(len(shown.rewards)), key=lambda k: shown.rewards[k].value, reverse=True)
    lines = [shown.example.question, f"gold: {shown.example.gold_sql}"]
    for k in (ranked[0], ranked[-1]):
        lines.append(f"{shown.rewards[k].verdict}, reward {shown.rewards[k].value:g}: {shown.episodes[k].sql}")
    return "\n".join(" ".join(line.split()) for line in lines)


def write_rollouts(path: Path, groups: Sequence[Group]) -> None:
    """One row per sample: question, database, gold, SQL, verdict, error, reward and its parts, advantage, ids,
    log-probabilities; where any took several turns, their number and the queries before the last."""
    rows = [_rollout_row(group, k) for group in groups for k in range(len(group.episodes))]
    if any(episode.turns > 1 for group in groups for episode in group.episodes):
        turns = [{"before": list(e.before), "turns": e.turns} for group in groups for e in group.episodes]
        rows = [row | more for row, more in zip(rows, turns, strict=True)]
    partial = path.with_suffix(".partial")
    pq.write_table(pa.Table.from_pylist(rows), partial, compression="zstd")
    os.replace(partial, path)


def _rollout_row(group: Group, k: int) -> dict[str, Any]:
    example, episode, reward = group.example, group.episodes[k], group.rewards[k]
    return {
        "example_id": example.id,
        "sample": episode.sample,
        "policy_step": episode.policy_step,
        "db_id": example.db_id,
        "question": example.question,
        "gold": example.gold_sql,
        "sql": episode.sql,
        "verdict": reward.verdict,
        "error": reward.error,
        "reward": reward.value,
        "advantage": group.advantages[k],
        **reward.parts,
        "finish_reason": episode.finish_reason,
        "prompt_ids": list(episode.prompt_ids),
        "token_ids": episode.token_ids,
        "log_probs": episode.log_probs,
    }
