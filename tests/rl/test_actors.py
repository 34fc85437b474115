"""Learner ranks and engines as real actors: several do what one does, and one that is killed costs nothing."""

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest
from safetensors.torch import load

from cluster.actor import Handle, spawn
from cluster.runtime import start
from evaluation.benchmarks import Example, load_examples
from rl.engines import Engine, Engines, SamplesMissing, ServedGenerator, divide
from rl.learner import Learner, LearnerConfig
from rl.learners import Learners, share_out
from rl.reward import Answer, Judged, RewardConfig, RewardWorker
from rl.rewards import PooledRewards, reward_pool
from rl.types import Episode, Group, Part, Reward
from sft.config import LoraConfig, ModelConfig
from sft.policy.sampling import Sampling
from tests.rl.question import question
from tests.toy_model import make_toy_model

pytestmark = pytest.mark.slow  # starts Ray
PATIENCE_S = 240.0


@pytest.fixture(scope="module", autouse=True)
def runtime() -> Iterator[None]:
    with start(num_cpus=8):
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelConfig:
    path = make_toy_model(tmp_path_factory.mktemp("model"))
    return ModelConfig(path=str(path), dtype="float32", quantization="nf4", max_length=512)


@pytest.fixture
def make_learners(model: ModelConfig) -> Iterator[Callable[[int], Learners]]:
    handles: list[Handle] = []

    def make(ranks: int) -> Learners:
        config = LearnerConfig(learning_rate=1e-3, warmup_steps=0, token_budget=64)
        args = (model, LoraConfig(r=8, alpha=16), config, "", 1.0, 16, 10, 0)
        mine = [spawn(Learner, *args, name=f"learner-{rank}", num_cpus=0.1) for rank in range(ranks)]
        handles.extend(mine)
        return Learners(mine, PATIENCE_S)

    yield make
    for handle in handles:
        handle.kill()


@pytest.fixture
def make_engines(model: ModelConfig) -> Iterator[Callable[[int], Engines]]:
    handles: list[Handle] = []

    def make(replicas: int) -> Engines:
        settings = {"max_lora_rank": 8, "kv_cache_gib": 0.05, "live_versions": 2}
        mine = [
            spawn(ServedGenerator, model, name=f"engine-{e}", num_cpus=0.1, **settings)  # type: ignore[arg-type]
            for e in range(replicas)
        ]
        handles.extend(mine)
        return Engines([Engine(handle, PATIENCE_S, keep=2) for handle in mine])

    yield make
    for handle in handles:
        handle.kill()


def groups_of(step: int, n: int = 7) -> list[Group]:
    rng = random.Random(step)

    def ids(low: int, high: int) -> list[int]:
        return [rng.randrange(3, 500) for _ in range(rng.randint(low, high))]

    groups = []
    for q in range(n):
        prompt = ids(5, 30)
        answers = [ids(2, 9) for _ in range(4)]
        rollouts = [Episode.single(k, prompt, a, [-6.0] * len(a), "stop", step - 1) for k, a in enumerate(answers)]
        advantages = [0.0] * 4 if q == 3 else [0.75, -0.25, -0.25, -0.25]
        groups.append(Group(question(f"q{q}"), rollouts, [Reward(1.0, {}, "correct")] * 4, advantages))
    return groups


def two_steps(learners: Learners, between: Callable[[], None] = lambda: None) -> dict[str, bytes]:
    for step in (1, 2):
        groups = groups_of(step)
        learners.add(groups[:3], step)
        if step == 2:
            between()
        learners.add(groups[3:], step)
        learners.finish(step)
    return learners.state()


def kill(handle: Handle) -> None:
    process = handle.ready(PATIENCE_S)
    psutil.Process(process.pid).kill()


