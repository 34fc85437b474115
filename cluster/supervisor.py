"""The thread behind a Pool: feeds workers, watches deadlines, replaces the dead, grows and shrinks.

Everything happens in this one thread; other threads only put functions into its queue of events. A batch costs it one
Ray call and one event. A worker has one batch at a time, so that its death or its overrun is that batch's.
"""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cluster.actor import REPORT_EVERY_S, Handle, settle
from cluster.batches import Batch, Job
from cluster.errors import ActorDied, ClusterError
from cluster.quarantine import Quarantine

log = logging.getLogger(__name__)

MAX_STRIKES = 2
MAX_FAILED_STARTS = 3  # per worker, in a row, without any answer in between
PROBE_EVERY_S = 10.0  # an idle worker is asked whether it lives
PROBE_TIMEOUT_S = 60.0
_TICK_S = 0.5  # how often deadlines are looked at
_EVENTS_AT_A_TIME = 64  # between two looks at who is free


@dataclass(frozen=True)
class Terms:
    """What a pool asks of its workers; see Pool."""

    name: str
    method: str
    lost: Any
    start_timeout_s: float


@dataclass(eq=False)
class Worker:
    """One actor. A replaced worker is a new object, so a late answer of the old one is recognised and dropped.

    batch: what it has; answer: None while the batch, which must travel alone, waits for a sign of life.
    """

    handle: Handle
    index: int
    started: float = field(default_factory=time.monotonic)
    is_ready: bool = False
    is_leaving: bool = False
    batch: Batch | None = None
    answer: "Future[Any] | None" = None
    deadline: float = 0.0
    probe_deadline: float | None = None
    last_probe: float = field(default_factory=time.monotonic)


