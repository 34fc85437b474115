"""The canary: fixed prompts and answers whose log-probabilities learner and engine must agree on after a publish."""

from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rl.engines import Awaited

log = logging.getLogger(__name__)


class AdapterNotLive(RuntimeError):
    """After a publish the engine's log-probabilities are not the learner's: the run must not go on."""


@dataclass(frozen=True)
class Canary:
    """prompts, completions: what is scored. limit: largest mean |Δ log-prob|, nats per token; bf16: whether learner and
    engine both compute in bfloat16, whose rounding is not counted."""

    prompts: Sequence[Sequence[int]]
    completions: Sequence[Sequence[int]]
    limit: float = 0.05
    bf16: bool = False

    @property
    def shown(self) -> tuple[Sequence[Sequence[int]], Sequence[Sequence[int]]]:
        return self.prompts, self.completions

    def check(self, step: int, learner: Awaited, engines: Sequence[Awaited]) -> tuple[float, float]:
        """Mean |Δ log-prob| of learner and engine for the policy after `step`, whole and beyond rounding; of the engine
        that differs most. AdapterNotLive when it is over the limit."""
        expected = [value for scores in learner() for value in scores]
        served = [[value for scores in one() for value in scores] for one in engines]
        largest, beyond = (
            max((mismatch(one, expected, rounded) for one in served), key=lambda value: (math.isnan(value), value))
            for rounded in (False, self.bf16)
        )
        if not beyond <= self.limit:
            raise AdapterNotLive(
                f"policy {step} is not live: mean |Δ log-prob| of engine and learner on the canary must be at most "
                f"{self.limit} (engine.mismatch_limit) beyond rounding, got {beyond:.4f}. The adapter did not "
                "reach the engine, or the engine serves another base than the learner trains on (model.quantization)."
            )
        return largest, beyond


def mismatch(served: Sequence[float], expected: Sequence[float], bf16: bool) -> float:
    """Mean |Δ log-prob|, nats per token. bf16: of each token only what exceeds the distance of neighbouring bfloat16
    numbers of that size, which learner and engine may round apart: 1/8 at −20, 1/2048 at −0.1.

    >>> mismatch([-20.125, -0.5], [-20.0, -0.5], bf16=True), mismatch([-20.125, -0.5], [-20.0, -0.5], bf16=False)
    (0.0, 0.0625)
    """

    def beyond(a: float, b: float) -> float:
        difference, rounding = abs(a - b), _spacing(min(abs(a), abs(b))) if bf16 else 0.0
        return 0.0 if difference <= rounding else difference - rounding

    return statistics.fmean(beyond(a, b) for a, b in zip(served, expected, strict=True))


def _spacing(size: float) -> float:
    """Between neighbouring bfloat16 numbers, which have eight significant bits."""
    return math.ldexp(1.0, math.frexp(size)[1] - 8) if 0 < size < math.inf else 0.0
