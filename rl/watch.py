"""What the loop lets others see and keep: metrics, evaluations on dev, checkpoints, alarms."""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Sequence

from cluster.resources import object_store_bytes
from evaluation.benchmarks import Example
from evaluation.lineage import trained
from rl.alarms import Alarm, AlarmConfig, Alarms, after_evaluation
from rl.batch import Batch
from rl.evaluate import evaluate, save
from rl.journal import Journal
from rl.policy import EnginePolicy
from rl.rewards import PooledRewards
from rl.run import Run
from sft.policy import provenance

log = logging.getLogger(__name__)


class RunWatch:
    """The loop's `Watch` of one run."""

    def __init__(self, run: Run, policy: EnginePolicy, rewards: PooledRewards, dev: Sequence[Example]) -> None:
        self.run, self.policy, self.rewards, self.dev = run, policy, rewards, dev
        self.journal = Journal(run.directory, run.config.steps, run.config.run.report_to)
        self.alarms = Alarms(run.config.alarm)
        self._heard: list[str] = []

    def record(self, step: int, batch: Batch, metrics: dict[str, float]) -> None:
        store = {"object_store_mib": object_store_bytes() / 2**20}
        self._heard = self.alarms.check(step, self.journal.record(step, batch, metrics | store))

    def evaluate(self, step: int) -> None:
        """Dev accuracy while training, every evaluation.every steps, on a fixed part of the dev questions."""
        settings = self.run.config.evaluation
        if not settings.every or step % settings.every:
            return
        began = time.perf_counter()
        dev = random.Random(0).sample(self.dev, min(settings.watched, len(self.dev)))
        result = evaluate(self.policy, self.rewards, dev, settings.samples, step)
        row = {"step": step, "ex_strict": result["ex_strict"], "ex_strict_sampled": result["ex_strict_sampled"]}
        row["seconds"] = time.perf_counter() - began
        self.journal.dev(row)
        print(f"step {step}: dev ex_strict {row['ex_strict']:.1%}, sampled {row['ex_strict_sampled']:.1%}", flush=True)
        self._heard += after_evaluation(self.run.config.alarm, f"step {step}", result)

    def checkpoint(self, step: int) -> None:
        if step % self.run.config.checkpoint.every == 0 or step == self.run.config.steps:
            self.run.save(step, self.policy.state() | self.journal.kept())

    def alarm(self, step: int) -> None:
        sound(self.run.config.alarm, self._heard)

    def begin(self) -> None:
        """The policy as it was after the newest checkpoint, served and proved; else the first one, evaluated."""
        run, files = self.run, self.run.saved.files if self.run.saved else {}
        self.journal.restore(run.done, files)
        if run.saved:
            print(f"resuming {run.directory} after step {run.done} of {run.config.steps}", flush=True)
            self.policy.restore(run.done, files)
        self.policy.publish(run.done)
        self.policy.verify()
        if not run.saved:
            self.evaluate_once("sft", 0)

    def evaluate_once(self, name: str, policy_step: int | None) -> None:
        """Evaluates on dev and keeps the result; a resumed run does not do it again, unless it is of something else."""
        config, path = self.run.config, self.run.evaluation(name)
        began, samples = time.perf_counter(), config.evaluation.samples
        dev = self.dev[: config.evaluation.limit or None]
        what = {**self.run.identity, "step": policy_step, "questions": len(dev), "samples": samples}
        result = json.loads(path.read_text()) if path.exists() else {}
        if result.get("of") != what:
            print(f"evaluating {name} on {len(dev)} dev questions", flush=True)
            result = evaluate(self.policy, self.rewards, dev, samples, policy_step)
            start = {"trained": trained(config.init_adapter), "recipe": provenance.recipe(config.init_adapter)}
            result |= start if name == "sft" else {}
            save(path, {"of": what, "seconds": time.perf_counter() - began, **result})
            if policy_step is not None:
                self.journal.evaluated("dev_all", policy_step, result)
            print(f"{name}: ex_strict {result['ex_strict']:.1%}, sampled {result['ex_strict_sampled']:.1%}", flush=True)
        if name == "sft":  # a base may know nothing, and at the end nothing is left to stop
            sound(config.alarm, after_evaluation(config.alarm, name, result))

    def close(self) -> None:
        self.journal.close()


def sound(config: AlarmConfig, alarms: Sequence[str]) -> None:
    for alarm in alarms:
        log.warning("ALARM %s", alarm)
        if config.action == "stop":
            raise Alarm(alarm)
