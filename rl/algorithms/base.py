"""What an algorithm is: how rewards become credit, and credit a loss.

    groups with rewards ─ credit ─► groups with advantages ─ … ─► tokens with log π, log μ ─ loss ─► (loss, metrics)

`credit` runs in the loop, on plain lists; `loss` in the learner, on tensors. An algorithm of your own is a subclass in
a file of its own, named by algorithm="package.module:Class"; those that ship are a short file each beside this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from rl.algorithms.advantages import OVER_STEP, advantages
from rl.types import Episode, Group

if TYPE_CHECKING:
    from torch import Tensor

    from rl.algorithms.losses import Tokens
    from rl.config import LearnerConfig, RlConfig, RolloutConfig


@dataclass(frozen=True)
class Algorithm:
    """A policy gradient with the advantage and the surrogate that the settings name.

    unit: what a right answer earns more than a wrong one. defaults: settings that naming the algorithm sets where
    neither the file nor the command line does. source: where it was published. together: the loss compares the episodes
    of a group, which so are in one micro-batch. critic: the learner makes advantages of rewards, by values. teacher:
    the loss reads log-probabilities of `learner.teacher`. means: metrics of `loss` that are divided by the step's
    `size`. offline: samples of any policy will do, whenever they were drawn.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = "no name"
    summary: ClassVar[str] = "GRPO's advantage with DAPO's token mean and clip-higher"
    source: ClassVar[str] = ""
    defaults: ClassVar[Mapping[str, Any]] = {}
    together: ClassVar[bool] = False
    critic: ClassVar[bool] = False
    teacher: ClassVar[bool] = False
    offline: ClassVar[bool] = False
    means: ClassVar[tuple[str, ...]] = ()

    rollout: RolloutConfig
    learner: LearnerConfig
    unit: float = 1.0

    @classmethod
    def of(cls, config: RlConfig) -> Algorithm:
        """The one of a run."""
        return cls(config.rollout, config.learner, config.reward.unit)

    @property
    def whole_step(self) -> bool:
        """Whether credit needs all groups of a step at once."""
        return self.rollout.advantage in OVER_STEP

    @property
    def reference(self) -> bool:
        """Whether the loss reads log-probabilities of the frozen adapter that the run starts from."""
        return self.learner.kl > 0 or self.learner.kl_target > 0

    @property
    def learns_all(self) -> bool:
        """Whether groups without advantage are learned from, too: KL and entropy act on every group."""
        return self.learner.kl != 0 or self.learner.entropy != 0

    def credit(self, groups: Sequence[Group]) -> list[Group]:
        """The groups with an advantage for each episode."""
        rewards_BK = [[reward.value for reward in group.rewards] for group in groups]
        found_BK = advantages(self.rollout.advantage, rewards_BK, self.unit)
        return [replace(group, advantages=found) for group, found in zip(groups, found_BK, strict=True)]

    def learned(self, group: Group) -> Group:
        """The group as it is computed, without episodes that are not learned from."""
        if self.learner.truncated == "keep":
            return group
        return group.pick([i for i, episode in enumerate(group.episodes) if episode.finish_reason == "stop"])

    def weight(self, episode: Episode) -> float:
        """Of each written token of an episode, before `divisor`."""
        from rl.algorithms.losses import token_weight

        return token_weight(len(episode.token_ids), self.learner.aggregation, self.rollout.max_tokens)

    def size(self, group: Group) -> float:
        """What a learned group counts in `divisor`: its written tokens."""
        return sum(len(episode.token_ids) for episode in group.episodes)

    def divisor(self, samples: float, size: float) -> float:
        """What the gradient of a whole update is divided by: samples, all of the step; size, of what is learned."""
        from rl.algorithms.losses import divisor

        return divisor(self.learner.aggregation, samples, size)

    def loss(self, tokens: Tokens) -> tuple[Tensor, dict[str, float]]:
        """The weighted sum over a micro-batch, and metrics: sums over tokens ("…_sum"), and those in `means`."""
        from rl.algorithms.losses import LossTerms, policy_loss

        terms = LossTerms(**{field.name: getattr(self.learner, field.name) for field in fields(LossTerms)})
        terms = replace(terms, kl=terms.kl * tokens.factor, entropy=terms.entropy * tokens.bonus)
        if self.learner.adapt_clip:
            clips = terms.clip_low / tokens.factor, terms.clip_high / tokens.factor
            terms = replace(terms, clip_low=min(0.99, clips[0]), clip_high=clips[1])
        return policy_loss(*tokens.fixed, terms, tokens.reference_N, tokens.entropy_N, tokens.answers_N)


class PerToken(Algorithm):
    """Advantages are made token by token in the learner, which has the critic or the teacher: it learns of every group,
    and `credit` hands it the rewards."""

    @property
    def whole_step(self) -> bool:
        return False

    @property
    def learns_all(self) -> bool:
        return True

    def credit(self, groups: Sequence[Group]) -> list[Group]:
        return [replace(group, advantages=[reward.value for reward in group.rewards]) for group in groups]
