"""A run: one owner of its directory.

    NAME/  .lock  config.json  log.txt  finished.json      one driver at a time; the settings; whether it is over
           metrics.jsonl  dev.jsonl  rollouts/  tensorboard/  seconds.json  golds.json  quarantine.jsonl
           checkpoints/ (or elsewhere)  evaluations/{base,sft,rl}.json  adapter/  report/  sft_metrics.jsonl

The same line goes on from the newest whole checkpoint: of the same settings, data and first adapter, but for what may
change.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation import console
from evaluation.benchmarks import Example
from evaluation.errors import UserError
from evaluation.stop import keeps
from rl import rater, replay, teacher
from rl.config import RlConfig
from rl.memory import require_disk
from rl.run_and_repair import AgentConfig
from rl.seconds import Clock
from sft import finished
from sft.policy import checkpoint
from sft.policy.base import read_adapter
from sft.policy.stores import Store, open_store
from sft.run_lock import locked
from sft.settings.file import leaves, write_resolved

OUTPUTS = (
    "config.json", "metrics.jsonl", "dev.jsonl", "rollouts", "tensorboard", "checkpoints", "evaluations", "adapter",
    "report", "quarantine.jsonl", "sft_metrics.jsonl", "seconds.json", "golds.json", console.FILE, finished.FILE,
)  # fmt: skip
MAY_CHANGE: dict[str, Any] = {
    **dict.fromkeys(("steps", "run", "engine", "evaluation", "checkpoint", "alarm"), True),
    **dict.fromkeys(("init_adapter", "sft_metrics"), True),
    "data": {"checked", "difficulty"}, "rollout": {"replay"}, "reward": {"workers", "model"},
    "learner": {"ranks", "timeout_s", "teacher"},
}  # fmt: skip
"""Settings that a resumed run may have otherwise. Of files, the content counts, not where they lie."""
LATER = (
    "algorithm", "environment", "rollout.grow_to", "rollout.budget",
    "reward.efficiency", "reward.model_weight", "reward.extra", "reward.extra_weight",
    "learner.pair_beta", "learner.pairs", "learner.kl_target", "learner.adapt_clip", "learner.passes",
    "learner.entropy_floor", "learner.rate_floor", "rollout.together", "learner.gamma", "learner.gae_lambda",
    "learner.value_weight", "learner.value_clip",
    *(f"agent.{name}" for name in AgentConfig.model_fields),
)  # fmt: skip
"""Settings that checkpoints of earlier versions do not know: while they have their default they are no identity."""


@dataclass(frozen=True)
class Run:
    """saved: the checkpoint to go on from."""

    config: RlConfig
    identity: dict[str, str]
    store: Store
    saved: checkpoint.Checkpoint | None
    clock: Clock

    @property
    def directory(self) -> Path:
        return self.config.run.path

    @property
    def done(self) -> int:
        """Steps that are learned when it begins."""
        return self.saved.step if self.saved else 0

    @property
    def steps(self) -> range:
        """Those that are left."""
        return range(self.done + 1, self.config.steps + 1)

    def evaluation(self, name: str) -> Path:
        return self.directory / "evaluations" / f"{name}.json"

    def save(self, step: int, files: Mapping[str, bytes]) -> None:
        """A checkpoint after `step`."""
        made = checkpoint.Checkpoint(step, dict(files), self.identity)
        checkpoint.write(self.store, made, self.config.checkpoint.keep)
        self.says_it_keeps(step)
        self.clock.stamp()

    def says_it_keeps(self, step: int) -> None:
        """What Ctrl-C says from now on."""
        if step:
            keeps(f"{self.config.checkpoint_place} keeps step {step} of {self.config.steps}")
            return
        first = f" and no step yet, the first after step {min(self.config.checkpoint.every, self.config.steps)}"
        keeps(f"{self.directory} keeps what was evaluated{first if self.config.steps else ''}")


@contextmanager
def opened(config: RlConfig, identity: dict[str, str]) -> Iterator[Run]:
    """The run of these settings, while no other driver has it; with run.overwrite what it has left before is removed.

    UserError, before anything starts: it is of other settings or data or of more steps, or the disk has no room.
    """
    began = time.perf_counter()
    with locked(config.run.path):
        store = open_store(config.checkpoint_place)
        if config.run.overwrite:
            _remove(config, store)
        saved = _saved(config, store, identity)
        require_disk(config)
        finished.unmark(config.run.path)
        write_resolved(config, config.run.path)
        run = Run(config, identity, store, saved, Clock(config.run.path, began))
        run.says_it_keeps(run.done)
        yield run


def _remove(config: RlConfig, store: Store) -> None:
    for name in store.names():
        store.drop(name)
    config.run.clear(OUTPUTS)


def _saved(config: RlConfig, store: Store, identity: Mapping[str, str]) -> checkpoint.Checkpoint | None:
    saved = checkpoint.newest(store, dict(identity))
    if saved is None:
        return None
    if gone := [key for key in LATER if key in saved.identity and key not in identity]:
        raise UserError(
            f"{store} was made with another {gone[0]} (then {saved.identity[gone[0]]}, now the default). Give the run "
            "another name with run.name=…, or restore the setting; the existing run is untouched."
        )
    if saved.step > config.steps:
        raise UserError(
            f"{store} has learned {saved.step} steps, more than steps = {config.steps}: raise it, give another "
            "run.name, or start anew with run.overwrite=true; the existing run is untouched"
        )
    return saved


def identity_of(config: RlConfig, train: Sequence[Example]) -> dict[str, str]:
    """What a resumed run must share with its checkpoint: settings by key, and digests of what they name."""
    settings = dict(leaves(config.model_dump(mode="json", exclude=MAY_CHANGE)))
    usual = dict(leaves(RlConfig(init_adapter="-").model_dump(mode="json")))
    known = {key: value for key, value in settings.items() if key not in LATER or value != usual[key]}
    data = hashlib.sha256()
    for example in train:
        data.update(repr((example.id, example.question, example.gold_sql)).encode())
    adapter = read_adapter(Path(config.init_adapter)).digest if config.init_adapter else ""
    digests = {"training data": data.hexdigest()[:16], "init_adapter": adapter[:16]}
    digests |= {"reward model": rater.digest(Path(config.reward.model))[:16]} if config.reward.model else {}
    digests |= {"replay": replay.digest(Path(config.rollout.replay))[:16]} if config.rollout.replay else {}
    digests |= {"teacher": teacher.digest(config.learner.teacher)[:16]} if config.learner.teacher else {}
    return {key: json.dumps(value) for key, value in known.items()} | {"run.seed": str(config.run.seed)} | digests

