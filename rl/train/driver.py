"""The Ray driver of an RL run.

driver:  questions ─► engine actors (vLLM) ─► reward actors (SQLite) ─► learner actors (4-bit base, LoRA)
                           ▲                                                │
                           └────────── adapter bytes, then canary ◄─────────┘
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.actor import Handle, spawn
from cluster.resources import machine, nodes, object_store_bytes, require
from cluster.runtime import start
from evaluation import console
from evaluation.benchmarks import Example, load_examples
from evaluation.check_data import read_actions
from evaluation.console import log_to
from evaluation.errors import UserError
from evaluation.lineage import trained
from evaluation.stop import keeps
from rl import loop
from rl.alarms import Alarm, AlarmConfig, Alarms, after_evaluation
from rl.config import RlConfig
from rl.engines import Engine, Engines, ServedGenerator
from rl.evaluate import evaluate, save
from rl.golds import dropped_before, useless, write_dropped
from rl.journal import Clock, Journal
from rl.learner import Learner
from rl.learners import Learners
from rl.memory import (
    adapter_rank,
    live_versions,
    object_store_mib,
    require_disk,
    require_gpu_or_small,
    require_kv_cache,
)
from rl.parts import Canary, EnginePolicy, PooledRewards, ShuffledQuestions, reward_pool
from rl.placement import CPUS, ENGINE, LEARNER, Placement, engine_environment, learner_environment, place
from rl.report.write import write_report
from rl.reward import RewardWorker, self_test
from rl.types import Group
from sft import finished
from sft.policy import checkpoint, provenance
from sft.policy.base import load_tokenizer, read_adapter, save_adapter
from sft.policy.device import detect
from sft.policy.encoder import PromptEncoder
from sft.policy.stores import Store, open_store
from sft.run_lock import locked
from sft.settings.file import leaves, write_resolved

log = logging.getLogger(__name__)
OUTPUTS = (
    "config.json", "metrics.jsonl", "dev.jsonl", "rollouts", "tensorboard", "checkpoints", "evaluations", "adapter",
    "report", "quarantine.jsonl", "sft_metrics.jsonl", "seconds.json", "golds.json", console.FILE, finished.FILE,
)  # fmt: skip
MAY_CHANGE: dict[str, Any] = {
    **dict.fromkeys(("steps", "run", "engine", "evaluation", "checkpoint", "alarm"), True),
    **dict.fromkeys(("init_adapter", "sft_metrics"), True),
    "data": {"checked"}, "reward": {"workers"}, "learner": {"ranks", "timeout_s"},
}  # fmt: skip
"""Settings that a resumed run may have otherwise. Of files, the content counts, not where they lie."""
SELF_TEST_QUESTIONS = 32
CANARY_PROMPTS = 4


@dataclass(frozen=True)
class Run:
    """What one invocation works with."""

    config: RlConfig
    directory: Path
    questions: ShuffledQuestions
    dev: list[Example]
    policy: EnginePolicy
    rewards: PooledRewards
    identity: dict[str, str]
    store: Store
    saved: checkpoint.Checkpoint | None
    clock: Clock


def train_run(config: RlConfig, data: Path | None) -> Path:
    """The whole run, or what is left of it. Returns the report's directory."""
    began = time.perf_counter()
    if config.init_adapter:
        provenance.check(Path(config.init_adapter), config.model, config.data.prompt_style)
    require_kv_cache(config)
    examples = {split: load_examples(config.data.benchmark, split, data) for split in ("train", "dev")}
    encoder = _encoder(config)
    examples["train"] = _fitting(checked(examples["train"], config.data.checked), encoder)
    directory = config.run.path
    identity = _identity(config, examples["train"])
    with ExitStack() as stack:
        stack.enter_context(locked(directory))
        store, saved = open_run(config, identity)
        finished.unmark(directory)
        log_to(directory)
        write_resolved(config, directory)
        keeps_step(config, saved.step if saved else 0)
        clock = Clock(directory, began)
        print("starting Ray", flush=True)
        stack.enter_context(start(num_cpus=_slots(config), object_store_mib=object_store_mib(config)))
        decided = dropped_before(directory, saved, identity)
        policy, rewards, questions = _assemble(config, examples["train"], encoder, decided, stack)
        write_dropped(directory, identity, questions.dropped)
        run = Run(config, directory, questions, examples["dev"], policy, rewards, identity, store, saved, clock)
        if config.evaluation.base and config.steps:
            _evaluate_once(run, "base", None)
        _learn(run)
        if config.steps:
            _save_adapter(run)
            _evaluate_once(run, "rl", config.steps)
    _write_seconds(run)
    report = write_report(directory)
    finished.mark(config, data)
    print(f"report: {report}", flush=True)
    return report


