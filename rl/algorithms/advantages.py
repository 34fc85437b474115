"""Advantage estimators by name: the rewards of a step, K for each of B questions → as many advantages.

The baseline is always that of the question's own group; only REINFORCE++ divides by a spread of the whole step.

No group is divided by less than `least_spread`, that of one right answer among wrong ones. So rewards that differ by
shaping alone, as where all answers are right, count by their weight and are not blown up to full size; where right and
wrong answers differ by their whole reward the published formulas hold as they stand.

Sources: GRPO (Shao et al. 2024, arXiv 2402.03300), Dr. GRPO (Liu et al. 2025, arXiv 2503.20783),
RLOO (Ahmadian et al. 2024, arXiv 2402.14740), REINFORCE++ with baseline (Hu et al. 2025, arXiv 2501.03262).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Literal

EPSILON = 1e-6
"""Spread below which the rewards of a group count as equal, and the term that keeps the division finite."""


def least_spread(samples: int, unit: float) -> float:
    """The sample standard deviation of a group in which one answer earns `unit` and the others nothing.

    Of K rewards 1 0 0 …: mean 1/K, squares (1 − 1/K)² + (K − 1)/K² = (K − 1)/K, over K − 1: variance 1/K.

    >>> least_spread(4, 1.0)
    0.5
    """
    return unit / samples**0.5


def centred(rewards_K: Sequence[float], unit: float = 1.0) -> list[float]:
    """reward − group mean (Dr. GRPO). Exactly 0 for equal rewards.

    >>> centred([1.0, 0.0, 0.0, 0.0])
    [0.75, -0.25, -0.25, -0.25]
    """
    if max(rewards_K) - min(rewards_K) < EPSILON:
        return [0.0] * len(rewards_K)
    mean = statistics.fmean(rewards_K)
    return [reward - mean for reward in rewards_K]


def standardised(rewards_K: Sequence[float], unit: float = 1.0) -> list[float]:
    """(reward − mean) / (sample standard deviation + ε) (GRPO), the deviation at least `least_spread`."""
    deviation = statistics.stdev(rewards_K)
    divisor = max(deviation, least_spread(len(rewards_K), unit)) + EPSILON
    return [advantage / divisor for advantage in centred(rewards_K)]


def leave_one_out(rewards_K: Sequence[float], unit: float = 1.0) -> list[float]:
    """reward − mean of the others (RLOO) = K/(K−1) · centred.

    >>> leave_one_out([1.0, 0.0, 0.0])
    [1.0, -0.5, -0.5]
    """
    k = len(rewards_K)
    return [advantage * k / (k - 1) for advantage in centred(rewards_K)]


Estimator = Literal["grpo", "dr_grpo", "rloo", "reinforce_pp"]
ESTIMATORS: dict[Estimator, Callable[[Sequence[float], float], list[float]]] = {
    "grpo": standardised,
    "dr_grpo": centred,
    "rloo": leave_one_out,
    "reinforce_pp": centred,
}


OVER_STEP: frozenset[Estimator] = frozenset({"reinforce_pp"})
"""Estimators that need the whole step at once."""


def advantages(estimator: Estimator, rewards_BK: Sequence[Sequence[float]], unit: float = 1.0) -> list[list[float]]:
    """B × K advantages from B × K rewards, K ≥ 2. A group of one has no baseline, so it is refused.

    unit: what a right answer earns more than a wrong one (reward.correct).

    >>> advantages("rloo", [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    [[1.0, -0.5, -0.5], [0.0, 0.0, 0.0]]
    """
    for rewards_K in rewards_BK:
        if len(rewards_K) < 2:
            raise ValueError(f"a group needs K >= 2 rewards to have a baseline, got {len(rewards_K)}")
    advantages_BK = [ESTIMATORS[estimator](rewards_K, unit) for rewards_K in rewards_BK]
    return _over_step(advantages_BK, unit) if estimator in OVER_STEP else advantages_BK


def _over_step(advantages_BK: Sequence[Sequence[float]], unit: float) -> list[list[float]]:
    """Divided by the root mean square over the step, whose mean is 0; groups without signal count in it.

    A step of few right answers has a small one: groups that spread less than verdicts do are not divided by it.
    """
    flat = [advantage for advantages_K in advantages_BK for advantage in advantages_K]
    scale = statistics.fmean(a * a for a in flat) ** 0.5
    found = []
    for advantages_K in advantages_BK:
        least = least_spread(len(advantages_K), unit)
        divisor = scale if statistics.stdev(advantages_K) > 0.999 * least else max(scale, least)
        found.append([advantage / (divisor + EPSILON) for advantage in advantages_K])
    return found
