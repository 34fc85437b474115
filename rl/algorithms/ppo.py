"""PPO: advantages per token from a critic, several epochs of clipped updates.

    δ_t = r_t + γ V(s_t+1) − V(s_t)          s_t: the prompt and what was written and read before token t
    A_t = δ_t + γλ A_t+1                     generalised advantage estimation, arXiv 1506.02438
    value loss ½ max((V − R)², (V_old + clip(V − V_old, ±ε) − R)²),   R = A + V_old

The reward comes with the last token. An answer that was cut has no end: beyond it lies V of all that was written. An
observation is part of the next state, and no step of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rl.algorithms.base import PerToken

if TYPE_CHECKING:
    from torch import Tensor


class Ppo(PerToken):
    name, title = "ppo", "PPO"
    summary = "advantages per token from a critic, a value head on a second LoRA; epochs of clipped minibatches"
    source = "arXiv 1707.06347"
    defaults = {
        "learner.minibatches": 4, "learner.passes": 2, "learner.clip_high": 0.2, "learner.aggregation": "token_mean",
    }  # fmt: skip
    critic = True
    means = ("value_loss",)


@dataclass(frozen=True)
class Estimates:
    """Of an episode, aligned with its written tokens."""

    advantages: Sequence[float]
    returns: Sequence[float]
    values: Sequence[float]


def estimates(
    values: Sequence[float], reward: float, gamma: float, gae_lambda: float, beyond: float = 0.0
) -> Estimates:
    """From V before each token of one episode. beyond: V behind the last token, where the answer was cut there.

    >>> estimates([0.5, 0.25], reward=1.0, gamma=1.0, gae_lambda=0.5)
    Estimates(advantages=[0.125, 0.75], returns=[0.625, 1.0], values=[0.5, 0.25])
    """
    advantages, later, following = list[float](), 0.0, beyond
    for t in reversed(range(len(values))):
        delta = (reward if t == len(values) - 1 else 0.0) + gamma * following - values[t]
        later = delta + gamma * gae_lambda * later
        advantages.append(later)
        following = values[t]
    advantages.reverse()
    return Estimates(advantages, [a + v for a, v in zip(advantages, values, strict=True)], list(values))


def value_loss(values_N: Tensor, old_N: Tensor, returns_N: Tensor, clip: float) -> Tensor:
    """Per token: the larger of both squares, so that V does not leave old ± clip for less."""
    import torch

    clipped_N = old_N + (values_N - old_N).clamp(-clip, clip)
    return 0.5 * torch.maximum((values_N - returns_N).square(), (clipped_N - returns_N).square())
