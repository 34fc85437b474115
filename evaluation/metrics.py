"""Shares and how sure we may be of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
Z_95 = 1.959963984540054


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
