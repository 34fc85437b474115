"""On-policy distillation: the policy's own tokens, judged one by one by how likely a teacher finds them.

    A_t = log π_T(t) − log π(t)        whose policy gradient is that of KL(π‖π_T) at this state

No reward and no future: each token answers for itself alone. Rewards are still counted, to see what it is good for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rl.algorithms.base import PerToken

if TYPE_CHECKING:
    from torch import Tensor

    from rl.algorithms.losses import Tokens


class Opd(PerToken):
    name, title = "opd", "On-policy distillation"
    summary = "each token that the policy wrote moves towards what a teacher finds likely there; no reward"
    source = "arXiv 2306.13649"
    defaults = {"learner.aggregation": "token_mean"}
    teacher = True
    means = ("kl_teacher",)

    def loss(self, tokens: Tokens) -> tuple[Tensor, dict[str, float]]:
        from rl.algorithms.losses import kl_term

        assert tokens.teacher_N is not None
        behind_N = tokens.teacher_N - tokens.log_probs_N.detach()
        loss, metrics = super().loss(replace(tokens, advantages_N=behind_N))
        kl_N = kl_term("k3", tokens.log_probs_N.detach(), tokens.teacher_N)
        return loss, metrics | {"kl_teacher": float(kl_N.sum())}
