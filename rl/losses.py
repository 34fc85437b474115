"""The policy-gradient loss as pure functions: tensors in, `(loss, metrics)` out.

Axes: N tokens, the sampled tokens of a micro-batch laid end to end (padding never gets here).

One aggregation rule: every token carries a weight that was computed over the *whole* step, and the loss of a
micro-batch is a weighted sum. So the gradient does not depend on how the step is cut into micro-batches or ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Aggregation = Literal["sequence_mean", "token_mean", "constant"]


@dataclass(frozen=True)
class LossTerms:
    """clip_low, clip_high: ratio bounds 1 − low, 1 + high (DAPO's clip-higher when they differ).
    kl: weight of the KL to the reference policy, 0 = no reference pass. entropy: weight of the entropy bonus."""

    clip_low: float = 0.2
    clip_high: float = 0.2
    kl: float = 0.0
    entropy: float = 0.0


def token_weights(lengths: Sequence[int], samples: int, aggregation: Aggregation, max_tokens: int) -> list[float]:
    """The weight of each token of each answer; `lengths` are the answers learned from, `samples` all of the step.

    sequence_mean: 1/(samples · L_i), GRPO as published. token_mean: 1/ΣL (DAPO).
    constant: 1/(samples · max_tokens), Dr. GRPO. Groups without signal keep their share of `samples`.

    >>> token_weights([2, 4], 4, "sequence_mean", 8)
    [0.125, 0.0625]
    """
    if aggregation == "token_mean":
        return [1.0 / sum(lengths)] * len(lengths)
    if aggregation == "constant":
        return [1.0 / (samples * max_tokens)] * len(lengths)
    return [1.0 / (samples * length) for length in lengths]


def k2(log_probs_N: Tensor, reference_N: Tensor) -> Tensor:
    """½(log π − log π_ref)²: the estimator whose gradient, on-policy, is that of the KL (Schulman 2020)."""
    return 0.5 * (log_probs_N - reference_N).square()


def policy_loss(
    log_probs_N: Tensor,
    behaviour_N: Tensor,
    advantages_N: Tensor,
    weights_N: Tensor,
    terms: LossTerms,
    reference_N: Tensor | None = None,
    entropy_N: Tensor | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """PPO's clipped surrogate with the engine's log-probabilities as the old policy, ratio = π/μ.

    log_probs_N carry the gradient; behaviour_N (μ), advantages_N, weights_N and reference_N do not.
    Metrics are sums over tokens ("…_sum"), to be divided by the step's token count.
    """
    log_ratio_N = log_probs_N - behaviour_N
    ratio_N = log_ratio_N.exp()
    clipped_N = ratio_N.clamp(1.0 - terms.clip_low, 1.0 + terms.clip_high)
    surrogate_N = torch.minimum(ratio_N * advantages_N, clipped_N * advantages_N)
    loss_N = -surrogate_N
    metrics = _ratio_metrics(log_ratio_N, ratio_N, advantages_N, terms)
    if reference_N is not None:
        kl_N = k2(log_probs_N, reference_N)
        loss_N = loss_N + terms.kl * kl_N
        metrics["kl_reference_sum"] = float(_k3(log_probs_N, reference_N).sum())
    if entropy_N is not None and terms.entropy:
        loss_N = loss_N - terms.entropy * entropy_N
    return (weights_N * loss_N).sum(), metrics


def _k3(log_probs_N: Tensor, reference_N: Tensor) -> Tensor:
    """exp(−k1) − 1 + k1: the low-variance value of the KL, for metrics only."""
    k1 = (log_probs_N - reference_N).detach()
    return (-k1).exp() - 1.0 + k1


def _ratio_metrics(log_ratio_N: Tensor, ratio_N: Tensor, advantages_N: Tensor, terms: LossTerms) -> dict[str, float]:
    ratio, delta = ratio_N.detach(), log_ratio_N.detach()
    clipped = ((ratio > 1 + terms.clip_high) & (advantages_N > 0)) | ((ratio < 1 - terms.clip_low) & (advantages_N < 0))
    return {
        "clipped_sum": float(clipped.sum()),
        "mismatch_sum": float(delta.abs().sum()),
        "mismatch_max": float(delta.abs().max()) if delta.numel() else 0.0,
    }
