"""Rewards from a pool of actors that execute SQL."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from cluster.pool import Pool
from evaluation.benchmarks import Example
from rl.reward import MODEL, Answer, Judged, RewardConfig, RewardWorker, answer_of, group_rewards, overlong, short
from rl.types import Episode, Group, Part, Reward

Rate = Callable[[Sequence[Sequence[Episode]]], list[list[float]]]
"""Scores of the episodes of each group."""
MAX_BATCH = 64
"""Questions that one reward actor judges in one call."""


class PooledRewards:
    """Rewards from a pool of actors that execute SQL, a question at a time."""

    def __init__(
        self,
        pool: Pool,
        config: RewardConfig,
        seed: int,
        max_tokens: int,
        discount: float = 1.0,
        rate: Rate | None = None,
    ) -> None:
        """discount: share of a reward that is left after each further turn. rate: scores of a reward model."""
        self.pool, self.config, self.seed, self.max_tokens = pool, config, seed, max_tokens
        self.discount, self.rate = discount, rate

    def reward(self, part: Part) -> Part:
        """With K rewards per group. A question whose judging was lost twice earns 0 throughout: no signal, and
        counted."""
        began, groups = time.perf_counter(), part.groups
        judged = self.judge([group.example for group in groups], [list(map(answer_of, g.episodes)) for g in groups])
        if self.rate is not None:
            judged = rated(judged, self.rate([group.episodes for group in groups]))
        rewarded = [self._rewarded(group, judged_K) for group, judged_K in zip(groups, judged, strict=True)]
        return part.after("reward", time.perf_counter() - began, rewarded)

    def _rewarded(self, group: Group, judged_K: Sequence[Judged]) -> Group:
        lengths_K = [overlong(len(e.token_ids), self.max_tokens, self.config) for e in group.episodes]
        seed = f"{self.seed}/{group.episodes[0].policy_step}/{group.example.id}"
        rewards = group_rewards(judged_K, self.config, lengths_K, seed)
        return replace(group, rewards=discounted(rewards, group.episodes, self.discount))

    def judge(self, examples: Sequence[Example], answers: Sequence[Sequence[Answer]]) -> list[list[Judged]]:
        """Verdicts of the answers to each question, in order."""
        items = list(zip(examples, answers, strict=True))
        batch_size = min(MAX_BATCH, max(1, len(items) // (2 * self.pool.size)))
        longest = batch_size * max((len(a) for a in answers), default=0)  # every answer may burn its deadline
        results = self.pool.map(items, batch_size, timeout_s=30 + 3 * self.config.deadline_s * longest)
        lost = Judged("lost", dict.fromkeys(map(short, self.config.parts), 0.0))
        return [
            result if result is not None else [lost] * len(answers_K)
            for result, answers_K in zip(results, answers, strict=True)
        ]


def rated(judged: Sequence[Sequence[Judged]], scores: Sequence[Sequence[float]]) -> list[list[Judged]]:
    """With the part of a reward model: σ of each score.

    >>> rated([[Judged("wrong", {})]], [[0.0]])[0][0].parts
    {'model': 0.5}
    """
    return [
        [replace(one, parts=one.parts | {MODEL: 0.5 + 0.5 * math.tanh(x / 2)}) for one, x in zip(*row, strict=True)]
        for row in zip(judged, scores, strict=True)
    ]


def discounted(rewards: Sequence[Reward], episodes: Sequence[Episode], discount: float) -> list[Reward]:
    """A reward of 1 after three turns is discount².

    >>> answer = Episode.single(0, [5], [9], [-0.1], "stop", 0)
    >>> [one.value for one in discounted([Reward(1.0, {}, "correct")], [answer.then(*answer.segments)], 0.9)]
    [0.9]
    """
    if discount == 1:
        return list(rewards)
    pairs = zip(rewards, episodes, strict=True)
    return [replace(reward, value=reward.value * discount ** (episode.turns - 1)) for reward, episode in pairs]


def reward_pool(
    config: RewardConfig,
    quarantine: Path,
    worker: type[RewardWorker] = RewardWorker,
    shown: tuple[int, int] | None = None,
) -> Pool:
    """The reward actors. A question whose judging costs two of them comes back as None; its answers go on file and are
    never run again."""
    return Pool(
        worker,
        config.deadline_s,
        config.parts,
        config.columns,
        shown,
        config.instances,
        method="judge_groups",
        size=config.workers,
        name="reward",
        lost=None,
        quarantine=quarantine,
        key=_key,
    )


def _key(item: tuple[Example, Sequence[Answer]]) -> str:
    """The question and a digest of its answers, the same in every run."""
    example, answers = item
    digest = hashlib.sha256("\0".join(answer.sql for answer in answers).encode("utf-8", "surrogatepass"))
    return f"{example.id} {digest.hexdigest()[:16]}"
