"""How good a policy is on dev questions: greedy answers, and the mean over K sampled ones, which GRPO optimises."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.benchmarks import Example
from evaluation.console import Count
from evaluation.metrics import mean_interval, wilson_interval
from evaluation.score import write_whole
from rl.engines import Seen
from rl.policy import EnginePolicy
from rl.reward import answer_of
from rl.rewards import PooledRewards
from sft.policy.generator import Sampling

CHUNK = 128
"""Questions per call of the engine."""


def evaluate(
    policy: EnginePolicy, rewards: PooledRewards, examples: Sequence[Example], samples: int, policy_step: int | None
) -> dict[str, Any]:
    """`ex_strict` (greedy) and `ex_strict_sampled` (mean over `samples` at temperature 1), with 95 % intervals.

    policy_step: the version that the engine holds; None is the base without adapter. A question whose prompt is over
    the context counts as wrong.
    """
    asked = [example for example in examples if policy.encoder.fits(policy.encoder.encode(example))]
    rows: list[dict[str, Any]] = []
    passes = Count("evaluating", len(asked) * (1 + samples), "answers")
    for start in range(0, len(asked), CHUNK):
        seen = _from(passes, start * (1 + samples))
        rows += _rows(policy, rewards, asked[start : start + CHUNK], samples, policy_step, seen)
    by_id = {row["id"]: row for row in rows}
    rows = [by_id.get(example.id) or _row(example, "", "over_context", False, 0.0) for example in examples]
    greedy = [row["correct"] for row in rows]
    sampled = [row["sampled_correct_rate"] for row in rows]
    return {
        "n": len(rows),
        "samples": samples,
        "ex_strict": statistics.fmean(greedy),
        "ex_strict_ci": list(wilson_interval(sum(greedy), len(greedy))),
        "ex_strict_sampled": statistics.fmean(sampled),
        "ex_strict_sampled_ci": list(mean_interval(sampled)),
        "per_question": rows,
    }


def _from(count: Count, before: int) -> Seen:
    return lambda done: count(before + done)


def _rows(
    policy: EnginePolicy,
    rewards: PooledRewards,
    examples: Sequence[Example],
    samples: int,
    policy_step: int | None,
    seen: Seen,
) -> list[dict[str, Any]]:
    """`seen` hears how many answers are there."""
    max_tokens = policy.rollout.max_tokens
    once, often = Sampling(1, 0.0, max_tokens, seed=0), Sampling(samples, 1.0, max_tokens, seed=policy.seed)
    greedy = policy.sample_with(examples, once, policy_step, seen)
    many = policy.sample_with(examples, often, policy_step, lambda n: seen(len(examples) + n))
    answers = [list(map(answer_of, (*one.episodes, *all_.episodes))) for one, all_ in zip(greedy, many, strict=True)]
    return [
        _row(
            example,
            answers_K[0].sql,
            judged[0].verdict,
            judged[0].ex_strict,
            statistics.fmean(j.ex_strict for j in judged[1:]),
            judged[0].error,
        )
        for example, answers_K, judged in zip(examples, answers, rewards.judge(examples, answers), strict=True)
    ]


def _row(
    example: Example, sql: str, status: str, correct: bool, sampled_correct_rate: float, error: str = ""
) -> dict[str, Any]:
    return {
        "id": example.id,
        "db_id": example.db_id,
        "question": example.question,
        "gold": example.gold_sql,
        "sql": sql,
        "status": status,
        "error": error,
        "correct": correct,
        "sampled_correct_rate": sampled_correct_rate,
    }


def save(path: Path, result: dict[str, Any]) -> None:
    """JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(result, indent=1))