def keeps_step(config: RlConfig, step: int) -> None:
    """What Ctrl-C says from now on."""
    if step:
        keeps(f"{config.checkpoint_place} keeps step {step} of {config.steps}")
    else:
        first = f" and no step yet, the first after step {min(config.checkpoint.every, config.steps)}"
        keeps(f"{config.run.path} keeps what was evaluated{first if config.steps else ''}")


def open_run(config: RlConfig, identity: dict[str, str]) -> tuple[Store, checkpoint.Checkpoint | None]:
    """Where the checkpoints go, and the one to go on from. UserError, before anything starts: it is of a run of other
    settings or data or of more steps, or there is no room on the disk."""
    store = open_store(config.checkpoint_place)
    if config.run.overwrite:
        for name in store.names():
            store.drop(name)
        config.run.clear(OUTPUTS)
    saved = checkpoint.newest(store, identity)
    if saved and saved.step > config.steps:
        raise UserError(
            f"{store} has learned {saved.step} steps, more than steps = {config.steps}: raise it, give another "
            "run.name, or start anew with run.overwrite=true; the existing run is untouched"
        )
    require_disk(config)
    return store, saved


def _assemble(
    config: RlConfig,
    examples: list[Example],
    encoder: PromptEncoder,
    decided: frozenset[str] | None,
    stack: ExitStack,
) -> tuple[EnginePolicy, PooledRewards, ShuffledQuestions]:
    """Starts the actors, checks the reward, and passes over the training questions whose golds cannot be rewarded.

    decided: ids of those, where this run has found them before.
    """
    where = _placement(config)
    require(where.requests(config, config.reward.least_workers))
    print(
        f"starting {config.learner.ranks} learner, {config.engine.replicas} engine and {config.reward.workers} reward "
        "actors",
        flush=True,
    )
    ranks = [_spawn_learner(config, where, rank) for rank in range(config.learner.ranks)]
    keep, patience = live_versions(config), config.engine.timeout_s
    engines = [Engine(_spawn_engine(config, where, n, keep), patience, keep) for n in range(config.engine.replicas)]
    # Before a pool that takes what is left.
    learners = Learners(ranks, config.learner.timeout_s, config.learner.learns_all)
    if notice := learners.notice():
        print(f"{config.model.path} {notice}", flush=True)
    for engine in engines:
        engine.ready()
    print(f"{config.engine.replicas} engine ready, {len(examples)} golds to check", flush=True)
    pool = stack.enter_context(reward_pool(config.reward, config.run.path / "quarantine.jsonl"))
    rewards = PooledRewards(pool, config.reward, config.run.seed, config.rollout.max_tokens)
    dropped = useless(examples, rewards) if decided is None else decided
    train = [example for example in examples if example.id not in dropped]
    rng = random.Random(config.run.seed)
    sample = rng.sample(train, min(SELF_TEST_QUESTIONS, len(train)))
    tester = RewardWorker(config.reward.deadline_s, config.reward.parts, config.reward.columns)
    try:
        self_test(tester, sample)
    finally:
        tester.close()
    shown = sample[:CANARY_PROMPTS]
    canary = Canary([encoder.encode(e) for e in shown], [encoder.completion_ids(e.gold_sql) for e in shown])
    policy = EnginePolicy(
        Engines(engines),
        learners,
        encoder,
        config.rollout,
        config.engine.mismatch_limit,
        canary,
        config.run.seed,
        bf16=config.model.dtype == "bfloat16" and (where.learner_gpus > 0 or detect().bf16),
    )
    return policy, rewards, ShuffledQuestions(examples, config.rollout.questions, config.run.seed, dropped)


