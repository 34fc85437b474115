"""Several sandboxes for many threads: each statement has one to itself while it runs."""

from __future__ import annotations

import queue
from collections.abc import Sequence

from evaluation.databases.sandbox import Execution, Limits, Request, Sandbox
from rl.serve.batcher import Busy

PATIENCE_S = 60.0


class Sandboxes:
    """`execute` as a Sandbox has it, safe for many threads. Busy: no sandbox came free in time."""

    def __init__(self, count: int, limits: Limits) -> None:
        self._all = [Sandbox(limits) for _ in range(count)]
        self._free: queue.LifoQueue[Sandbox] = queue.LifoQueue()
        for sandbox in self._all:
            self._free.put(sandbox)

    def execute(self, requests: Sequence[Request]) -> list[Execution]:
        if not requests:
            return []
        try:
            sandbox = self._free.get(timeout=PATIENCE_S)
        except queue.Empty:
            raise Busy(f"no query came to its turn within {PATIENCE_S:.0f} s") from None
        try:
            return sandbox.execute(requests)
        finally:
            self._free.put(sandbox)

    def close(self) -> None:
        for sandbox in self._all:
            sandbox.close()
