"""DAPO: every token counts the same, ratios may rise further than fall, groups without signal are drawn again."""

from rl.algorithms.base import Algorithm


class Dapo(Algorithm):
    name, title = "dapo", "DAPO"
    summary = "GRPO with a token mean, clip-higher, dynamic sampling and a loss for overlong answers"
    source = "arXiv 2503.14476"
    defaults = {
        "rollout.advantage": "grpo", "rollout.refills": 3, "reward.overlong": 0.5,
        "learner.aggregation": "token_mean", "learner.clip_high": 0.28,
    }  # fmt: skip
