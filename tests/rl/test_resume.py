"""What a checkpoint keeps: of every method's learner, and of the policies by which waiting batches were sampled."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from evaluation.errors import UserError
from rl.canary import Canary
from rl.config import RolloutConfig
from rl.policy import EnginePolicy
from rl.types import Segment
from sft.policy.base import PolicyVersion
from tests.rl.test_pairs import group_of, learner_of, toy, warm

__all__ = ["toy", "warm"]


class Served:
    """Engines that remember which policies they were given, and learners whose state is the step."""

    def __init__(self) -> None:
        self.loaded: list[PolicyVersion] = []
        self.restored: dict[str, bytes] = {}
        self.restarts = 0

    def load(self, version: PolicyVersion) -> None:
        self.loaded.append(version)

    def score(self, *shown: Any) -> Any:
        return lambda: [[-1.0]]

    def publish(self, step: int) -> PolicyVersion:
        return PolicyVersion(step, b"adapter %d" % step, "{}", f"digest {step}")

    def state(self) -> dict[str, bytes]:
        return {"learner.json": b"{}"}

    def restore(self, files: dict[str, bytes]) -> None:
        self.restored = files


def policy_of(staleness: int) -> tuple[EnginePolicy, Served]:
    served: Any = Served()
    engines: Any = SimpleNamespace(load=served.load, score=lambda *shown: [served.score()], restarts=0)
    rollout = RolloutConfig(staleness=staleness)
    encoder: Any = SimpleNamespace()
    return EnginePolicy(engines, served, encoder, rollout, Canary([[1]], [[2]]), 0), served


@pytest.mark.parametrize(("staleness", "done", "kept"), [(0, 3, []), (1, 3, [2]), (2, 3, [1, 2]), (2, 1, [0])])
def test_a_checkpoint_holds_the_policies_that_are_still_to_sample_and_a_resumed_engine_serves_them(
    staleness: int, done: int, kept: list[int]
) -> None:
    policy, before = policy_of(staleness)
    for step in range(done + 1):
        policy.publish(step)
        policy.verify()
    files = policy.state() | {"run/metrics.jsonl": b"{}"}
    assert len(files) == 2 + 2 * len(kept)
    resumed, after = policy_of(staleness)
    resumed.restore(done, files)
    resumed.publish(done)
    assert after.loaded == before.loaded[-len(kept) - 1 :] and [v.step for v in after.loaded] == [*kept, done]
    assert after.restored == {"learner.json": b"{}"}
    assert resumed.state() | {"run/metrics.jsonl": b"{}"} == files


def test_a_checkpoint_without_them_is_refused_in_one_line() -> None:
    policy, _ = policy_of(1)
    with pytest.raises(UserError, match=r"after step 3 must hold the policies \[2\] .*staleness = 1\), and holds \[\]"):
        policy.restore(3, {"learner.json": b"{}"})


METHODS: dict[str, dict[str, Any]] = {
    "grpo": {"kl": 0.1, "kl_target": 0.01, "adapt_clip": True},
    "rft": {},
    "dpo": {},
    "ipo": {"minibatches": 2},
    "opd": {},
    "ppo": {"passes": 2, "minibatches": 2},
}


@pytest.mark.slow
@pytest.mark.parametrize("turns", [1, 2])
@pytest.mark.parametrize("name", METHODS)
def test_a_learner_that_is_restored_takes_the_step_that_it_would_have_taken_bit_for_bit(
    name: str, turns: int, toy: str, warm: str
) -> None:
    settings = METHODS[name] | ({"teacher": toy} if name == "opd" else {})
    first, resumed = (learner_of(name, toy, warm, **settings) for _ in range(2))
    groups = [group_of("rw"), group_of("wrw", 1), group_of("rr", 2)]
    if turns == 2:  # as an agent has read something and answered again
        told = (Segment([9, 8], None), Segment([7, 6], [-1.0, -2.0]))
        groups = [replace(group, episodes=[e.then(*told) for e in group.episodes]) for group in groups]
    credited = first.algorithm.credit(groups)
    first.learn(credited, 1)
    saved = first.state()
    torch.manual_seed(99)  # as in another process
    resumed.restore(saved)
    assert resumed.state() == saved
    metrics = [{k: v for k, v in one.learn(credited, 2).items() if "second" not in k and "_per_s" not in k}
               for one in (first, resumed)]  # fmt: skip
    assert metrics[0] == metrics[1] and first.state() == resumed.state()
    assert first.state()["trained.safetensors"] != saved["trained.safetensors"]
    assert first.publish(2) == resumed.publish(2)
