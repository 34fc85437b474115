"""How much the KL and the clip range count, driven by the KL that is measured.

Source: the proportional controller of Ziegler et al. 2019 (arXiv 1909.08593, section 2.2).
"""

from __future__ import annotations

RATE = 0.1
LARGEST_ERROR = 0.2
BOUND = 64.0
"""The factor stays between 1/64 and 64."""


def adapted(factor: float, measured: float, target: float) -> float:
    """The factor after a step with this KL to the reference: up by at most 2 % where that is above the target, down by
    as much where it is below; a KL that is not finite changes nothing.

    >>> [round(adapted(1.0, kl, target=0.1), 4) for kl in (0.11, 0.5, 0.1, 0.0)]
    [1.01, 1.02, 1.0, 0.98]
    """
    error = max(-LARGEST_ERROR, min(LARGEST_ERROR, measured / target - 1.0))
    if error != error:
        return factor
    return max(1 / BOUND, min(BOUND, factor * (1.0 + RATE * error)))
