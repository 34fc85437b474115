"""The KL's weight and the clip range follow the KL that is measured."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from evaluation.errors import UserError
from rl.algorithms.base import Algorithm
from rl.algorithms.control import BOUND, adapted
from rl.algorithms.losses import Tokens
from rl.config import LearnerConfig, RlConfig, RolloutConfig
from sft.settings.file import validate
from tests.rl.test_pairs import group_of, learner_of, shift, toy, warm

__all__ = ["toy", "warm"]


def test_the_factor_rises_above_the_target_falls_below_it_and_stays_in_bounds() -> None:
    # error 0.5 is cut to 0.2, of which a tenth counts
    assert adapted(2.0, 0.15, 0.1) == pytest.approx(2.0 * 1.02) and adapted(2.0, 0.09, 0.1) == pytest.approx(2.0 * 0.99)
    factor = 1.0
    for _ in range(1000):
        factor = adapted(factor, 9.0, 0.1)
    assert factor == BOUND and adapted(factor, math.nan, 0.1) == BOUND


def loss_of(config: LearnerConfig, factor: float, ratio: float) -> float:
    log_probs, behaviour = torch.tensor([math.log(ratio)]), torch.zeros(1)
    one = torch.ones(1), torch.ones(1), torch.zeros(1, dtype=torch.long)
    tokens = Tokens(log_probs, behaviour, *one, torch.zeros(1), torch.zeros(1), factor)
    return float(Algorithm(RolloutConfig(), config).loss(tokens)[0])


def test_the_factor_weighs_the_kl_and_where_asked_narrows_the_clip_range() -> None:
    # ratio e: clipped at 1.28; k2 = ½ · 1²
    kl = LearnerConfig(kl=0.1, kl_target=0.5)
    assert loss_of(kl, 1.0, math.e) == pytest.approx(-1.28 + 0.1 * 0.5)
    assert loss_of(kl, 4.0, math.e) == pytest.approx(-1.28 + 0.4 * 0.5)
    clip = LearnerConfig(kl_target=0.5, adapt_clip=True)
    assert loss_of(clip, 4.0, math.e) == pytest.approx(-1.07) and loss_of(clip, 0.5, math.e) == pytest.approx(-1.56)


def test_a_policy_far_from_the_reference_is_held_tighter_and_a_resumed_learner_goes_on_so(toy: str, warm: str) -> None:
    settings: dict[str, Any] = {"kl": 0.1, "kl_target": 1e-4}
    learner = learner_of("grpo", toy, warm, **settings)
    shift(learner.model, 0.05, seed=2)
    groups = learner.algorithm.credit([group_of("rwr")])
    factors = [learner.learn(groups, step)["kl_factor"] for step in (1, 2)]
    assert factors == [pytest.approx(1.02), pytest.approx(1.02**2)]
    state = learner.state()
    assert json.loads(state["learner.json"])["factor"] == factors[1]
    resumed = learner_of("grpo", toy, warm, **settings)
    resumed.restore(state)
    assert resumed.learn(groups, 3) | {"learn_seconds": 0, "learner_tokens_per_s": 0} == learner.learn(groups, 3) | {
        "learn_seconds": 0,
        "learner_tokens_per_s": 0,
    }
    assert resumed.publish(3).digest == learner.publish(3).digest
    idle = learner.learn(learner.algorithm.credit([group_of("rrr")]), 4)
    assert idle["kl_factor"] > factors[1]  # the KL acts on groups without advantage, too


@pytest.mark.parametrize("learner", [{"kl_target": 0.1}, {"adapt_clip": True}])
def test_a_target_without_anything_to_drive_is_one_line(learner: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="kl_target") as caught:
        validate(RlConfig, {"init_adapter": "a", "learner": learner}, "test")
    assert len(str(caught.value).splitlines()) == 1


def test_the_entropy_bonus_acts_only_below_its_floor_and_a_resumed_learner_knows(toy: str, warm: str) -> None:
    low, high = (learner_of("grpo", toy, warm, entropy=0.1, entropy_floor=floor) for floor in (1e-3, 1e3))
    plain = learner_of("grpo", toy, warm, entropy=0.1)
    groups = plain.algorithm.credit([group_of("rw")])
    # before the first step nothing is measured, and the bonus acts
    assert len({learner.learn(groups, 1)["loss"] for learner in (low, high, plain)}) == 1
    assert (low.bonus, high.bonus, plain.bonus) == (0.0, 1.0, 1.0)
    losses = [learner.learn(groups, 2)["loss"] for learner in (low, high, plain)]
    assert losses[0] > losses[1] == losses[2]
    resumed = learner_of("grpo", toy, warm, entropy=0.1, entropy_floor=1e-3)
    resumed.restore(low.state())
    assert resumed.bonus == 0.0
    with pytest.raises(UserError, match="entropy_floor switches the bonus on, whose weight entropy must be above 0"):
        validate(RlConfig, {"learner": {"entropy_floor": 0.5}}, "test")


def test_the_learning_rate_decays_to_its_floor(toy: str, warm: str) -> None:
    learner = learner_of("grpo", toy, warm, learning_rate=1.0, rate_floor=0.25)  # 10 steps, no warm-up
    # half of the way from 1 to ¼, and all of it
    assert [learner._learning_rate(step) for step in (5, 10, 12)] == pytest.approx([0.625, 0.25, 0.25])