def kill_while_it_starts(handle: Handle) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while (process := handle.process()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    psutil.Process(process.pid).kill()


def test_two_ranks_take_the_step_of_one_and_a_killed_one_changes_nothing(
    make_learners: Callable[[int], Learners],
) -> None:
    alone, together = two_steps(make_learners(1)), two_steps(make_learners(2))
    one, two = (load(state["trained.safetensors"]) for state in (alone, together))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-6
    assert any(value.abs().max() > 1e-3 for name, value in one.items() if "lora_B" in name)  # which began at 0
    disturbed = make_learners(2)
    assert two_steps(disturbed, lambda: kill(disturbed.handles[-1])) == together
    assert disturbed.restarts == 1


def test_groups_are_shared_out_by_tokens_and_none_is_lost() -> None:
    groups = groups_of(1)
    shares = share_out(groups, 3)
    assert sorted(g.example.id for share in shares for g in share) == sorted(g.example.id for g in groups)
    assert share_out(groups, 3) == shares and all(shares)
    flat = [Group(g.example, g.episodes, g.rewards, [0.0] * 4) for g in groups]
    loads = [sum(len(r.token_ids) for g in share for r in g.episodes) for share in share_out(flat, 3, learns_all=True)]
    assert max(loads) < 2 * min(loads), "where KL or entropy act, groups without advantage cost as much as the others"


def ids_of(parts: list[list[tuple[int, list]]]) -> dict[int, list[list[int]]]:
    return {number: [sample.token_ids for sample in samples] for part in parts for number, samples in part}


def test_two_engines_give_the_samples_of_one_and_a_killed_one_gives_them_again(
    make_engines: Callable[[int], Engines], make_learners: Callable[[int], Learners], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rl.engines.SLICE_S", 0.0)  # an answer after each step of the engine
    rng = random.Random(0)
    prompts = [[rng.randrange(3, 500) for _ in range(rng.randint(20, 200))] for _ in range(12)]
    databases = [f"db{n % 3}" for n in range(12)]
    sampling, version = Sampling(4, 1.0, max_tokens=40, seed=7), make_learners(1).publish(0)
    found = []
    for replicas, victim in ((1, None), (2, None), (1, 0)):
        engines = make_engines(replicas)
        if victim is not None:
            kill_while_it_starts(engines.engines[victim].handle)
            engines.engines[victim].ready()
        engines.load(version)
        parts = []
        for part, _ in engines.sample(prompts, databases, sampling, 0, parts=4):
            parts.append(part)
            if victim is not None and len(parts) == 2:
                kill(engines.engines[victim].handle)
        assert len(parts) == 4 and all(parts)
        found.append(ids_of(parts))
        assert engines.restarts == (0 if victim is None else 2)
    assert found[0] == found[1] == found[2] and len(found[0]) == 12


def test_engines_share_the_tokens_and_keep_databases_together() -> None:
    lengths, databases = [10, 30, 10, 30, 10, 30], ["a", "b", "a", "b", "a", "b"]
    shares = divide(lengths, databases, 2)
    assert sorted(n for share in shares for n in share) == list(range(6))
    assert [sum(lengths[n] for n in share) for share in shares] == [60, 60]
    assert {databases[n] for n in shares[1]} == {"b"}
    assert divide([], [], 2) == [[], []]


class ShortEngine:
    """Answers, but with one sample per prompt, whatever it is asked for."""

    def submit(self, name: str, prompts: list, *request: object) -> None:
        self.prompts = prompts

    def take_timed(self, name: str, within_s: float) -> tuple[list[list[int]], float]:
        return [[1] for _ in self.prompts], 0.0


def test_an_engine_that_returns_too_few_samples_ends_the_run() -> None:
    handle = spawn(ShortEngine, name="short", num_cpus=0.1)
    engines = Engines([Engine(handle, PATIENCE_S, keep=2)])
    with pytest.raises(SamplesMissing, match=r"short must return 4 samples per prompt, got \[1\]"):
        list(engines.sample([[1, 2]], ["db"], Sampling(4, 1.0, max_tokens=4, seed=0), 0, parts=1))
    handle.kill()


class LethalWorker(RewardWorker):
    """Dies of one query, as of a crash that no sandbox catches."""

    def judge_groups(self, groups: Sequence[tuple[Example, Sequence[Answer]]]) -> list[list[Judged]]:
        if any("lethal" in answer.sql for _, answers in groups for answer in answers):
            os._exit(1)
        return super().judge_groups(groups)


def test_a_question_that_kills_workers_earns_nothing_and_is_never_asked_again(tmp_path: Path) -> None:
    examples = load_examples("tiny", "dev")[:6]
    sqls = [e.gold_sql if n != 2 else "SELECT lethal" for n, e in enumerate(examples)]
    groups = [
        Group(e, [Episode.single(0, [1], [1], [0.0], "stop", 0, sql)]) for e, sql in zip(examples, sqls, strict=True)
    ]
    config, file = RewardConfig(), tmp_path / "quarantine.jsonl"
    expected = [["correct"], ["correct"], ["lost"], ["correct"], ["correct"], ["correct"]]
    for deaths in (2, 0):
        with reward_pool(config, file, LethalWorker) as pool:
            rewarded = PooledRewards(pool, config, seed=0, max_tokens=8).reward(Part(groups)).groups
            assert [[reward.verdict for reward in group.rewards] for group in rewarded] == expected
            assert rewarded[2].rewards[0].value == 0 and pool.restarts == deaths
    (entry,) = [json.loads(line) for line in file.read_text().splitlines()]
    assert examples[2].id in json.dumps(entry)
