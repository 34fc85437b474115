"""Keeps something as large as the cluster has room for: looks every few seconds, and acts when two looks agree."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

LOOK_EVERY_S = 4.0


class Follower:
    """A thread that calls `resize(n)` when `room()` has said n twice in a row.

    Free CPUs are old news by a second or so: one look alone would count a slot that an actor is just taking, or that a
    restarting one needs back.
    """

    def __init__(self, name: str, room: Callable[[], int | None], resize: Callable[[int], None]) -> None:
        """`room` gives None when nothing can be said now."""
        self._room, self._resize = room, resize
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """A look under way has no effect any more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def _follow(self) -> None:
        last: int | None = None
        while not self._ended.wait(LOOK_EVERY_S):
            try:
                now = self._room()
            except Exception as error:  # the control plane is away: later
                log.warning("%s cannot see the cluster now: %s", self._thread.name, error)
                now = None
            if now is not None and now == last and not self._ended.is_set():
                self._resize(now)
            last = now
