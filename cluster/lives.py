"""Actors that come back when they are lost, and go on as if nothing had happened.

    ranks = Lives(handles, timeout_s, replay)     replay() makes a new life what the old one was, by calls of its own
    metrics = ranks.guarded(action)               action() waits for answers; it is tried again in the next life

One is lost when its process is gone or does not answer in time; then all of them are started again, for what they do
together, they do from the same state.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from cluster.actor import Handle, Pending
from cluster.errors import LOST

log = logging.getLogger(__name__)

MAX_RESTARTS = 5  # in a row, without an answer in between
Result = TypeVar("Result")


class Lives:
    """count: how often they have been started again."""

    def __init__(self, handles: Sequence[Handle], timeout_s: float, replay: Callable[[], None]) -> None:
        self.handles, self.timeout_s, self.count = list(handles), timeout_s, 0
        self._replay, self._failures, self._lock = replay, 0, threading.Lock()

    def begin(self) -> None:
        """Waits until they are up, in a later life if the first is lost meanwhile."""
        try:
            self._start()
        except LOST as error:
            self._revive(0, error)

    def guarded(self, action: Callable[[], Result]) -> Result:
        """The action's result, after a restart for each time that it met a loss. After too many it raises that."""
        while True:
            life = self.count
            try:
                found = action()
            except LOST as error:
                self._revive(life, error)
            else:
                self._failures = 0
                return found

    def later(self, method: str, *args: Any) -> Callable[[], Any]:
        """Queues the call to the first one now; what is returned waits for the answer, of the next life if need be."""
        calls = {self.count: self.handles[0].call(method, *args)}

        def answer() -> Any:
            if (life := self.count) not in calls:
                calls[life] = self.handles[0].call(method, *args)
            return calls[life].result(self.timeout_s)

        return lambda: self.guarded(answer)

    def all(self, method: str, *args: Any) -> list[Pending]:
        """Queues the same call to each."""
        return [handle.call(method, *args) for handle in self.handles]

    def _revive(self, life: int, error: BaseException) -> None:
        """A new life, unless another thread has begun it. One fails, too, on a node that is lost and not yet known to
        be."""
        with self._lock:
            while life == self.count:
                self._failures += 1
                if self._failures > MAX_RESTARTS:
                    raise error
                names = ", ".join(handle.name for handle in self.handles)
                log.warning("%s: started again (%d of %d): %s", names, self._failures, MAX_RESTARTS, error)
                try:
                    for handle in self.handles:
                        handle.restart()
                    self._start()
                    self.count += 1
                except LOST as again:
                    error = again

    def _start(self) -> None:
        for handle in self.handles:
            handle.ready(self.timeout_s)
        self._replay()
