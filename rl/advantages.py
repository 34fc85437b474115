"""Advantage estimators by name: the rewards of a step, K for each of B questions → as many advantages.

The baseline is always that of the question's own group; only REINFORCE++ divides by a spread of the whole step.
Sources: GRPO (Shao et al. 2024, arXiv 2402.03300), Dr. GRPO (Liu et al. 2025, arXiv 2503.20783),
RLOO (Ahmadian et al. 2024, arXiv 2402.14740), REINFORCE++ with baseline (Hu et al. 2025, arXiv 2501.03262).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Literal

EPSILON = 1e-6
"""Spread below which the rewards of a group count as equal, and the term that keeps the division finite."""


def centred(rewards_K: Sequence[float]) -> list[float]:
    """reward − group mean (Dr. GRPO). Exactly 0 for equal rewards.

    >>> centred([1.0, 0.0, 0.0, 0.0])
    [0.75, -0.25, -0.25, -0.25]
    """
    if max(rewards_K) - min(rewards_K) < EPSILON:
        return [0.0] * len(rewards_K)
    mean = statistics.fmean(rewards_K)
    return [reward - mean for reward in rewards_K]


def standardised(rewards_K: Sequence[float]) -> list[float]:
    """(reward − mean) / (sample standard deviation + ε) (GRPO)."""
    advantages = centred(rewards_K)
    if not any(advantages):
        return advantages
    deviation = statistics.stdev(rewards_K) + EPSILON
    return [advantage / deviation for advantage in advantages]


def leave_one_out(rewards_K: Sequence[float]) -> list[float]:
    """reward − mean of the others (RLOO) = K/(K−1) · centred.

    >>> leave_one_out([1.0, 0.0, 0.0])
    [1.0, -0.5, -0.5]
    """
    k = len(rewards_K)
    return [advantage * k / (k - 1) for advantage in centred(rewards_K)]


Estimator = Literal["grpo", "dr_grpo", "rloo", "reinforce_pp"]
ESTIMATORS: dict[Estimator, Callable[[Sequence[float]], list[float]]] = {
    "grpo": standardised,
    "dr_grpo": centred,
    "rloo": leave_one_out,
    "reinforce_pp": centred,
}


OVER_STEP: frozenset[Estimator] = frozenset({"reinforce_pp"})
"""Estimators that need the whole step at once."""


def advantages(estimator: Estimator, rewards_BK: Sequence[Sequence[float]]) -> list[list[float]]:
    """B × K advantages from B × K rewards, K ≥ 2. A group of one has no baseline, so it is refused.

    >>> advantages("rloo", [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    [[1.0, -0.5, -0.5], [0.0, 0.0, 0.0]]
    """
    for rewards_K in rewards_BK:
        if len(rewards_K) < 2:
            raise ValueError(f"a group needs K >= 2 rewards to have a baseline, got {len(rewards_K)}")
    advantages_BK = [ESTIMATORS[estimator](rewards_K) for rewards_K in rewards_BK]
    return _over_step(advantages_BK) if estimator in OVER_STEP else advantages_BK


def _over_step(advantages_BK: Sequence[Sequence[float]]) -> list[list[float]]:
    """Divided by the root mean square over the step, whose mean is 0; groups without signal count in it."""
    flat = [advantage for advantages_K in advantages_BK for advantage in advantages_K]
    scale = statistics.fmean(a * a for a in flat) ** 0.5 + EPSILON
    return [[advantage / scale for advantage in advantages_K] for advantages_K in advantages_BK]
