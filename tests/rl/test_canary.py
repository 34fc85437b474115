"""The gate between publishing a policy and learning from what it samples."""

from types import SimpleNamespace
from typing import Any

import pytest

from rl.config import RolloutConfig
from rl.parts import AdapterNotLive, Canary, EnginePolicy
from sft.policy import PolicyVersion


def policy_of(learner: list[float], *engines: list[float]) -> EnginePolicy:
    """A policy whose learner and engines answer the canary's one question with these log-probabilities."""
    learners: Any = SimpleNamespace(
        publish=lambda step: PolicyVersion(step, b"adapter", "{}", "digest"),
        score=lambda *shown: lambda: [learner],
        finish=lambda step: {"loss": 0.5},
        restarts=0,
    )
    served: Any = SimpleNamespace(
        load=lambda version: None,
        score=lambda *shown: [lambda ours=ours: [ours] for ours in engines],
        restarts=0,
    )
    canary, encoder = Canary([[1]], [[2, 3]]), SimpleNamespace()
    return EnginePolicy(served, learners, encoder, RolloutConfig(), 0.05, canary, 0)  # type: ignore[arg-type]


def test_a_policy_that_every_engine_serves_may_be_learned_from() -> None:
    policy = policy_of([-1.0, -2.0], [-1.0, -2.0], [-1.02, -2.04])
    assert policy.publish(3)["adapter_bytes"] == 7
    assert policy.update(4)["canary"] == pytest.approx(0.03)  # of the engine that differs more


@pytest.mark.parametrize("second", [[-1.0, -2.2], [-1.0, float("nan")]])
def test_one_engine_that_serves_something_else_stops_the_run_before_the_update(second: list[float]) -> None:
    policy = policy_of([-1.0, -2.0], [-1.0, -2.0], second)
    policy.learners.finish = lambda step: pytest.fail("learned from it")  # type: ignore[method-assign]
    policy.publish(3)
    with pytest.raises(AdapterNotLive, match="policy 3 is not live"):
        policy.update(4)
