"""Where a run's figures go beside its own files: TensorBoard always, and the trackers that run.report_to names.

A tracker is its own package, logged in and addressed by its own environment variables. One that fails while the run
learns is left alone from then on, and said to be.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from torch.utils.tensorboard import SummaryWriter

log = logging.getLogger(__name__)
PROJECT = "rollsql"
Settings = dict[str, Any]


class Tracker(Protocol):
    def scalars(self, values: Mapping[str, float], step: int) -> None: ...

    def text(self, name: str, text: str, step: int) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """run_dir/tensorboard. What stands there after `done` steps is superseded."""

    def __init__(self, run_dir: Path, settings: Settings, done: int) -> None:
        self._writer = SummaryWriter(str(run_dir / "tensorboard"), purge_step=done + 1)
        if settings:
            self.text("settings", json.dumps(settings, indent=1), done)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def text(self, name: str, text: str, step: int) -> None:
        """As it is: TensorBoard reads Markdown, and four blanks make code of a line."""
        self._writer.add_text(name, "\n".join(f"    {line}" for line in text.splitlines()), step)

    def close(self) -> None:
        self._writer.close()


class Trackio:
    def __init__(self, run_dir: Path, settings: Settings, done: int) -> None:
        import trackio

        self._package = trackio
        trackio.init(
            PROJECT, name=run_dir.name, config=settings, resume="allow" if done else "never", embed=False,
            auto_log_gpu=False, auto_log_cpu=False,
        )  # fmt: skip

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        self._package.log(dict(values), step)

    def text(self, name: str, text: str, step: int) -> None:
        self._package.log({name: self._package.Markdown(f"```\n{text}\n```")}, step)

    def close(self) -> None:
        self._package.finish()


class Wandb:
    """A run that goes on is the same run there."""

    def __init__(self, run_dir: Path, settings: Settings, done: int) -> None:
        import wandb

        self._kept = run_dir / "tensorboard" / "wandb-run"
        known = self._kept.read_text() if done and self._kept.is_file() else None
        self._run = wandb.init(
            project=PROJECT, name=run_dir.name, config=settings, dir=str(run_dir), id=known, resume="allow"
        )
        self._kept.write_text(self._run.id)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step)

    def text(self, name: str, text: str, step: int) -> None:
        self._run.log({name: text}, step)

    def close(self) -> None:
        self._run.finish()


class Mlflow:
    """A run that goes on is the same run there."""

    def __init__(self, run_dir: Path, settings: Settings, done: int) -> None:
        import mlflow

        self._package, self._kept = mlflow, run_dir / "tensorboard" / "mlflow-run"
        mlflow.set_experiment(PROJECT)
        known = self._kept.read_text() if done and self._kept.is_file() else None
        self._kept.write_text(mlflow.start_run(run_id=known, run_name=None if known else run_dir.name).info.run_id)
        mlflow.log_dict(settings, "settings.json")

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        self._package.log_metrics(dict(values), step)

    def text(self, name: str, text: str, step: int) -> None:
        self._package.log_text(text, f"{name}/step_{step:06}.txt")

    def close(self) -> None:
        self._package.end_run()


TRACKERS: dict[str, Callable[[Path, Settings, int], Tracker]] = {
    "trackio": Trackio, "wandb": Wandb, "mlflow": Mlflow,
}  # fmt: skip


class Events:
    """All of them at once. done: steps of an earlier invocation."""

    def __init__(self, run_dir: Path, report_to: Sequence[str] = (), done: int = 0) -> None:
        path = run_dir / "config.json"
        settings = json.loads(path.read_text()) if path.is_file() else {}
        self._trackers: dict[str, Tracker] = {"TensorBoard": TensorBoard(run_dir, settings, done)}
        for name in report_to:
            self._guarded(name, partial(self._add, name, run_dir, settings, done))

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        self._each(lambda tracker: tracker.scalars(values, step))

    def text(self, name: str, text: str, step: int) -> None:
        self._each(lambda tracker: tracker.text(name, text, step))

    def close(self) -> None:
        self._each(lambda tracker: tracker.close())

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            self._guarded(name, partial(call, tracker))

    def _add(self, name: str, run_dir: Path, settings: Settings, done: int) -> None:
        self._trackers[name] = TRACKERS[name](run_dir, settings, done)

    def _guarded(self, name: str, call: Callable[[], None]) -> None:
        """A tracker's network is no reason to lose a run."""
        try:
            call()
        except Exception as error:
            if name == "TensorBoard":
                raise
            log.warning("%s gets no more of this run: %s", name, " ".join(str(error).split())[:300])
            self._trackers.pop(name, None)
