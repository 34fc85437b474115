"""Dr. GRPO: no division by the group's deviation, none by an answer's length."""

from rl.algorithms.base import Algorithm


class DrGrpo(Algorithm):
    name, title = "dr_grpo", "Dr. GRPO"
    summary = "rewards less their group's mean; tokens divided by a constant"
    source = "arXiv 2503.20783"
    defaults = {"rollout.advantage": "dr_grpo", "learner.aggregation": "constant"}