class Supervisor:
    """The public methods may be called from any thread."""

    def __init__(self, begin: Callable[[str], Handle], terms: Terms, quarantine: Quarantine | None) -> None:
        """begin: starts an actor under a name and returns at once."""
        self.terms, self.quarantine = terms, quarantine
        self.size = self.lost_items = self.quarantined = self.restarts = 0
        self.moved = time.monotonic()  # when last anything was answered, ended or started
        self._begin = begin
        self._failed_starts = 0
        self._last_check = self._last_word = time.monotonic()
        self._broken: BaseException | None = None
        self._waiting: deque[Batch] = deque()
        self._struck: deque[Batch] = deque()  # to travel alone, before all others
        self._workers: dict[int, Worker] = {}
        self._events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"pool {terms.name}", daemon=True)

    def start(self, size: int) -> None:
        """Called once; raises what Ray raises when it cannot even ask for an actor."""
        self._resize(size)
        self._thread.start()

    def accept(self, batch: Batch) -> None:
        self._events.put(partial(self._accept, batch))

    def resize(self, size: int) -> None:
        self._events.put(partial(self._resize, size))

    def workers(self) -> list[Worker]:
        return list(self._workers.values())

    def describe(self) -> str:
        """Queue depth and workers, for messages."""
        workers = self.workers()
        leaving = sum(worker.is_leaving for worker in workers)
        return (
            f"{len(self._waiting) + len(self._struck)} batches waiting, "
            f"{sum(w.batch is not None for w in workers)} at workers, "
            f"{sum(w.is_ready for w in workers)} of {len(workers)} workers up, {leaving} leaving, "
            f"{self.restarts} restarted, {self.lost_items} items lost, {self.quarantined} quarantined"
        )

    def close(self) -> None:
        """Ends the workers; open futures raise ClusterError."""
        if self._thread.is_alive():
            self._events.put(None)
            self._thread.join()

    # Everything below runs in the supervisor's thread alone (and in `start`, before it runs).

    def _run(self) -> None:
        while self._take_events():
            self._guard(self._look_round)
            self._guard(self._dispatch)
        self._break(ClusterError(f"pool {self.terms.name} was closed before this work was done"))
        for worker in self.workers():
            worker.handle.kill()

    def _take_events(self) -> bool:
        """Waits for a tick at most; False when the pool is to end."""
        for turn in range(_EVENTS_AT_A_TIME):
            try:
                event = self._events.get(timeout=0 if turn else _TICK_S)
            except queue.Empty:
                break
            if event is None:
                return False
            self._guard(event)
        return True

    def _guard(self, act: Callable[[], None]) -> None:
        """A bug or a lost cluster must reach the callers, not die with this thread."""
        try:
            act()
        except Exception as error:
            self._break(error)

    # Work comes in and goes out.

    def _accept(self, batch: Batch) -> None:
        if self._broken is not None:
            batch.job.fail(self._broken)
        elif left := self._sift(batch):
            self._waiting.append(left)

    def _sift(self, batch: Batch) -> Batch | None:
        """The batch without items that are in quarantine, which are answered at once; None when nothing is left."""
        if not self.quarantine or not batch.keys:
            return batch
        known = [place for place, key in enumerate(batch.keys) if key in self.quarantine]
        if not known:
            return batch
        self.quarantined += len(known)
        batch.job.deliver([batch.slots[place] for place in known], [self.terms.lost] * len(known))
        left = [place for place in range(len(batch.items)) if place not in set(known)]
        return batch.pick(left, batch.strikes) if left else None

    def _dispatch(self) -> None:
        """Struck batches first, each to a worker that proves to be alive."""
        free = deque(w for w in self._workers.values() if w.is_ready and not w.is_leaving and w.batch is None)
        while self._struck and free:
            worker = free.popleft()
            worker.batch = self._struck.popleft()
            self._probe(worker)
        while self._waiting and free:
            self._send(free.popleft(), self._waiting.popleft())

    def _send(self, worker: Worker, batch: Batch) -> None:
        worker.batch, worker.answer = batch, worker.handle.send(self.terms.method, batch.items)
        worker.deadline = time.monotonic() + batch.job.timeout_s
        worker.answer.add_done_callback(lambda done: self._events.put(partial(self._on_done, worker, batch, done)))

    def _on_done(self, worker: Worker, batch: Batch, answer: "Future[Any]") -> None:
        if not self._is_current(worker) or batch is not worker.batch:
            return
        what = f"{worker.handle.name}.{self.terms.method}"
        try:
            results = settle(answer, worker.handle, what)
        except ActorDied as error:
            self._replace(worker, error)
            return
        except Exception as error:
            self._fail(batch.job, error)
        else:
            self._deliver(batch, results, what)
        self.moved, self._failed_starts = time.monotonic(), 0
        worker.batch = worker.answer = None
        if worker.is_leaving:
            self._dismiss(worker)

    def _deliver(self, batch: Batch, results: Any, what: str) -> None:
        if not isinstance(results, list) or len(results) != len(batch.items):
            given = f"{len(results)} results" if isinstance(results, list) else type(results).__name__
            self._fail(batch.job, TypeError(f"{what} must return a list of {len(batch.items)} results, got {given}"))
        else:
            batch.job.deliver(batch.slots, results)

    def _fail(self, job: Job, error: BaseException) -> None:
        self._waiting = deque(batch for batch in self._waiting if batch.job is not job)
        self._struck = deque(batch for batch in self._struck if batch.job is not job)
        job.fail(error)

    def _break(self, error: BaseException) -> None:
        """The pool cannot go on: every open future raises `error`, and so does later work."""
        self._broken = self._broken or error
        taken = [worker.batch for worker in self._workers.values() if worker.batch]
        for batch in [*self._waiting, *self._struck, *taken]:
            batch.job.fail(error)
        self._waiting.clear()
        self._struck.clear()

    # Workers come, die and go.

    def _resize(self, size: int) -> None:
        if size == self.size or self._broken:
            return
        if self.size:
            log.info("pool %s goes from %d to %d workers", self.terms.name, self.size, size)
        self.size = size
        by_worth = sorted(self._workers.values(), key=lambda w: (w.is_ready, w.batch is not None))
        for place, worker in enumerate(by_worth):
            worker.is_leaving = place < len(by_worth) - size
            if worker.is_leaving and worker.batch is None:
                self._dismiss(worker)
        for index in [i for i in range(size) if i not in self._workers][: size - len(self._workers)]:
            self._watch(Worker(self._begin(f"{self.terms.name}-{index}"), index))

    def _dismiss(self, worker: Worker) -> None:
        worker.handle.kill()
        del self._workers[worker.index]

    def _watch(self, worker: Worker) -> None:
        self._workers[worker.index] = worker
        built = worker.handle.built.ref.future()
        built.add_done_callback(lambda done: self._events.put(partial(self._on_ready, worker, done)))

    def _on_ready(self, worker: Worker, answer: "Future[Any]") -> None:
        if not self._is_current(worker):
            return
        try:
            settle(answer, worker.handle, f"starting {worker.handle.name}")
        except ActorDied as error:
            self._replace(worker, error)
        else:  # its constructor raises? So would the next one: the pool breaks
            self.moved = time.monotonic()
            worker.is_ready = True

    def _probe(self, worker: Worker) -> None:
        if worker.probe_deadline is None:
            worker.last_probe = time.monotonic()
            worker.probe_deadline = worker.last_probe + PROBE_TIMEOUT_S
            answer = worker.handle.probe()
            answer.add_done_callback(lambda done: self._events.put(partial(self._on_alive, worker, done)))

    def _on_alive(self, worker: Worker, answer: "Future[Any]") -> None:
        if not self._is_current(worker):
            return
        worker.probe_deadline = None
        try:
            settle(answer, worker.handle, f"a sign of life of {worker.handle.name}")
        except ActorDied as error:
            self._replace(worker, error)
        else:
            if worker.batch and worker.answer is None:
                self._send(worker, worker.batch)

    def _replace(self, worker: Worker, reason: ActorDied) -> None:
        """A worker that died or overran: its work goes back, and another takes its place."""
        log.warning("pool %s replaces %s: %s", self.terms.name, worker.handle.name, reason)
        self.moved = time.monotonic()
        self.restarts += 1
        self._failed_starts += worker.answer is None
        self._take_back(worker, reason)
        if worker.is_leaving:
            self._dismiss(worker)
        elif self._failed_starts >= MAX_FAILED_STARTS * len(self._workers):
            worker.handle.kill()
            worker.is_ready = False
            self._break(reason)
        else:
            worker.handle.restart()
            self._watch(Worker(worker.handle, worker.index))

    def _take_back(self, worker: Worker, reason: ActorDied) -> None:
        """An answer that came before the end counts; what was at work is struck, what was not sent waits again."""
        batch, answer = worker.batch, worker.answer
        worker.batch = worker.answer = None
        if batch and answer is None:
            self._struck.appendleft(batch)
        elif batch and answer and answer.done() and not answer.exception():
            self._deliver(batch, answer.result(), worker.handle.name)
        elif batch:
            self._strike(batch, reason, worker)

    def _strike(self, batch: Batch, reason: ActorDied, worker: Worker) -> None:
        if batch.strikes + 1 < MAX_STRIKES:
            self._struck.extend(batch.apart())
            return
        self.lost_items += len(batch.items)
        log.warning("pool %s gives up %d item(s) after %d strikes", self.terms.name, len(batch.items), MAX_STRIKES)
        batch.job.deliver(batch.slots, [self.terms.lost] * len(batch.items))
        if self.quarantine is not None:
            for key in batch.keys:
                self.quarantine.add(key, str(reason).splitlines()[0], worker.handle.name)
            self._waiting = deque(left for other in self._waiting if (left := self._sift(other)))
            self._struck = deque(left for other in self._struck if (left := self._sift(other)))

    def _is_current(self, worker: Worker) -> bool:
        return self._workers.get(worker.index) is worker

    # Once a tick.

    def _look_round(self) -> None:
        now = time.monotonic()
        if self._broken or now < self._last_check + _TICK_S:
            return
        self._last_check = now
        for worker in self.workers():
            self._check_times(worker, now)
        late = [w for w in self._workers.values() if not w.is_ready and now > w.started + self.terms.start_timeout_s]
        if late and not any(worker.is_ready for worker in self._workers.values()):
            late[0].handle.ready(timeout_s=0.1)  # raises, and says what is missing: the pool breaks
        self._say_who_is_missing(now)

    def _check_times(self, worker: Worker, now: float) -> None:
        name, answer = worker.handle.name, worker.answer
        if worker.batch and answer and now > worker.deadline and not answer.done():
            what = f"{name}.{self.terms.method} overran {worker.batch.job.timeout_s:g} s"
            self._replace(worker, ActorDied(f"{what} and was ended"))
        elif worker.probe_deadline and now > worker.probe_deadline and answer is None:
            self._replace(worker, ActorDied(f"{name} gave no sign of life in {PROBE_TIMEOUT_S:g} s and was ended"))
        elif worker.is_ready and worker.batch is None and now > worker.last_probe + PROBE_EVERY_S:
            self._probe(worker)

    def _say_who_is_missing(self, now: float) -> None:
        slow = [w for w in self._workers.values() if not w.is_ready and now > w.started + REPORT_EVERY_S]
        if slow and now > self._last_word + REPORT_EVERY_S:
            self._last_word = now
            names = ", ".join(worker.handle.name for worker in slow)
            rest = len(self._workers) - len(slow)
            log.warning("pool %s goes on with %d workers: no room yet, or not up yet: %s", self.terms.name, rest, names)
