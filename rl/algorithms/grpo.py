"""GRPO as published: standardised rewards of the group, each answer counts the same."""

from rl.algorithms.base import Algorithm


class Grpo(Algorithm):
    name, title = "grpo", "GRPO"
    summary = "rewards standardised inside the group; mean over the tokens of an answer, then over answers"
    source = "arXiv 2402.03300"
    defaults = {"rollout.advantage": "grpo", "learner.aggregation": "sequence_mean", "learner.clip_high": 0.2}
