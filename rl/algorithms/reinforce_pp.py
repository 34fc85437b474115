"""REINFORCE++ with baseline: rewards less their group's mean, divided by the spread of the whole step."""

from rl.algorithms.base import Algorithm


class ReinforcePp(Algorithm):
    name, title = "reinforce_pp", "REINFORCE++"
    summary = "rewards less their group's mean, divided by the deviation over the step"
    source = "arXiv 2501.03262"
    defaults = {"rollout.advantage": "reinforce_pp", "learner.surrogate": "clipped"}
