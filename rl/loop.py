"""Reinforcement learning of text-to-SQL, as one page. Read this first.

    draw questions → sample K answers each → run the SQL → credit inside each group → learn → publish the adapter

No Ray, no tensors, no devices, no clocks: the parts are protocols, and `rl/train/assemble.py` puts them on actors.

    staleness 0   a batch is sampled by the newest policy. Its groups come in parts: the SQL of one part runs while the
                  next is sampled, and the learner works on finished parts.
    staleness 1   the next batch is sampled while this one is learned from, by the policy before the update; 2, …:
                  batches further ahead. The surrogate corrects for it: its ratios are against the policy that sampled.

Left out, and why: a replay buffer (samples older than `staleness` are refused: new ones cost seconds, and stale ratios
are noise); a KL in the reward (it is a term of the loss, whose gradient is exact); a model that is served as reference
(it is an adapter of the learner's); partial batches (every group of a step is waited for, or counted as lost).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from evaluation.benchmarks import Example
from rl.algorithms.base import Algorithm
from rl.background import Background
from rl.batch import Batch
from rl.environment import AnswerOnce, Environment, Resume, played
from rl.growth import Growth, More
from rl.types import Group, Part

PARTS = 4
"""Parts of a batch: the first is rewarded and learned from while the last is still sampled."""


class Questions(Protocol):
    def draw(self, step: int, refill: int) -> list[Example]:
        """B questions for a step: the same for the same step and refill, whatever happened before."""


class Policy(Protocol):
    def sample(self, questions: Sequence[Example], step: int, refill: int, version: int, parts: int) -> Iterator[Part]:
        """B groups of K episodes for `step` by the policy after step `version`, in parts."""

    def more(self, questions: Sequence[Example], samples: int, what: str, version: int) -> Iterator[Part]:
        """So many answers more to each, in one part; others for each `what`."""

    def resume(self, step: int, refill: int, version: int) -> Resume:
        """How episodes of `sample` that an environment has answered go on."""

    def learn(self, groups: Sequence[Group], step: int) -> None:
        """Takes a part of the step's groups; returns before it has learned from them."""

    def update(self, step: int) -> dict[str, float]:
        """Steps when all parts have been learned from; returns metrics."""

    def publish(self, step: int) -> dict[str, float]:
        """Makes the policy after `step` the one that samples; the next `update` demands the proof that it is."""


class Rewards(Protocol):
    def reward(self, part: Part) -> Part:
        """Its groups with K rewards each, from executing the SQL."""


class Replayed(Protocol):
    def draw(self, step: int) -> list[Group]:
        """Groups of an earlier run for `step`, with their rewards."""


class Watch(Protocol):
    def record(self, step: int, batch: Batch, metrics: dict[str, float]) -> None:
        """Writes the step's metrics and rollouts."""

    def evaluate(self, step: int) -> None:
        """Looks at dev questions, at the steps that are due."""

    def checkpoint(self, step: int) -> None:
        """Saves all that a resumed run needs, at the steps that are due."""

    def alarm(self, step: int) -> None:
        """Says what is not healthy, or ends the run by it."""


@dataclass(frozen=True)
class Recipe:
    """What a run is made of.

    refills: up to so many times a step draws again, until as many groups as one draw holds have a signal (DAPO's
    dynamic sampling); the groups without one stay in the figures. staleness: updates that a sample may lag behind.
    replay: where samples come from, if none are drawn. waves: as `played` has it.
    growth: of groups that are all right or all wrong.
    """

    questions: Questions
    policy: Policy
    rewards: Rewards
    algorithm: Algorithm
    watch: Watch
    environment: Environment = AnswerOnce()
    refills: int = 0
    staleness: int = 0
    replay: Replayed | None = None
    waves: bool = True
    growth: Growth = Growth()


class StaleSamples(RuntimeError):
    """A sample of a policy that is older than the bound, or newer than there is."""


def train(steps: range, recipe: Recipe) -> None:
    """Runs `steps`."""
    policy, watch = recipe.policy, recipe.watch
    for step, batch in ahead(steps, recipe):
        for groups in batch:
            if recipe.replay is None:
                check_age(groups, step, recipe.staleness)
            policy.learn(groups, step)
        metrics = policy.update(step) | policy.publish(step)
        watch.record(step, batch, metrics)
        watch.evaluate(step)
        watch.checkpoint(step)
        watch.alarm(step)


def ahead(steps: range, recipe: Recipe) -> Iterator[tuple[int, Batch]]:
    """Each step with its batch, which is begun `staleness` steps early: by the newest policy that there is then, but
    for the batches that a resumed run makes again."""
    waiting: deque[Batch] = deque()
    for step in steps:
        while len(waiting) <= recipe.staleness and (coming := step + len(waiting)) in steps:
            version = max(0, coming - 1 - recipe.staleness)
            waiting.append(Batch(collect(coming, version, recipe), f"the samples of step {coming}"))
        yield step, waiting.popleft()


def collect(step: int, version: int, recipe: Recipe) -> Iterator[Part]:
    """The groups of a step, sampled by the policy after step `version`, part by part."""
    if recipe.replay is not None:
        yield Part(recipe.algorithm.credit(recipe.replay.draw(step)))
        return
    parts, signals = 1 if recipe.algorithm.whole_step else PARTS, 0
    for refill in range(1 + recipe.refills):
        questions = recipe.questions.draw(step, refill)
        sampled = recipe.policy.sample(questions, step, refill, version, parts)
        coming = Background(sampled, f"the engines' samples of step {step}")  # which go on while a part is executed
        over = played(coming, recipe.environment, recipe.policy.resume(step, refill, version), recipe.waves)
        rewarded = map(recipe.rewards.reward, over)
        for part in recipe.growth.grown(rewarded, more(step, refill, version, recipe), parts == 1):
            part = Part(recipe.algorithm.credit(part.groups), part.seconds)
            signals += sum(group.has_signal for group in part.groups)
            yield part
        if signals >= len(questions):
            break


def more(step: int, refill: int, version: int, recipe: Recipe) -> More:
    """How undecided groups of a step get more answers."""

    def answered(questions: Sequence[Example], samples: int, round_: int) -> Part:
        (part,) = recipe.policy.more(questions, samples, f"{step}/{refill}/more/{round_}", version)
        return recipe.rewards.reward(part)

    return answered


def check_age(groups: Sequence[Group], step: int, staleness: int) -> None:
    """Raises StaleSamples unless every sample is of a policy from step − 1 − staleness to step − 1."""
    versions = {episode.policy_step for group in groups for episode in group.episodes}
    if wrong := sorted(version for version in versions if not step - 1 - staleness <= version < step):
        raise StaleSamples(
            f"step {step}: samples must come from policies {step - 1 - staleness} to {step - 1} (rollout.staleness = "
            f"{staleness}), got some of {wrong}"
        )
