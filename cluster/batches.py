"""What a pool sends: jobs cut into batches. No Ray here."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any


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
