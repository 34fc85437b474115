"""What right answers cost: R-VES, BIRD's reward by the clock, and efficiency, by what SQLite does.

R-VES: a right answer earns the square root of 1.25, 1, 0.75, 0.5 or 0.25 by how gold's time compares with its own; a
wrong one nothing. Times are those inside the sandbox, so they hold opening the database but no start of a process.
Efficiency: `evaluation.databases.effort`, the same on every machine; a wrong answer has none.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from evaluation.databases.sandbox import Limits, Request, Sandbox
from evaluation.rulers.bird import ex_bird
from evaluation.rulers.ruler import Ruler

RULERS = (Ruler("efficiency", lambda judged: judged.verdict.efficiency, share=False, asked=True),)
STEPS = ((2.0, 1.25), (1.0, 1.0), (0.5, 0.75), (0.25, 0.5), (0.0, 0.25))  # (gold's time / its own from, reward)


class Stopwatch:
    """Times queries in a sandbox that remembers nothing."""

    def __init__(self, limits: Limits | None = None, repeats: int = 10) -> None:
        self.repeats = repeats
        self._sandbox = Sandbox(replace(limits or Limits(), cache_bytes=0))

    def r_ves(self, database: str, gold_sql: str, prediction_sql: str) -> float:
        """0.0 to sqrt(1.25). Gold and prediction run in turn, `repeats` times each."""
        ratios = []
        for _ in range(self.repeats):
            gold, prediction = (
                self._sandbox.execute([request])[0] for request in pair(database, gold_sql, prediction_sql)
            )
            if not ex_bird(gold, prediction):
                return 0.0
            ratios.append(gold.seconds / max(prediction.seconds, 1e-9))
        return math.sqrt(reward(mean_without_outliers(ratios)))

    def close(self) -> None:
        self._sandbox.close()


def pair(database: str, gold_sql: str, prediction_sql: str) -> tuple[Request, Request]:
    return (database, gold_sql), (database, prediction_sql)


def reward(ratio: float) -> float:
    """
    >>> [reward(ratio) for ratio in (3.0, 1.0, 0.6, 0.3, 0.1)]
    [1.25, 1.0, 0.75, 0.5, 0.25]
    """
    return next(value for least, value in STEPS if ratio >= least)


def mean_without_outliers(ratios: Sequence[float]) -> float:
    """The mean of what lies within three standard deviations of the mean; of all when nothing does (all are equal)."""
    centre, spread = statistics.fmean(ratios), statistics.pstdev(ratios)
    return statistics.fmean([ratio for ratio in ratios if abs(ratio - centre) < 3 * spread] or ratios)
