"""What an SFT run shows and writes while it learns: a line per few steps, and dev accuracy."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers

from evaluation.console import time_left
from sft.dev import DevEvaluator, DevScore
from sft.events import Events

Row = dict[str, Any]


class Progress(transformers.TrainerCallback):
    """A line on the screen, in metrics.jsonl and to the run's events every train.log_every steps.

    done: steps of an earlier invocation; what it wrote after them is dropped.
    """

    def __init__(self, run_dir: Path, events: Events, done: int = 0) -> None:
        self.run_dir, self._events = run_dir, events
        self.rows = keep_until(run_dir / "metrics.jsonl", done)
        self._before = self.rows[-1]["seconds"] if self.rows else 0.0
        self.began = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.began = time.perf_counter() - self._before

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_log = control.should_log or state.global_step == state.max_steps  # the last step has a line, too

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        if not logs or "loss" not in logs:
            return
        row = self._row(state.global_step, logs)
        self.rows.append(row)
        with (self.run_dir / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        self._events.scalars({f"sft/{name}": value for name, value in row.items()}, row["step"])
        print(_line(row, state.max_steps), flush=True)

    def _row(self, step: int, logs: dict[str, float]) -> Row:
        seconds, tokens = time.perf_counter() - self.began, logs.get("num_tokens", 0.0)
        before = self.rows[-1] if self.rows else {"seconds": 0.0, "tokens": 0.0}
        return {
            "step": step,
            "loss": logs["loss"],
            "token_accuracy": logs.get("mean_token_accuracy", 0.0),
            "learning_rate": logs["learning_rate"],
            "grad_norm": float(logs.get("grad_norm", 0.0)),
            "tokens": tokens,
            "tokens_per_s": (tokens - before["tokens"]) / max(seconds - before["seconds"], 1e-9),
            "seconds": seconds,
        }


class DevWatch(transformers.TrainerCallback):
    """Every few steps and after the last: saves the policy, has it scored, and keeps the best one in run_dir/best.

    save(step, directory) writes the policy. Scores are lines of dev.jsonl; of equal ones the earlier is the better.
    """

    def __init__(
        self,
        run_dir: Path,
        every: int,
        done: int,
        evaluator: DevEvaluator,
        save: Callable[[int, Path], None],
        events: Events,
    ) -> None:
        self.run_dir, self.every, self.evaluator, self.save, self._events = run_dir, every, evaluator, save, events
        self.rows = keep_until(run_dir / "dev.jsonl", done)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        step = state.global_step
        if step % self.every and step != state.max_steps:
            return
        candidate = self.run_dir / ".candidate"
        self.save(step, candidate)
        score = self.evaluator.evaluate(candidate)
        self._record(step, score)
        if self.best(self.rows)["step"] == step:
            shutil.rmtree(self.run_dir / "best", ignore_errors=True)
            os.replace(candidate, self.run_dir / "best")
        else:
            shutil.rmtree(candidate)

    def _record(self, step: int, score: DevScore) -> None:
        shown = ("ex_strict", "em_spider", "loss", "n")
        row = {"step": step, **{name: getattr(score, name) for name in shown}}
        self.rows.append(row)
        with (self.run_dir / "dev.jsonl").open("a") as file:
            file.write(json.dumps(row | {"seconds": score.seconds}) + "\n")
        self._events.scalars({f"dev/{name}": row[name] for name in ("ex_strict", "em_spider", "loss")}, step)
        self._events.text("samples", self.evaluator.samples_text(score), step)
        print(
            f"step {step}: dev ex_strict {score.ex_strict:.1%}, em_spider {score.em_spider:.1%}, "
            f"loss {score.loss:.4f} of {score.n} questions, {score.seconds:.0f} s",
            flush=True,
        )

    @staticmethod
    def read(run_dir: Path) -> list[Row]:
        """The scores so far."""
        path = run_dir / "dev.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @staticmethod
    def best(rows: list[Row]) -> Row:
        """The row of highest ex_strict, then em_spider, then earliest step."""
        return max(rows, key=lambda row: (row["ex_strict"], row["em_spider"], -row["step"]))


def keep_until(path: Path, step: int) -> list[Row]:
    """Rows of a .jsonl file up to `step`; later ones, and one cut short, are removed from the file."""
    if not path.exists():
        return []
    rows: list[Row] = []
    for line in path.read_text().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        rows += [row] if row["step"] <= step else []
    partial = path.with_suffix(".partial")
    partial.write_text("".join(json.dumps(row) + "\n" for row in rows))
    os.replace(partial, path)
    return rows


def _line(row: Row, steps: int) -> str:
    return (
        f"step {row['step']:>{len(str(steps))}}/{steps}  loss {row['loss']:.4f}  "
        f"tokens right {row['token_accuracy']:.1%}  lr {row['learning_rate']:.2e}  "
        f"{row['tokens_per_s']:,.0f} tokens/s  {time_left(row['seconds'], row['step'], steps)}"
    )
