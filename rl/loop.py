"""GRPO for text-to-SQL, as one page. Read this first.

    draw questions → sample K answers each → run the SQL → advantages inside each group → learn → publish the adapter

No Ray, no tensors, no devices here: the parts are protocols, and `rl/parts.py` puts them on actors.

    staleness 0   a batch is sampled by the newest policy. Its groups come in parts: the SQL of one part runs while the
                  next is sampled, and the learner works on finished parts.
    staleness 1   the next batch is sampled while this one is learned from, by the policy before the update; 2, …:
                  batches further ahead. The surrogate corrects for it: its ratios are against the policy that sampled.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from evaluation.benchmarks import Example
from rl.algorithms.advantages import OVER_STEP, Estimator, advantages
from rl.background import Background
from rl.types import Group, Reward, Rollout

PARTS = 4
"""Of a batch: the first is rewarded and learned from while the last is still sampled."""
Seconds = dict[str, float]
Rollouts = list[tuple[Example, list[Rollout]]]
"""Questions with their K rollouts each."""


class Questions(Protocol):
    def draw(self, step: int, refill: int) -> list[Example]:
        """B questions for a step: the same for the same step and refill, whatever happened before."""


class Policy(Protocol):
    def sample(
        self, examples: Sequence[Example], step: int, refill: int, version: int, parts: int, seconds: Seconds
    ) -> Iterator[Rollouts]:
        """B × K rollouts for `step` by the policy after step `version`, in parts; adds to seconds["generate"]."""

    def learn(self, groups: Sequence[Group], step: int) -> None:
        """Takes a part of the step's groups; returns before it has learned from them."""

    def update(self, step: int) -> dict[str, float]:
        """Steps when all parts have been learned from; returns metrics."""

    def publish(self, step: int) -> dict[str, float]:
        """Makes the policy after `step` the one that samples; the next `update` demands the proof that it is."""


class Rewards(Protocol):
    def reward(self, examples: Sequence[Example], rollouts: Sequence[Sequence[Rollout]]) -> list[list[Reward]]:
        """B × K rewards, from executing the SQL."""


Journal = Callable[[int, list[Group], dict[str, float], Seconds], None]


class StaleSamples(RuntimeError):
    """A sample of a policy that is older than the bound, or newer than there is."""


@dataclass
class Batch:
    """A step's groups in parts, made in the background. seconds: what they took, whole when all parts are there."""

    parts: Background[list[Group]]
    seconds: Seconds = field(default_factory=dict)


def train(
    steps: range,
    questions: Questions,
    policy: Policy,
    rewards: Rewards,
    estimator: Estimator,
    journal: Journal,
    refills: int = 0,
    staleness: int = 0,
    unit: float = 1.0,
) -> None:
    """Runs `steps`. `journal(step, groups, metrics, seconds)` records each one: metrics, rollouts, checkpoint.
    unit: what a right answer earns more than a wrong one.

    Up to `refills` times a step draws again, until as many groups as one draw holds have a signal (DAPO's dynamic
    sampling); the groups without one stay in the figures.
    """
    ahead: deque[Batch] = deque()
    for step in steps:
        began = time.perf_counter()
        while len(ahead) <= staleness and step + len(ahead) in steps:
            seconds: Seconds = {}
            coming = step + len(ahead)
            version = max(0, coming - 1 - staleness)  # the newest, but for the batches that a resumed run makes again
            made = collect(coming, version, questions, policy, rewards, estimator, refills, seconds, unit)
            ahead.append(Batch(Background(made, f"the samples of step {coming}"), seconds))
        batch, groups = ahead.popleft(), list[Group]()
        for part in batch.parts:
            check_age(part, step, staleness)
            policy.learn(part, step)
            groups += part
        waited = time.perf_counter() - began
        metrics = policy.update(step)
        with timed(batch.seconds, "publish"):
            metrics |= policy.publish(step)
        whole = time.perf_counter() - began
        journal(step, groups, metrics, {**batch.seconds, "wait": waited, "step": whole})


def collect(
    step: int,
    version: int,
    questions: Questions,
    policy: Policy,
    rewards: Rewards,
    estimator: Estimator,
    refills: int,
    seconds: Seconds,
    unit: float = 1.0,
) -> Iterator[list[Group]]:
    """The groups of a step, sampled by the policy after step `version`, part by part."""
    parts = 1 if estimator in OVER_STEP else PARTS
    signals = 0
    for refill in range(1 + refills):
        examples = questions.draw(step, refill)
        sampled = policy.sample(examples, step, refill, version, parts, seconds)
        for pairs in Background(sampled, f"the engines' samples of step {step}"):
            with timed(seconds, "reward"):
                asked, rollouts = zip(*pairs, strict=True)
                groups = form_groups(rollouts, rewards.reward(asked, rollouts), estimator, unit)
            signals += sum(group.has_signal for group in groups)
            yield groups
        if signals >= len(examples):
            break


def form_groups(
    rollouts_BK: Sequence[Sequence[Rollout]],
    rewards_BK: Sequence[Sequence[Reward]],
    estimator: Estimator,
    unit: float = 1.0,
) -> list[Group]:
    """Each question with its rollouts, their rewards and advantages."""
    advantages_BK = advantages(estimator, [[reward.value for reward in rewards] for rewards in rewards_BK], unit)
    return [
        Group(rollouts[0].example_id, rollouts, rewards, advantages_K)
        for rollouts, rewards, advantages_K in zip(rollouts_BK, rewards_BK, advantages_BK, strict=True)
    ]


def check_age(groups: Sequence[Group], step: int, staleness: int) -> None:
    """Raises StaleSamples unless every sample is of a policy from step − 1 − staleness to step − 1."""
    versions = {rollout.policy_step for group in groups for rollout in group.rollouts}
    if wrong := sorted(version for version in versions if not step - 1 - staleness <= version < step):
        raise StaleSamples(
            f"step {step}: samples must come from policies {step - 1 - staleness} to {step - 1} (rollout.staleness = "
            f"{staleness}), got some of {wrong}"
        )


@contextmanager
def timed(seconds: Seconds, phase: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[phase] = seconds.get(phase, 0.0) + time.perf_counter() - start
