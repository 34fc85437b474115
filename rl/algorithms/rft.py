"""Rejection fine-tuning: SFT on the policy's own right answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rl.algorithms.base import Algorithm
from rl.types import Group

if TYPE_CHECKING:
    from torch import Tensor

    from rl.algorithms.losses import Tokens


class Rft(Algorithm):
    name, title = "rft", "Rejection fine-tuning"
    summary = "cross-entropy of the right answers, each distinct one of a group once"
    source = "arXiv 2308.01825"
    defaults = {"learner.aggregation": "token_mean"}

    def credit(self, groups: Sequence[Group]) -> list[Group]:
        """1 for a right answer, 0 for a wrong one and for a copy of one before it."""
        return [replace(group, advantages=_kept(group)) for group in groups]

    def learned(self, group: Group) -> Group:
        kept = super().learned(group)
        return kept.pick([i for i, advantage in enumerate(kept.advantages) if advantage])

    def loss(self, tokens: Tokens) -> tuple[Tensor, dict[str, float]]:
        """−log π, without a ratio: what was sampled and is right is a target like gold."""
        return -(tokens.weights_N * tokens.log_probs_N).sum(), tokens.compared()


def _kept(group: Group) -> list[float]:
    seen: set[tuple[int, ...]] = set()
    kept = []
    for episode, reward in zip(group.episodes, group.rewards, strict=True):
        ids = tuple(episode.ids)
        kept.append(float(reward.correct and ids not in seen))
        seen.add(ids)
    return kept