def _learn(run: Run) -> None:
    """Resumes from the newest whole checkpoint, or evaluates the warm-up and begins."""
    config, journal = run.config, Journal(run.directory, run.config.steps, run.questions.examples)
    alarms = Alarms(config.alarm)
    saved, done = run.saved, run.saved.step if run.saved else 0
    journal.restore(done, saved.files if saved else {})
    if saved:
        print(f"resuming {run.directory} after step {done} of {config.steps}", flush=True)
        run.policy.restore(done, saved.files)
    run.policy.publish(done)
    run.policy.verify()
    if not saved:
        _evaluate_once(run, "sft", 0)

    def record(step: int, groups: list[Group], metrics: dict[str, float], seconds: dict[str, float]) -> None:
        store_mib = object_store_bytes() / 2**20
        row = journal.record(step, groups, metrics | {"object_store_mib": store_mib}, seconds)
        heard = alarms.check(step, row)
        if config.evaluation.every and step % config.evaluation.every == 0:
            heard += _watch(run, step)
        if step % config.checkpoint.every == 0 or step == config.steps:
            files = run.policy.state() | journal.kept()
            checkpoint.write(run.store, checkpoint.Checkpoint(step, files, run.identity), config.checkpoint.keep)
            keeps_step(config, step)
            run.clock.stamp()
        sound(config.alarm, heard)

    steps, rollout = range(done + 1, config.steps + 1), config.rollout
    bounds = rollout.refills, rollout.staleness, config.reward.correct
    try:
        loop.train(steps, run.questions, run.policy, run.rewards, rollout.advantage, record, *bounds)
        run.policy.verify()
    finally:
        journal.close()


def sound(config: AlarmConfig, alarms: Sequence[str]) -> None:
    for alarm in alarms:
        log.warning("ALARM %s", alarm)
        if config.action == "stop":
            raise Alarm(alarm)


def _save_adapter(run: Run) -> None:
    """The trained adapter in PEFT's layout, with what it was trained on, for `rl.predict` and other tools."""
    version = run.policy.learners.publish(run.config.steps)
    data = run.config.data
    history = provenance.history(run.config, "RL", run.config.init_adapter)
    extra = provenance.as_file(run.config.model, data.prompt_style, data.prompt_budget, **history)
    save_adapter(version, run.directory / "adapter", extra)


