"""A step's groups, made in parts in the background, with the seconds that they took."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from rl.background import Background
from rl.types import Group, Part


class Batch:
    """Iterates over the groups of each part. Afterwards `groups` holds all, and `seconds` what each phase took.

    began: when the first part was asked for, by time.perf_counter; seconds["wait"]: from then until the last was there.
    """

    def __init__(self, parts: Iterable[Part], what: str) -> None:
        self._parts = Background(parts, what)
        self.groups: list[Group] = []
        self.seconds: dict[str, float] = {}
        self.began = 0.0

    def __iter__(self) -> Iterator[Sequence[Group]]:
        self.began = time.perf_counter()
        for part in self._parts:
            self.groups += part.groups
            for phase, seconds in part.seconds.items():
                self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds
            yield part.groups
        self.seconds["wait"] = time.perf_counter() - self.began
