"""An iterator whose items are made ahead of their use, in a thread of their own."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

Item = TypeVar("Item")
REPORT_EVERY_S = 30.0


class _End:
    """Nothing more comes; error: what ended it early."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Background(Generic[Item]):
    """Iterates over what `items` yields, in order; an exception there is raised here, in its place.

    what: named in the messages of a long wait. Whatever `items` waits for has deadlines of its own.
    """

    def __init__(self, items: Iterable[Item], what: str) -> None:
        self._what = what
        self._queue: queue.SimpleQueue[Item | _End] = queue.SimpleQueue()
        threading.Thread(target=self._make, args=(items,), name=what, daemon=True).start()

    def __iter__(self) -> Iterator[Item]:
        while not isinstance(item := self._next(), _End):
            yield item
        if item.error is not None:
            raise item.error

    def _next(self) -> Item | _End:
        began = time.monotonic()
        while True:
            try:
                return self._queue.get(timeout=REPORT_EVERY_S)
            except queue.Empty:
                log.info("waiting %.0f s for %s", time.monotonic() - began, self._what)

    def _make(self, items: Iterable[Item]) -> None:
        try:
            for item in items:
                self._queue.put(item)
        except BaseException as error:
            self._queue.put(_End(error))
        else:
            self._queue.put(_End())