def _watch(run: Run, step: int) -> list[str]:
    """Dev accuracy while training, on a fixed part of the dev questions; alarms that it sets off."""
    began = time.perf_counter()
    dev = random.Random(0).sample(run.dev, min(run.config.evaluation.watched, len(run.dev)))
    result = evaluate(run.policy, run.rewards, dev, run.config.evaluation.samples, step)
    row = {"step": step, "ex_strict": result["ex_strict"], "ex_strict_sampled": result["ex_strict_sampled"]}
    row["seconds"] = time.perf_counter() - began
    with (run.directory / "dev.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(f"step {step}: dev ex_strict {row['ex_strict']:.1%}, sampled {row['ex_strict_sampled']:.1%}", flush=True)
    return after_evaluation(run.config.alarm, f"step {step}", result)


def _evaluate_once(run: Run, name: str, policy_step: int | None) -> None:
    """Evaluates on dev and keeps the result; a resumed run does not do it again, unless it is of something else."""
    path = run.directory / "evaluations" / f"{name}.json"
    config = run.config
    began, samples = time.perf_counter(), config.evaluation.samples
    dev = run.dev[: config.evaluation.limit or None]
    what = {**run.identity, "step": policy_step, "questions": len(dev), "samples": samples}
    result = json.loads(path.read_text()) if path.exists() else {}
    if result.get("of") != what:
        print(f"evaluating {name} on {len(dev)} dev questions", flush=True)
        result = evaluate(run.policy, run.rewards, dev, samples, policy_step)
        start = {"trained": trained(config.init_adapter), "recipe": provenance.recipe(config.init_adapter)}
        result |= start if name == "sft" else {}
        save(path, {"of": what, "seconds": time.perf_counter() - began, **result})
        print(f"{name}: ex_strict {result['ex_strict']:.1%}, sampled {result['ex_strict_sampled']:.1%}", flush=True)
    if name == "sft":  # a base may know nothing, and at the end nothing is left to stop
        sound(config.alarm, after_evaluation(config.alarm, name, result))


def _slots(config: RlConfig) -> int:
    """CPU slots of a Ray started here: slots are bookkeeping, and one machine may hold more of them than cores."""
    here = machine()
    auto = max(1, int(here.cpus) - 1)
    workers = auto if config.reward.workers == "auto" else config.reward.workers
    return math.ceil(sum(r.cpus * r.count for r in place(config, here.cpus, here.gpus).requests(config, workers)))


def _placement(config: RlConfig) -> Placement:
    """For the cluster that is connected."""
    gpus = sum(node.gpus for node in nodes())
    if not gpus:
        require_gpu_or_small(config)
    return place(config, machine().cpus, gpus)


def _spawn_learner(config: RlConfig, where: Placement, rank: int) -> Handle:
    return spawn(
        Learner,
        config.model,
        config.lora,
        config.learner,
        config.init_adapter,
        config.rollout.temperature,
        config.rollout.max_tokens,
        config.steps,
        config.run.seed,
        name=_name(LEARNER, rank, config.learner.ranks),
        num_cpus=CPUS,
        num_gpus=where.learner_gpus,
        env=learner_environment(where),
    )


def _spawn_engine(config: RlConfig, where: Placement, replica: int, live_versions: int) -> Handle:
    engine = config.engine
    return spawn(
        ServedGenerator,
        config.model,
        max_lora_rank=adapter_rank(config),
        kv_cache_gib=engine.kv_cache_gib,
        max_num_seqs=engine.max_num_seqs,
        tensor_parallel=engine.tensor_parallel,
        live_versions=live_versions,
        seed=config.run.seed,
        name=_name(ENGINE, replica, engine.replicas),
        num_cpus=CPUS,
        num_gpus=where.engine_gpus,
        env=engine_environment(where),
    )


def _name(what: str, number: int, count: int) -> str:
    return f"{what}-{number}" if count > 1 else what


def _encoder(config: RlConfig) -> PromptEncoder:
    longest = config.model.max_length - config.rollout.max_tokens
    style, budget = config.data.prompt_style, config.data.prompt_budget
    return PromptEncoder(load_tokenizer(config.model.path), style, longest, budget)


def _fitting(examples: list[Example], encoder: PromptEncoder) -> list[Example]:
    """Training questions whose prompt leaves room for an answer; the others are counted, and none left is an error."""
    kept = [example for example in examples if encoder.fits(encoder.encode(example))]
    if len(kept) < len(examples):
        print(f"train: dropped {len(examples) - len(kept)} of {len(examples)} prompts over the context", flush=True)
    if not kept:
        raise UserError(
            f"every prompt is longer than {encoder.max_prompt_tokens} tokens (model.max_length − "
            "rollout.max_tokens): raise model.max_length, or choose a shorter data.prompt_style"
        )
    return kept


def checked(examples: list[Example], path: str) -> list[Example]:
    """What data.checked leaves: dropped questions are out, and the others come twice as often as down-weighted ones."""
    actions = read_actions(Path(path), examples) if path else {}
    if not actions:
        return examples
    kept = [example for example in examples if actions.get(example.id) != "drop"]
    print(f"train: {path} drops {len(examples) - len(kept)} of {len(examples)} questions", flush=True)
    return kept + [example for example in kept if example.id not in actions]


def _identity(config: RlConfig, train: Sequence[Example]) -> dict[str, str]:
    """What a resumed run must share with its checkpoint: settings by key, and digests of what they name."""
    kept = config.model_dump(mode="json", exclude=MAY_CHANGE)
    data = hashlib.sha256()
    for example in train:
        data.update(repr((example.id, example.question, example.gold_sql)).encode())
    adapter = read_adapter(Path(config.init_adapter)).digest if config.init_adapter else ""
    settings = {key: json.dumps(value) for key, value in leaves(kept)}
    digests = {"training data": data.hexdigest()[:16], "init_adapter": adapter[:16]}
    return settings | {"run.seed": str(config.run.seed)} | digests


def _write_seconds(run: Run) -> None:
    """Seconds by part, over all invocations; what no part accounts for is "other": starting, checking, saving."""
    metrics, dev = _rows(run.directory / "metrics.jsonl"), _rows(run.directory / "dev.jsonl")
    evaluations = [json.loads(p.read_text()) for p in (run.directory / "evaluations").glob("*.json")]
    driver = run.clock.stamp()
    seconds = {
        "sft": _sft_seconds(run),
        "rl": sum(row["seconds"]["step"] for row in metrics),
        "evaluation": sum(row.get("seconds", 0.0) for row in [*evaluations, *dev]),
    }
    seconds["other"] = max(0.0, driver + seconds["sft"] - sum(seconds.values()))
    save(run.directory / Clock.FILE, {**seconds, "driver": driver, "total": sum(seconds.values())})


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _sft_seconds(run: Run) -> float:
    """Copies the warm-up's metrics beside ours for the report; its seconds are 0 when it is not known, or no SFT."""
    source = Path(run.config.sft_metrics or Path(run.config.init_adapter).parent / "metrics.jsonl")
    if not run.config.init_adapter or not source.exists() or any("reward" in row for row in _rows(source)):
        return 0.0
    (run.directory / "sft_metrics.jsonl").write_text(source.read_text())
    summary = source.parent / "report" / "summary.json"
    return sum(json.loads(summary.read_text())["seconds"].values()) if summary.exists() else 0.0
