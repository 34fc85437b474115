"""From settings to the parts of the loop: places on the cluster, actors there, and what the driver holds of them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from cluster.actor import Handle, spawn
from cluster.places import Places, reserved
from cluster.resources import machine, nodes, require
from evaluation.benchmarks import Example
from rl.algorithms import algorithm
from rl.canary import Canary
from rl.config import RlConfig
from rl.engines import Engine, Engines, ServedGenerator
from rl.environments import environment
from rl.golds import dropped_before, useless, write_dropped
from rl.learner import Learner
from rl.learners import Learners
from rl.loop import Recipe
from rl.memory import adapter_rank, live_versions, require_gpu_or_small
from rl.placement import ENGINE, LEARNER, Placement, engine_environment, learner_environment, place
from rl.policy import EnginePolicy
from rl.questions import ShuffledQuestions
from rl.replay import Replay, read
from rl.reward import RewardWorker, self_test
from rl.rewards import PooledRewards, reward_pool
from rl.run import Run
from rl.watch import RunWatch
from sft.policy.device import detect
from sft.policy.encoder import PromptEncoder

SELF_TEST_QUESTIONS = 32
CANARY_PROMPTS = 4


def assemble(
    run: Run,
    train: Sequence[Example],
    dev: Sequence[Example],
    encoder: PromptEncoder,
    stack: ExitStack,
    first: frozenset[str] = frozenset(),
) -> tuple[Recipe, RunWatch]:
    """Starts the actors, checks the reward, and passes over the training questions whose golds cannot be rewarded.

    first: ids of those to draw first.
    """
    config = run.config
    where = placement(config)
    asked = where.requests(config, config.reward.least_workers)
    require(asked)
    held = [bundle for bundle in asked if bundle.name in (LEARNER, ENGINE)]
    places = stack.enter_context(reserved(held, config.engine.timeout_s))
    learners, engines = _learners_and_engines(config, where, places)
    print(f"{config.engine.replicas} engine ready, {len(train)} golds to check", flush=True)
    agent = config.agent if config.environment == "run_and_repair" else None
    shown = (agent.rows, agent.characters) if agent else None
    pool = stack.enter_context(reward_pool(config.reward, run.directory / "quarantine.jsonl", shown=shown))
    discount = agent.discount if agent else 1.0
    rate = learners.rate if config.reward.model else None
    rewards = PooledRewards(pool, config.reward, config.run.seed, config.rollout.max_tokens, discount, rate)
    decided = dropped_before(run.directory, run.saved, run.identity)
    dropped = useless(train, rewards) if decided is None else decided
    write_dropped(run.directory, run.identity, dropped)
    sample = _tested(config, [example for example in train if example.id not in dropped])
    canary = Canary(
        [encoder.encode(example) for example in sample],
        [encoder.completion_ids(example.gold_sql) for example in sample],
        config.engine.mismatch_limit,
        bf16=config.model.dtype == "bfloat16" and (where.learner_gpus > 0 or detect().bf16),
    )
    around = environment(config.environment).of(config, rewards.judge)
    waves = not where.engine_gpus
    policy = EnginePolicy(engines, learners, encoder, config.rollout, canary, config.run.seed, around, waves)
    watch = RunWatch(run, policy, rewards, dev)
    questions = drawn(config, train, dropped, first)
    return _recipe(config, questions, policy, rewards, watch), watch


def drawn(
    config: RlConfig, train: Sequence[Example], dropped: frozenset[str], first: frozenset[str]
) -> ShuffledQuestions:
    """The questions of a run, as its settings order them."""
    rollout = config.rollout
    return ShuffledQuestions(train, rollout.questions, config.run.seed, dropped, rollout.together, first)


def _recipe(
    config: RlConfig, questions: ShuffledQuestions, policy: EnginePolicy, rewards: PooledRewards, watch: RunWatch
) -> Recipe:
    return Recipe(
        questions,
        policy,
        rewards,
        algorithm(config.algorithm).of(config),
        watch,
        policy.environment,
        config.rollout.refills,
        config.rollout.staleness,
        _replayed(config),
        policy.waves,
        config.rollout.growth,
    )


def _replayed(config: RlConfig) -> Replay | None:
    if not config.rollout.replay:
        return None
    made = Replay(read(Path(config.rollout.replay)), config.rollout.questions)
    print(f"{config.rollout.replay}: pairs in {len(made.groups)} groups, {made.without} without contrast", flush=True)
    return made


def slots(config: RlConfig) -> int:
    """CPU slots of a Ray started here: slots are bookkeeping, and one machine may hold more of them than cores."""
    here = machine()
    auto = max(1, int(here.cpus) - 1)
    workers = auto if config.reward.workers == "auto" else config.reward.workers
    return math.ceil(sum(r.cpus * r.count for r in place(config, here.cpus, here.gpus).requests(config, workers)))


def placement(config: RlConfig) -> Placement:
    """For the cluster that is connected."""
    gpus = sum(node.gpus for node in nodes())
    if not gpus:
        require_gpu_or_small(config)
    return place(config, machine().cpus, gpus)


def _learners_and_engines(config: RlConfig, where: Placement, places: Places) -> tuple[Learners, Engines]:
    """Up and ready, each at its place."""
    print(
        f"starting {config.learner.ranks} learner, {config.engine.replicas} engine and {config.reward.workers} reward "
        "actors",
        flush=True,
    )
    made = algorithm(config.algorithm).of(config)
    ranks = [_spawn_learner(config, where, places, rank) for rank in range(config.learner.ranks)]
    keep, patience = live_versions(config), config.engine.timeout_s
    started = [_spawn_engine(config, where, places, n, keep) for n in range(config.engine.replicas)]
    engines = [Engine(handle, patience, keep) for handle in started]
    learners = Learners(ranks, config.learner.timeout_s, made.learns_all)
    if notice := learners.notice():
        print(f"{config.model.path} {notice}", flush=True)
    for engine in engines:
        engine.ready()
    return learners, Engines(engines)


def _tested(config: RlConfig, train: list[Example]) -> list[Example]:
    """A few questions for the canary, of those that the reward has been tested with."""
    rng = random.Random(config.run.seed)
    sample = rng.sample(train, min(SELF_TEST_QUESTIONS, len(train)))
    tester = RewardWorker(config.reward.deadline_s, config.reward.parts, config.reward.columns)
    try:
        self_test(tester, sample)
    finally:
        tester.close()
    return sample[:CANARY_PROMPTS]


def _spawn_learner(config: RlConfig, where: Placement, places: Places, rank: int) -> Handle:
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
        algorithm(config.algorithm).of(config),
        config.reward.model,
        name=_name(LEARNER, rank, config.learner.ranks),
        place=places.next(LEARNER),
        env=learner_environment(where),
    )


def _spawn_engine(config: RlConfig, where: Placement, places: Places, replica: int, live_versions: int) -> Handle:
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
        place=places.next(ENGINE),
        env=engine_environment(where),
    )


def _name(what: str, number: int, count: int) -> str:
    return f"{what}-{number}" if count > 1 else what
