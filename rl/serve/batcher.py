"""One engine for many threads: whoever waits is computed together with all others that wait.

A thread of its own steps the engine. Questions join between two steps, so that the engine batches them; an answer is
handed out when it is whole. A caller that gives up takes its question out of the batch.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from contextlib import suppress

from sft.policy.generator import Generator, Heard
from sft.policy.sampling import Sample, Sampling

log = logging.getLogger(__name__)
PATIENCE_S = 120.0
Samples = list[list[Sample]]


class Busy(RuntimeError):
    """More wait than may, or the answer did not come in time: ask again later."""


class EngineLost(RuntimeError):
    """The engine has failed, and answers nothing from now on."""


class Batcher:
    """`sample` as a Generator has it, safe for many threads. most: callers that may wait at once, others are Busy."""

    def __init__(self, generator: Generator, most: int = 256, patience_s: float = PATIENCE_S) -> None:
        self._generator, self._most, self._patience_s = generator, most, patience_s
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._numbers = itertools.count(1)
        self._waiting: dict[str, Future[Samples]] = {}
        self._asked = 0
        self._counting = threading.Lock()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return self._asked

    def sample(
        self,
        prompts: Sequence[list[int]],
        sampling: Sampling,
        step: int | None,
        numbers: Sequence[int] | None = None,
        grammars: Sequence[str] | None = None,
        heard: Heard | None = None,
    ) -> Samples:
        """As `Generator.sample`; heard: told the ids so far, of one answer to one prompt. Busy, EngineLost."""
        ticket, answer = str(next(self._numbers)), Future[Samples]()

        def submit() -> None:
            if heard is None:
                self._generator.submit(ticket, prompts, sampling, step, numbers, grammars=grammars)
            else:
                self._generator.stream(ticket, prompts[0], sampling, step, heard, *(grammars or ()))

        with self._counting:
            if self._asked >= self._most:
                raise Busy(f"{self._most} questions wait already; ask again in a moment")
            self._asked += 1
        try:
            self._inbox.put(lambda: self._join(ticket, answer, submit))
            if self.failure is not None:
                raise EngineLost("the engine has failed; the server must be started again") from self.failure
            return answer.result(self._patience_s)
        except Late:
            raise Busy(f"no answer came within {self._patience_s:.0f} s") from None
        finally:
            self._inbox.put(lambda: self._leave(ticket))
            with self._counting:
                self._asked -= 1

    def close(self) -> None:
        """Ends the thread; those that wait are told that the engine is lost."""
        self._inbox.put(None)
        self._thread.join(timeout=30)

    def _work(self) -> None:
        try:
            while self._take_in():
                for ticket in self._generator.advance() if self._waiting else ():
                    found = self._generator.take(ticket)
                    if answer := self._waiting.pop(ticket, None):
                        answer.set_result(found)
            raise EngineLost("the server stops")
        except BaseException as error:
            self.failure = error
            if not isinstance(error, EngineLost):
                log.exception("the engine has failed")
            with suppress(queue.Empty):
                while True:
                    (self._inbox.get(block=False) or _nothing)()
            for answer in self._waiting.values():
                answer.set_exception(EngineLost(f"the engine has failed: {error}"))
            self._waiting.clear()

    def _take_in(self) -> bool:
        """All that has come meanwhile; waits while there is nothing to compute. False: the end."""
        while True:
            try:
                act = self._inbox.get(block=not self._waiting)
            except queue.Empty:
                return True
            if act is None:
                return False
            act()

    def _join(self, ticket: str, answer: Future[Samples], submit: Callable[[], None]) -> None:
        if self.failure is not None:
            answer.set_exception(EngineLost("the engine has failed"))
            return
        try:
            submit()
        except Exception as error:  # of this question; the others go on
            answer.set_exception(error)
        else:
            self._waiting[ticket] = answer

    def _leave(self, ticket: str) -> None:
        if self._waiting.pop(ticket, None) is not None and self.failure is None:
            self._generator.cancel(ticket)


def _nothing() -> None:
    pass
