import math

import pytest

from rl.algorithms.advantages import EPSILON, ESTIMATORS, advantages


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_equal_rewards_give_exactly_no_advantage(estimator):
    assert advantages(estimator, [[0.3, 0.3, 0.3]]) == [[0.0, 0.0, 0.0]]


def test_float_noise_between_equal_rewards_is_not_blown_up():
    assert advantages("grpo", [[0.1 + 0.2, 0.3, 0.3]]) == [[0.0, 0.0, 0.0]]


def test_grpo_divides_by_the_sample_deviation():
    # rewards 1 0 0 0: mean 1/4, sample variance ((3/4)^2 + 3 (1/4)^2) / 3 = 1/4, deviation 1/2
    ((first, *others),) = advantages("grpo", [[1.0, 0.0, 0.0, 0.0]])
    assert math.isclose(first, 0.75 / (0.5 + EPSILON))
    assert others == [-0.25 / (0.5 + EPSILON)] * 3
    # rewards 1 1 0 0: sample variance 4 (1/2)^2 / 3 = 1/3
    assert advantages("grpo", [[1.0, 1.0, 0.0, 0.0]])[0][0] == pytest.approx(0.5 * 3**0.5, rel=1e-5)


def test_a_group_of_one_is_refused():
    with pytest.raises(ValueError, match="K >= 2"):
        advantages("grpo", [[1.0, 0.0], [1.0]])


def test_reinforce_pp_keeps_the_baseline_of_the_group_and_shares_one_spread():
    # centred: ±1/2, 0 0, ±1/2 … mean square over six = (4 · 1/4) / 6, root 0.408
    first, flat, last = advantages("reinforce_pp", [[1.0, 0.0], [5.0, 5.0], [3.0, 2.0]])
    assert flat == [0.0, 0.0]
    assert first == last == pytest.approx([0.5 / (1 / 6) ** 0.5, -0.5 / (1 / 6) ** 0.5], rel=1e-5)


# Four right answers of which the last loses 0.1 to its length: mean 0.975, centred 0.025 0.025 0.025 -0.075,
# deviation sqrt((3 * 0.025^2 + 0.075^2) / 3) = 0.05, by which the loss of 0.1 would become an advantage of -1.5.
# The least spread, that of 1 0 0 0, is 1/sqrt(4) = 0.5: -0.075 / 0.5 = -0.15, and +0.025 / 0.5 = 0.05.
# rloo: 4/3 * -0.075 = -0.1. reinforce_pp alone in its step: root mean square sqrt(0.0075 / 4) = 0.043, less than 0.5.
ALL_RIGHT = [1.0, 1.0, 1.0, 0.9]


@pytest.mark.parametrize(
    ("estimator", "others", "long"),
    [("grpo", 0.05, -0.15), ("dr_grpo", 0.025, -0.075), ("rloo", 0.1 / 3, -0.1), ("reinforce_pp", 0.05, -0.15)],
)
@pytest.mark.parametrize("unit", [1.0, 2.0])
def test_shaping_among_right_answers_counts_by_its_weight(estimator, others, long, unit):
    (found,) = advantages(estimator, [[unit * reward for reward in ALL_RIGHT]], unit)
    scale = unit if estimator in ("dr_grpo", "rloo") else 1.0
    assert found == pytest.approx([scale * others] * 3 + [scale * long], rel=1e-5)


def test_a_sparse_step_of_reinforce_pp_blows_up_verdicts_and_not_shaping():
    # mean square over sixteen: (3/4 of 1 0 0 0 + 0.0075) / 16, root 0.2176; the shaped group is divided by 0.5
    mixed, shaped, *_ = advantages("reinforce_pp", [[1.0, 0.0, 0.0, 0.0], ALL_RIGHT, [1.0] * 4, [0.0] * 4])
    assert mixed == pytest.approx([0.75 / 0.2176, *[-0.25 / 0.2176] * 3], rel=1e-3)
    assert shaped == pytest.approx([0.05, 0.05, 0.05, -0.15], rel=1e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("difference", [1e-5, 1e-3, 0.05])
def test_nearly_equal_rewards_give_advantages_near_nothing(estimator, difference):
    (found,) = advantages(estimator, [[1.0] * 7 + [1.0 - difference]])
    assert max(map(abs, found)) <= difference * 8**0.5
