"""Policy-gradient losses as pure functions: tensors in, `(loss, metrics)` out.

Axes: N tokens, the sampled tokens of a micro-batch laid end to end (padding never gets here).

One aggregation rule: the loss of a micro-batch is a weighted *sum* over its tokens, and the gradient is divided once,
by a count over the whole step. So it does not depend on how the step is cut into parts, micro-batches or ranks.

    clipped    min(ρA, clip(ρ)A) per token          PPO, GRPO (arXiv 2402.03300); DAPO with clip_high > clip_low
    gspo       the same, ρ of the whole answer: exp of its mean log-ratio            GSPO (arXiv 2507.18071)
    cispo      sg(min(ρ, 1 + clip_high)) A log π     every token keeps a gradient      CISPO (arXiv 2506.13585)
    reinforce  sg(min(ρ, is_cap)) A log π            truncated importance sampling     REINFORCE, RLOO

ρ = π/μ with μ the engine's own probability, so it corrects both for staleness and for engine and learner differing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rl.types import Aggregation, KlEstimator, Surrogate


@dataclass(frozen=True)
class LossTerms:
    """clip_low, clip_high: ratio bounds 1 − low, 1 + high (DAPO's clip-higher when they differ).
    is_cap: largest importance weight of `reinforce`. kl: weight of the KL to the reference policy, 0 = no reference
    pass; kl_estimator: which estimate of it. entropy: weight of the entropy bonus."""

    clip_low: float = 0.2
    clip_high: float = 0.2
    kl: float = 0.0
    entropy: float = 0.0
    surrogate: Surrogate = "clipped"
    kl_estimator: KlEstimator = "k2"
    is_cap: float = 2.0


@dataclass(frozen=True)
class Tokens:
    """The learned tokens of a micro-batch, end to end, answer by answer.

    log_probs_N: log π, with its gradient; behaviour_N: log μ of the engine. answers_N: for each token the number of its
    answer, 0 ≤ n, all those of a group in a row. reference_N, teacher_N and entropy_N are there where the algorithm
    asks for them. factor: of `rl.algorithms.control`; bonus: what the weight of the entropy is multiplied by.
    """

    log_probs_N: Tensor
    behaviour_N: Tensor
    advantages_N: Tensor
    weights_N: Tensor
    answers_N: Tensor
    reference_N: Tensor | None = None
    entropy_N: Tensor | None = None
    factor: float = 1.0
    teacher_N: Tensor | None = None
    bonus: float = 1.0

    @property
    def fixed(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.log_probs_N, self.behaviour_N, self.advantages_N, self.weights_N

    def compared(self) -> dict[str, float]:
        """`compared` of these."""
        return compared(self.log_probs_N, self.behaviour_N, self.reference_N)


def token_weight(length: int, aggregation: Aggregation, max_tokens: int) -> float:
    """The weight of each token of an answer of `length` tokens, before the step's `divisor`.

    >>> [token_weight(length, "sequence_mean", 8) for length in (2, 4)]
    [0.5, 0.25]
    """
    return {"sequence_mean": 1.0 / length, "token_mean": 1.0, "constant": 1.0 / max_tokens}[aggregation]


def divisor(aggregation: Aggregation, samples: float, tokens: float) -> float:
    """What the weighted sum over a whole step is divided by.

    samples: all of the step, also of groups without advantage, which so keep their share; tokens: those learned from.
    sequence_mean: 1/(samples · L_i) per token, GRPO as published. token_mean: 1/ΣL (DAPO).
    constant: 1/(samples · max_tokens), Dr. GRPO.
    """
    return tokens if aggregation == "token_mean" else samples


def kl_term(estimator: KlEstimator, log_probs_N: Tensor, reference_N: Tensor) -> Tensor:
    """A loss per token whose value estimates KL(π‖π_ref) and whose gradient, on-policy, is that of the KL.

    k1 = log π − log π_ref, k2 = ½k1², k3 = exp(−k1) − 1 + k1 (Schulman 2020). k2's own gradient is right as it is; k1
    and k3 also need the gradient of sampling from π, which the factor π/sg(π) = 1 brings.
    """
    k1_N = log_probs_N - reference_N
    if estimator == "k2":
        return 0.5 * k1_N.square()
    value_N = k1_N if estimator == "k1" else (-k1_N).exp() - 1.0 + k1_N
    return (log_probs_N - log_probs_N.detach()).exp() * value_N


def policy_loss(
    log_probs_N: Tensor,
    behaviour_N: Tensor,
    advantages_N: Tensor,
    weights_N: Tensor,
    terms: LossTerms,
    reference_N: Tensor | None = None,
    entropy_N: Tensor | None = None,
    answers_N: Tensor | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """The surrogate named in `terms`, the KL and the entropy bonus, with the engine's log-probabilities as old policy.

    log_probs_N carry the gradient; behaviour_N (log μ), advantages_N, weights_N and reference_N do not. answers_N: for
    each token the number of its answer, 0 ≤ n; only `gspo` needs it.
    Metrics are sums over tokens ("…_sum"), to be divided by the step's token count.
    """
    log_ratio_N = log_probs_N - behaviour_N
    surrogate_N, clipped_N = SURROGATES[terms.surrogate](log_probs_N, log_ratio_N, advantages_N, terms, answers_N)
    loss_N = -surrogate_N
    metrics = compared(log_probs_N, behaviour_N, reference_N) | {"clipped_sum": float(clipped_N.sum())}
    if reference_N is not None:
        loss_N = loss_N + terms.kl * kl_term(terms.kl_estimator, log_probs_N, reference_N)
    if entropy_N is not None and terms.entropy:
        loss_N = loss_N - terms.entropy * entropy_N
    return (weights_N * loss_N).sum(), metrics


def compared(log_probs_N: Tensor, behaviour_N: Tensor, reference_N: Tensor | None) -> dict[str, float]:
    """How far the policy is from the engine that sampled, and from the reference: metrics of every loss."""
    delta_N = (log_probs_N - behaviour_N).detach().abs()
    metrics = {"mismatch_sum": float(delta_N.sum()), "mismatch_max": float(delta_N.max()) if delta_N.numel() else 0.0}
    if reference_N is not None:
        metrics["kl_reference_sum"] = float(kl_term("k3", log_probs_N.detach(), reference_N).sum())
    return metrics


def _clipped(
    log_probs_N: Tensor, log_ratio_N: Tensor, advantages_N: Tensor, terms: LossTerms, answers_N: Tensor | None
) -> tuple[Tensor, Tensor]:
    ratio_N = log_ratio_N.exp()
    bounded_N = ratio_N.clamp(1.0 - terms.clip_low, 1.0 + terms.clip_high)
    return torch.minimum(ratio_N * advantages_N, bounded_N * advantages_N), _outside(ratio_N, advantages_N, terms)


def _gspo(
    log_probs_N: Tensor, log_ratio_N: Tensor, advantages_N: Tensor, terms: LossTerms, answers_N: Tensor | None
) -> tuple[Tensor, Tensor]:
    """GSPO-token: every token of an answer has the answer's ratio, and its own share of the gradient."""
    if answers_N is None:
        raise ValueError("the surrogate gspo needs answers_N: the number of the answer that each token belongs to")
    answers = int(answers_N.max()) + 1
    sums_A = torch.zeros(answers, device=log_ratio_N.device).index_add(0, answers_N, log_ratio_N.detach().float())
    lengths_A = torch.bincount(answers_N, minlength=answers).clamp(min=1)
    of_answer_N = (sums_A / lengths_A)[answers_N]
    return _clipped(log_probs_N, of_answer_N + log_probs_N - log_probs_N.detach(), advantages_N, terms, None)


def _cispo(
    log_probs_N: Tensor, log_ratio_N: Tensor, advantages_N: Tensor, terms: LossTerms, answers_N: Tensor | None
) -> tuple[Tensor, Tensor]:
    ratio_N = log_ratio_N.detach().exp()
    weight_N = ratio_N.clamp(max=1.0 + terms.clip_high)
    return weight_N * advantages_N * log_probs_N, ratio_N > 1.0 + terms.clip_high


def _reinforce(
    log_probs_N: Tensor, log_ratio_N: Tensor, advantages_N: Tensor, terms: LossTerms, answers_N: Tensor | None
) -> tuple[Tensor, Tensor]:
    ratio_N = log_ratio_N.detach().exp()
    return ratio_N.clamp(max=terms.is_cap) * advantages_N * log_probs_N, ratio_N > terms.is_cap


def _outside(ratio_N: Tensor, advantages_N: Tensor, terms: LossTerms) -> Tensor:
    """Tokens that no longer learn: beyond the bound in the direction that their advantage pushes."""
    ratio = ratio_N.detach()
    return ((ratio > 1 + terms.clip_high) & (advantages_N > 0)) | ((ratio < 1 - terms.clip_low) & (advantages_N < 0))


SURROGATES: dict[Surrogate, Callable[..., tuple[Tensor, Tensor]]] = {
    "clipped": _clipped,
    "gspo": _gspo,
    "cispo": _cispo,
    "reinforce": _reinforce,
}
