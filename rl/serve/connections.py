"""Connections: so many at once, and none that says nothing for long. Nobody is locked out by those who only connect.

A connection that has not sent a whole request is closed after SILENT_S, and makes room for a new one when there are
MOST: the oldest goes first.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 400
SILENT_S = 15.0
_FILES_OF_OURS = 200  # that the engine, the sandboxes and the rest hold


class Connection(H11Protocol):
    """uvicorn's, with a clock that runs while the other side owes something."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        _make_room(self.connections)
        super().connection_made(transport)
        self._since = self.loop.time()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._since = self.loop.time()
        super().on_response_complete()

    @property
    def owes(self) -> bool:
        """Whether a request, or the rest of one, is still to come."""
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def _watch(self) -> None:
        left = self._since + SILENT_S - self.loop.time()
        if self.owes and left <= 0 and self.conn.their_state is h11.IDLE:
            self.transport.close()
        else:
            self._timer = self.loop.call_later(max(left, 1.0), self._watch)


def _make_room(connections: Any) -> None:
    silent = [one for one in connections if isinstance(one, Connection) and one.owes]
    if len(connections) >= MOST and silent:
        oldest = min(silent, key=lambda one: one._since)
        oldest.transport.abort()
        connections.discard(oldest)


def allow_files() -> None:
    """As many open files as MOST connections need, where the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + _FILES_OF_OURS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
