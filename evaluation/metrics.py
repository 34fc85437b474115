"""Shares and how sure we may be of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
Z_95 = 1.959963984540054
# 97.5 % quantiles of Student's t by degrees of freedom 1, 2, …
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)


def wilson_interval(correct: float, n: float, z: float = Z_95) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927): stays inside 0..1 and is honest at 0 and n. (0, 1) when n is 0.

    >>> [round(bound, 3) for bound in wilson_interval(0, 10)]
    [0.0, 0.278]
    """
    if n == 0:
        return 0.0, 1.0
    share = correct / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of a mean of independent values in 0..1: Wilson's, for as many flags as would spread as much.

    Where nothing spreads, each value counts as one flag.

    >>> mean_interval([0.0, 1.0, 1.0]) == wilson_interval(2, 3)
    True
    """
    if not values:
        return 0.0, 1.0
    mean, spread = statistics.fmean(values), statistics.pvariance(values)
    n = len(values) * mean * (1 - mean) / spread if spread > 0 else len(values)
    return wilson_interval(mean * n, n)


def paired_interval(differences: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the mean of paired differences in -1..1, by the normal distribution; their mean when it is one.

    >>> [round(bound, 3) for bound in paired_interval([1.0, 0.0, 0.0, -1.0])]
    [-0.8, 0.8]
    """
    if not differences:
        return -1.0, 1.0
    mean = statistics.fmean(differences)
    half = Z_95 * statistics.stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else 0.0
    return max(-1.0, mean - half), min(1.0, mean + half)


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the mean of a few independent runs (Student's t). (-inf, inf) for a single one.

    >>> [round(bound, 3) for bound in t_interval([0.1, 0.2, 0.3])]
    [-0.048, 0.448]
    """
    if len(values) < 2:
        return -math.inf, math.inf
    quantile = _T[len(values) - 2] if len(values) - 2 < len(_T) else Z_95 + 2.5 / (len(values) - 1)
    half = quantile * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.fmean(values) - half, statistics.fmean(values) + half


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact two-sided p of a fair coin giving a split at least this uneven; 1.0 when there is nothing to tell.

    >>> mcnemar(1, 5)  # 2 * (C(6,0) + C(6,1)) / 2**6
    0.21875
    """
    n, few = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(n, k) for k in range(few + 1))
    return min(1.0, float(2 * tail / 2**n)) if n else 1.0


def share(flags: Iterable[bool | int]) -> dict[str, Any]:
    """{"value", "correct", "n", "ci95"} of 0/1 verdicts; value is 0.0 when there are none."""
    values = [bool(flag) for flag in flags]
    correct, n = sum(values), len(values)
    low, high = wilson_interval(correct, n)
    return {"value": correct / n if n else 0.0, "correct": correct, "n": n, "ci95": [low, high]}


def breakdown(
    items: Sequence[T], group: Callable[[T], object], flag: Callable[[T], bool | int]
) -> Mapping[str, dict[str, Any]]:
    """The share per group, groups in sorted order; items whose group is "" are left out."""
    flags: dict[str, list[bool | int]] = {}
    for item in items:
        flags.setdefault(str(group(item)), []).append(flag(item))
    return {name: share(flags[name]) for name in sorted(flags) if name}
