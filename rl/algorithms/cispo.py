"""CISPO: importance weights are clipped, no token loses its gradient."""

from rl.algorithms.base import Algorithm


class Cispo(Algorithm):
    name, title = "cispo", "CISPO"
    summary = "GRPO's advantage; the importance weight is bounded, the gradient is not cut"
    source = "arXiv 2506.13585"
    defaults = {"learner.surrogate": "cispo", "learner.aggregation": "token_mean"}
