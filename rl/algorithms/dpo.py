"""DPO and IPO on pairs of right and wrong answers to the same question, fresh or of an earlier run (`rl/replay.py`).

    margin = Σ (log π − log π_ref) of the right answer − the same of the wrong one
    DPO    −log σ(β · margin)                        arXiv 2305.18290
    IPO    (margin of means over tokens − 1/(2β))²   arXiv 2310.12036, means per token as TRL has them

The hardest pairs come first: the right answer that the policy finds least likely with the wrong one that it finds most
likely. A group without both teaches nothing, and is counted (no_signal).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

from rl.algorithms.base import Algorithm
from rl.types import Group

if TYPE_CHECKING:
    from torch import Tensor

    from rl.algorithms.losses import Tokens


class Dpo(Algorithm):
    name, title = "dpo", "DPO"
    summary = "the right answer of a pair above the wrong one, measured from the frozen adapter that RL starts from"
    source = "arXiv 2305.18290"
    together = True
    offline = True
    means = ("margin", "pairs_right")

    @property
    def reference(self) -> bool:
        return True

    @property
    def learns_all(self) -> bool:
        return False

    def credit(self, groups: Sequence[Group]) -> list[Group]:
        """+1 for the right answer of a pair, −1 for the wrong one, pair by pair in front; 0 for those in no pair."""
        return [self._paired(group) for group in groups]

    def _paired(self, group: Group) -> Group:
        group = super().learned(group)
        pairs = hardest_pairs(group)[: self.learner.pairs]
        chosen = [i for pair in pairs for i in pair]
        rest = [i for i in range(len(group.episodes)) if i not in chosen]
        advantages = [1.0, -1.0] * len(pairs) + [0.0] * len(rest)
        return replace(group.pick([*chosen, *rest]), advantages=advantages)

    def learned(self, group: Group) -> Group:
        return group.pick([i for i, advantage in enumerate(group.advantages) if advantage])

    def size(self, group: Group) -> float:
        """Pairs."""
        return len(group.episodes) / 2

    def divisor(self, samples: float, size: float) -> float:
        return size

    def loss(self, tokens: Tokens) -> tuple[Tensor, dict[str, float]]:
        """Summed over the pairs of the micro-batch."""
        margin_P = self._margins(tokens)
        metrics = {"margin": float(margin_P.detach().sum()), "pairs_right": float((margin_P > 0).sum())}
        return self._of_pairs(margin_P).sum(), metrics | tokens.compared()

    def _margins(self, tokens: Tokens) -> Tensor:
        """Of each pair: answers come right, wrong, right, wrong, …"""
        import torch

        assert tokens.reference_N is not None
        answers = int(tokens.answers_N.max()) + 1
        sums_A = torch.zeros(answers, device=tokens.log_probs_N.device)
        sums_A = sums_A.index_add(0, tokens.answers_N, tokens.log_probs_N - tokens.reference_N)
        scores_A = self._scores(sums_A, torch.bincount(tokens.answers_N, minlength=answers))
        return scores_A[0::2] - scores_A[1::2]

    def _scores(self, sums_A: Tensor, lengths_A: Tensor) -> Tensor:
        return sums_A

    def _of_pairs(self, margin_P: Tensor) -> Tensor:
        from torch.nn.functional import logsigmoid

        return -logsigmoid(self.learner.pair_beta * margin_P)


class Ipo(Dpo):
    name, title = "ipo", "IPO"
    summary = "as DPO, but the margin is drawn to 1/(2β) and not beyond: pairs are not driven apart without end"
    source = "arXiv 2310.12036"

    def _scores(self, sums_A: Tensor, lengths_A: Tensor) -> Tensor:
        return sums_A / lengths_A.clamp(min=1)

    def _of_pairs(self, margin_P: Tensor) -> Tensor:
        return (margin_P - 1 / (2 * self.learner.pair_beta)).square()


def hardest_pairs(group: Group) -> list[tuple[int, int]]:
    """(place of a right answer, place of a wrong one), each distinct answer in one pair at most."""
    first = {tuple(episode.ids): i for i, episode in reversed(list(enumerate(group.episodes)))}
    likely = {i: fmean(group.episodes[i].log_probs or [0.0]) for i in first.values()}
    right = sorted((i for i in likely if group.rewards[i].correct), key=lambda i: (likely[i], i))
    wrong = sorted((i for i in likely if not group.rewards[i].correct), key=lambda i: (-likely[i], i))
    return list(zip(right, wrong, strict=False))
