"""What a step of the learner has seen so far: groups that wait, and sums over its micro-batches and ranks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from rl.algorithms.base import Algorithm
from rl.algorithms.losses import Tokens
from rl.algorithms.ppo import Estimates
from rl.types import Group
from sft.policy.ranks import Ranks

Totals = defaultdict[str, float]
SUMMED = (
    "tokens", "size", "clipped_sum", "mismatch_sum", "kl_reference_sum", "entropy_learned_sum", "loss", "over_budget",
)  # fmt: skip
"""Totals that are added up over the ranks at the end of a step."""


@dataclass
class Step:
    """useful: groups that are learned from. learned: `Algorithm.size` since the last update. estimates: of the critic,
    by id of the episode."""

    samples: int = 0
    useful: int = 0
    learned: float = 0.0
    seconds: float = 0.0
    first: Group | None = None
    waiting: list[Group] = field(default_factory=list)
    estimates: dict[int, Estimates] = field(default_factory=dict)
    totals: Totals = field(default_factory=lambda: defaultdict(float))

    def count(self, tokens: Tokens, metrics: Mapping[str, float]) -> None:
        """A micro-batch with the metrics of its loss."""
        totals = self.totals
        totals["tokens"] += tokens.log_probs_N.numel()
        if tokens.entropy_N is not None:
            totals["entropy_learned_sum"] += float(tokens.entropy_N.detach().sum())
        for name, value in metrics.items():
            totals[name] = max(totals[name], value) if name == "mismatch_max" else totals[name] + value

    def mismatch(self, ranks: Ranks) -> dict[str, float]:
        """Mean and largest |log π − log μ| of learner and engine over the tokens so far, nats."""
        total, tokens = ranks.sum([self.totals["mismatch_sum"], self.totals["tokens"]])
        (largest,) = ranks.max([self.totals["mismatch_max"]])
        return {"mismatch": total / max(1.0, tokens), "mismatch_max": largest}

    def metrics(self, ranks: Ranks, algorithm: Algorithm, updates: int) -> dict[str, float]:
        """Of the whole step, the same on every rank but for norms and seconds."""
        names = (*SUMMED, *algorithm.means)
        sums = dict(zip(names, ranks.sum([self.totals[name] for name in names]), strict=True))
        tokens = max(1.0, sums["tokens"])
        if not algorithm.reference:
            del sums["kl_reference_sum"]
        means = {name.removesuffix("_sum"): total / tokens for name, total in sums.items() if name.endswith("_sum")}
        means |= {name: sums[name] / max(1.0, sums["size"]) for name in algorithm.means}
        return means | {
            "loss": sums["loss"] / max(1, updates),
            "grad_norm": self.totals["grad_norm"] / max(1, updates),
            "over_budget": sums["over_budget"],
            "skipped_updates": self.totals["skipped"],
            "learner_tokens_per_s": tokens / self.seconds,
            "learn_seconds": self.seconds,
        }
