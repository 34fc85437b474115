"""GSPO: one ratio for a whole answer."""

from rl.algorithms.base import Algorithm


class Gspo(Algorithm):
    name, title = "gspo", "GSPO"
    summary = "GRPO's advantage; the ratio is that of the whole answer, clipped tightly"
    source = "arXiv 2507.18071"
    defaults = {
        "learner.surrogate": "gspo", "learner.aggregation": "sequence_mean",
        "learner.clip_low": 3e-4, "learner.clip_high": 4e-4,
    }  # fmt: skip
