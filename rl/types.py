"""The values that travel between the parts of the loop. Plain lists only; tensors exist inside the learner.

Axes: B questions of a step, K samples of a question, T tokens of a sample.

>>> rollout = Rollout("q1", 0, [5, 6], [9, 2], [-0.1, -0.3], "stop", 0)
>>> Group("q1", [rollout], [Reward(1.0, {"correct": 1.0}, "correct")], [0.0]).has_signal
False
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Aggregation = Literal["sequence_mean", "token_mean", "constant"]
Surrogate = Literal["clipped", "gspo", "cispo", "reinforce"]
KlEstimator = Literal["k1", "k2", "k3"]
"""Words of the loss, see `rl/algorithms/losses.py`."""


@dataclass(frozen=True)
class Rollout:
    """One sampled answer.

    prompt_ids, token_ids: ids as the engine saw and sampled them, the stop token included, never re-tokenised.
    log_probs: the engine's log-probability of each sampled id, full softmax at the sampling temperature.
    finish_reason: "stop" or "length". policy_step: the policy version that sampled it.
    """

    example_id: str
    sample: int
    prompt_ids: Sequence[int]
    token_ids: Sequence[int]
    log_probs: Sequence[float]
    finish_reason: str
    policy_step: int
    sql: str = ""


@dataclass(frozen=True)
class Reward:
    """value: what the learner sees. parts: what it is made of, before weights. verdict: `evaluation.judge` status.
    error: why the SQL did not run."""

    value: float
    parts: dict[str, float]
    verdict: str
    error: str = ""

    @property
    def correct(self) -> bool:
        """The same answer as gold, be it no row at all or, where the reward takes it, with other columns first."""
        return self.verdict in ("correct", "empty_both", "reordered")


@dataclass(frozen=True)
class Group:
    """A question with its K rollouts, K rewards and K advantages, aligned by position."""

    example_id: str
    rollouts: Sequence[Rollout]
    rewards: Sequence[Reward]
    advantages: Sequence[float]

    def __post_init__(self) -> None:
        assert len(self.rollouts) == len(self.rewards) == len(self.advantages)

    @property
    def has_gradient(self) -> bool:
        """Whether any advantage is not zero: a group without costs the learner no time, unless KL or entropy act."""
        return any(a != 0.0 for a in self.advantages)

    @property
    def has_signal(self) -> bool:
        """Whether it tells right answers from wrong ones: a difference of shaping alone is no signal."""
        return self.has_gradient and len({reward.correct for reward in self.rewards}) > 1
