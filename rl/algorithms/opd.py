"""On-policy distillation: the policy's own tokens, judged one by one by how likely a teacher finds them.

    A_t = log π_T(t) − log π(t)        whose policy gradient is that of KL(π‖π_T) at this state

No reward and no future: each token answers for itself alone. Rewards are still counted, to see what it is good for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rl.algorithms.base import Algorithm
from rl.types import Group

if TYPE_CHECKING:
    from torch import Tensor

    from rl.algorithms.losses import Tokens


class Opd(Algorithm):
    name, title = "opd", "On-policy distillation"
    summary = "each token that the policy wrote moves towards what a teacher finds likely there; no reward"
    source = "arXiv 2306.13649"
    defaults = {"learner.aggregation": "token_mean"}
    teacher = True
    means = ("kl_teacher",)

    @property
    def whole_step(self) -> bool:
        return False

    @property
    def learns_all(self) -> bool:
        """The teacher has something to say of every group."""
        return True

    def credit(self, groups: Sequence[Group]) -> list[Group]:
        """The rewards, for the figures: the learner, which has the teacher, makes advantages of its own."""
        return [replace(group, advantages=[reward.value for reward in group.rewards]) for group in groups]

    def loss(self, tokens: Tokens) -> tuple[Tensor, dict[str, float]]:
        from rl.algorithms.losses import kl_term

        assert tokens.teacher_N is not None
        behind_N = tokens.teacher_N - tokens.log_probs_N.detach()
        loss, metrics = super().loss(replace(tokens, advantages_N=behind_N))
        kl_N = kl_term("k3", tokens.log_probs_N.detach(), tokens.teacher_N)
        return loss, metrics | {"kl_teacher": float(kl_N.sum())}
