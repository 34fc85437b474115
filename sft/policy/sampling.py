"""How to sample, and what comes back: plain values, no engine."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.errors import UserError


@dataclass(frozen=True)
class Sampling:
    """`n` samples per prompt. Temperature 0 is greedy and needs n = 1. The same seed replays the same samples."""

    n: int
    temperature: float
    max_tokens: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n < 1 or self.max_tokens < 1 or self.temperature < 0:
            raise UserError(f"sampling needs n >= 1, max_tokens >= 1 and temperature >= 0, got {self}")
        if self.temperature == 0 and self.n > 1:
            raise UserError(f"greedy sampling (temperature 0) gives one answer, got n = {self.n}; ask for n = 1")


@dataclass(frozen=True)
class Sample:
    """One answer: ids as sampled (with the stop id, when it stopped) and their log-probabilities at temperature T.

    >>> Sample(token_ids=[87, 12, 2], log_probs=[-0.25, -1.5, -0.125], finish_reason="stop").finish_reason
    'stop'
    """

    token_ids: list[int]
    log_probs: list[float]
    finish_reason: str  # "stop" | "length"


@dataclass
class Stats:
    """Counters since the engine started."""

    prompts: int = 0
    samples: int = 0
    tokens: int = 0  # sampled
    seconds: float = 0.0  # spent sampling

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds if self.seconds else 0.0


def prompt_seed(seed: int, index: int) -> int:
    """The seed of prompt `index` in a call; its n samples take this and the n - 1 following numbers.

    Hashed, so that neighbours (of prompts and of seeds) do not share samples.
    """
    digest = hashlib.blake2b(f"{seed}:{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 2  # leaves room for + n below 2**63


def prompt_number(prompt: Sequence[int]) -> int:
    """An index for `prompt_seed` that hangs on the prompt alone: whoever asks it, and beside what others, draws the
    same samples.

    >>> prompt_number([1, 2]) == prompt_number([1, 2]) != prompt_number([2, 1])
    True
    """
    return int.from_bytes(hashlib.blake2b(array("q", prompt).tobytes(), digest_size=8).digest(), "big")
