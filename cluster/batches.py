"""What a pool sends: jobs cut into batches, and how large a batch should be. No Ray here."""

import math
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

BATCH_COST_S = (
    0.0004  # what a batch costs the driver, and about as much its worker: a call, an answer (cluster/scaling.md)
)
_DRIVER_SHARE = 0.25  # of a core, for dispatch to busy workers
_SHORTEST_S = 0.1  # a batch is long against what a busy machine takes to wake a process
_ROUNDS = 4  # batches per worker at least, so that a slow one can be made up for


@dataclass(eq=False)
class Job:
    """One `submit`: results arrive slot by slot, the future completes with the last one."""

    future: "Future[list[Any]]"
    results: list[Any]
    open_slots: set[int]
    timeout_s: float

    @classmethod
    def of(cls, items: Sequence[Any], timeout_s: float) -> "Job":
        return cls(Future(), [None] * len(items), set(range(len(items))), timeout_s)

    def deliver(self, slots: Sequence[int], results: Sequence[Any]) -> None:
        """Fills slots; the last one completes the future."""
        for slot, result in zip(slots, results, strict=True):
            self.results[slot] = result
        self.open_slots.difference_update(slots)
        if not self.open_slots and not self.future.done():
            self.future.set_result(self.results)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(eq=False)
class Batch:
    """Items of one job that travel together.

    keys: names of the items in the quarantine file, [] without one; strikes: how many workers the items have cost.
    """

    job: Job
    slots: list[int]
    items: list[Any]
    keys: list[str]
    strikes: int = 0

    def apart(self) -> "list[Batch]":
        """Each item alone, with one strike more."""
        return [self.pick([place], self.strikes + 1) for place in range(len(self.items))]

    def pick(self, places: Sequence[int], strikes: int) -> "Batch":
        """A batch of the items at some places."""
        slots, items = [self.slots[p] for p in places], [self.items[p] for p in places]
        return Batch(self.job, slots, items, [self.keys[p] for p in places] if self.keys else [], strikes)


def choose_batch_size(items: int, workers: int, item_s: float) -> int:
    """How many of `items` items of `item_s` seconds travel together, so that neither driver nor workers feel it.

    All workers together may take a quarter of the driver's core, and a batch is a tenth of a second at least; but every
    worker gets several batches, whatever that costs, and all get equally many.

    >>> choose_batch_size(items=128_000, workers=256, item_s=0.02)  # 256 × 0.4 ms / 0.25 = 0.41 s = 21 queries
    21
    >>> choose_batch_size(items=64_000, workers=512, item_s=0.02)  # 41 queries would be 3.05 rounds; 4 rounds of 32
    32
    >>> choose_batch_size(items=1_000, workers=256, item_s=0.02)
    1
    """
    enough_s = max(workers * BATCH_COST_S / _DRIVER_SHARE, _SHORTEST_S)
    enough = math.ceil(round(enough_s / max(item_s, 1e-6), 3))
    rounds = max(_ROUNDS, math.ceil(items / (workers * enough)))
    return max(1, math.ceil(items / (workers * rounds)))
