"""GRPO for text-to-SQL, as one page. Read this first.

    draw questions → sample K answers each → run the SQL → advantages inside each group → learn → publish the adapter

No Ray, no tensors, no devices here: the parts are protocols, and `rl/parts.py` puts them on actors.
Left out on purpose: overlap of generation and learning. Every sample comes from the newest policy (staleness 0).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from evaluation.benchmarks import Example
from rl.advantages import Estimator, advantages
from rl.types import Group, Reward, Rollout


class Questions(Protocol):
    def draw(self, step: int, refill: int) -> list[Example]:
        """B questions for a step: the same for the same step and refill, whatever happened before."""


class Policy(Protocol):
    def sample(self, examples: Sequence[Example], step: int, refill: int) -> list[list[Rollout]]:
        """B × K rollouts by the policy after step − 1."""

    def learn(self, groups: Sequence[Group], step: int) -> dict[str, float]:
        """One update; returns its metrics."""

    def publish(self, step: int) -> dict[str, float]:
        """Makes the policy after `step` the one that samples, and proves that it is."""


class Rewards(Protocol):
    def reward(self, examples: Sequence[Example], rollouts: Sequence[Sequence[Rollout]]) -> list[list[Reward]]:
        """B × K rewards, from executing the SQL."""


Seconds = dict[str, float]
Journal = Callable[[int, list[Group], dict[str, float], Seconds], None]


def train(
    steps: range,
    questions: Questions,
    policy: Policy,
    rewards: Rewards,
    estimator: Estimator,
    journal: Journal,
    refills: int = 0,
) -> None:
    """Runs `steps`. `journal(step, groups, metrics, seconds)` records each one: metrics, rollouts, checkpoint.

    Up to `refills` times a step draws again, until as many groups as one draw holds have a signal (DAPO's dynamic
    sampling); the groups without one stay in the figures.
    """
    for step in steps:
        seconds: Seconds = {}
        groups: list[Group] = []
        for refill in range(1 + refills):
            examples = questions.draw(step, refill)
            with timed(seconds, "generate"):
                rollouts = policy.sample(examples, step, refill)
            with timed(seconds, "reward"):
                rewarded = rewards.reward(examples, rollouts)
            groups += form_groups(rollouts, rewarded, estimator)
            if sum(group.has_signal for group in groups) >= len(examples):
                break
        with timed(seconds, "learn"):
            metrics = policy.learn(groups, step)
        with timed(seconds, "publish"):
            metrics |= policy.publish(step)
        journal(step, groups, metrics, seconds)


def form_groups(
    rollouts_BK: Sequence[Sequence[Rollout]], rewards_BK: Sequence[Sequence[Reward]], estimator: Estimator
) -> list[Group]:
    """Each question with its rollouts, their rewards and advantages."""
    advantages_BK = advantages(estimator, [[reward.value for reward in rewards] for rewards in rewards_BK])
    return [
        Group(rollouts[0].example_id, rollouts, rewards, advantages_K)
        for rollouts, rewards, advantages_K in zip(rollouts_BK, rewards_BK, advantages_BK, strict=True)
    ]


@contextmanager
def timed(seconds: Seconds, phase: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[phase] = seconds.get(phase, 0.0) + time.perf_counter() - start
