"""RLOO: REINFORCE whose baseline is the mean of the other answers."""

from rl.algorithms.base import Algorithm


class Rloo(Algorithm):
    name, title = "rloo", "RLOO"
    summary = "rewards less the mean of the others; REINFORCE with truncated importance weights"
    source = "arXiv 2402.14740"
    defaults = {"rollout.advantage": "rloo", "learner.surrogate": "reinforce"}
