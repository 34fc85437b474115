"""The gate between publishing a policy and learning from what it samples."""

import math
from types import SimpleNamespace
from typing import Any

import pytest

from rl.canary import AdapterNotLive, Canary, mismatch
from rl.config import RolloutConfig
from rl.policy import EnginePolicy
from sft.policy.base import PolicyVersion


def policy_of(learner: list[float], *engines: list[float], bf16: bool = False) -> EnginePolicy:
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
    encoder: Any = SimpleNamespace()
    return EnginePolicy(served, learners, encoder, RolloutConfig(), Canary([[1]], [[2, 3]], bf16=bf16), 0)


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


def test_what_bfloat16_rounds_is_no_mismatch_and_what_it_does_not_is() -> None:
    # Neighbours in bfloat16 are 1/8 apart at 16 to 32, and 1/256 at 0.5 to 1.
    assert mismatch([-20.1, -0.7], [-20.0, -0.7], bf16=True) == 0
    assert mismatch([-20.1, -0.7], [-20.0, -0.7], bf16=False) == pytest.approx(0.05)
    assert mismatch([-0.8, -0.7], [-0.7, -0.7], bf16=True) == pytest.approx((0.1 - 1 / 256) / 2)
    assert mismatch([-2.69, 0.0], [0.0, 0.0], bf16=True) == pytest.approx(1.345)  # a size of 0 excuses nothing
    assert mismatch([-1000.0], [-1.0], bf16=True) == pytest.approx(999, abs=0.01)
    assert math.isnan(mismatch([float("nan")], [-1.0], bf16=True))


@pytest.mark.parametrize(("bf16", "theirs", "lives"), [
    (True, [-20.12, -24.1], True), (False, [-20.12, -24.1], False),  # by a step of bfloat16 each
    (True, [-20.5, -24.0], False), (True, [-21.3, -25.3], False),  # by four; by what a missing adapter makes
])  # fmt: skip
def test_rounding_does_not_stop_a_run_and_a_missing_adapter_does(bf16: bool, theirs: list[float], lives: bool) -> None:
    policy = policy_of([-20.0, -24.0], theirs, bf16=bf16)
    policy.publish(0)
    if lives:
        assert policy.verify() == pytest.approx(0.11)  # what is reported is the whole
    else:
        with pytest.raises(AdapterNotLive, match="beyond rounding"):
            policy.verify()


def test_the_first_canary_of_a_run_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="rl.policy")
    policy = policy_of([-1.0, -2.0], [-1.02, -2.04])
    for step in (0, 1):
        policy.publish(step)
        policy.verify()
    (said,) = caplog.messages
    assert said == "canary of policy 0: mean |Δ log-prob| 0.0300, beyond rounding 0.0300"
