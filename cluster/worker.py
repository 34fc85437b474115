"""What the supervisor knows of one worker: what it was sent, what it is at, since when."""

import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from cluster.actor import Handle
from cluster.batches import Batch


@dataclass(eq=False)
class Worker:
    """One actor. A replaced worker is a new object, so a late answer of the old one is recognised and dropped.

    calls: batches sent and not answered, oldest first; those at work have deadlines.
    alone: a batch that nothing else may travel with; it is sent when the worker has answered a probe.
    """

    handle: Handle
    index: int
    started: float = field(default_factory=time.monotonic)
    is_ready: bool = False
    is_leaving: bool = False
    calls: "dict[Batch, Future[Any]]" = field(default_factory=dict)
    at_work: dict[Batch, float] = field(default_factory=dict)
    alone: Batch | None = None
    probe_deadline: float | None = None
    last_probe: float = field(default_factory=time.monotonic)

    @property
    def load(self) -> int:
        return len(self.calls) or int(self.alone is not None)

    def add(self, batch: Batch, answer: "Future[Any]", threads: int) -> None:
        self.calls[batch] = answer
        self._begin(threads)

    def drop(self, batch: Batch, threads: int) -> None:
        del self.calls[batch]
        self.at_work.pop(batch, None)
        if self.alone is batch:
            self.alone = None
        self._begin(threads)

    def _begin(self, threads: int) -> None:
        """As many of the oldest batches as there are threads are at work: now their time counts."""
        if len(self.at_work) < min(threads, len(self.calls)):
            fresh = next(batch for batch in self.calls if batch not in self.at_work)
            self.at_work[fresh] = time.monotonic() + fresh.job.timeout_s
