import math

import pytest

from rl.advantages import EPSILON, ESTIMATORS, advantages


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


def test_a_group_of_one_is_refused():
    with pytest.raises(ValueError, match="K >= 2"):
        advantages("grpo", [[1.0, 0.0], [1.0]])


def test_reinforce_pp_keeps_the_baseline_of_the_group_and_shares_one_spread():
    # centred: ±1/2, 0 0, ±1/2 … mean square over six = (4 · 1/4) / 6, root 0.408
    first, flat, last = advantages("reinforce_pp", [[1.0, 0.0], [5.0, 5.0], [3.0, 2.0]])
    assert flat == [0.0, 0.0]
    assert first == last == pytest.approx([0.5 / (1 / 6) ** 0.5, -0.5 / (1 / 6) ** 0.5], rel=1e-5)
