"""Equal workers that lose no work: an actor that dies or overruns is replaced and its items are done again elsewhere.

    with Pool(Judge, limits, method="judge", size=4, name="rewards", lost=LOST) as pool:
        futures = [pool.submit(group, timeout_s=60) for group in groups]   # a list of items → a list of results
        verdicts = pool.map(items, batch_size=16, timeout_s=60)

The worker's method takes a list of items and returns as many results, in order. An item that was at work in two
deaths (or overruns) is given up: its result is `lost`, and `pool.lost_items` counts it. After the first death its
batch is taken apart, so that a poisonous item does not drag its neighbours down. An exception that the method raises
is a bug, not a lost item: the future raises it.
"""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import ray

from cluster.actor import Handle, fetch, spawn
from cluster.errors import ActorDied, ClusterError

log = logging.getLogger(__name__)

MAX_STRIKES = 2
MAX_FAILED_STARTS = 3  # in a row, without any answer in between
_TICK_S = 0.5  # how often deadlines are looked at


@dataclass(eq=False)
class _Job:
    """One `submit`: results arrive slot by slot, the future completes with the last one."""

    future: "Future[list[Any]]"
    results: list[Any]
    open_slots: set[int]
    timeout_s: float


@dataclass(eq=False)
class _Batch:
    """Items of one job that travel together; `strikes` is how many workers they have cost."""

    job: _Job
    slots: list[int]
    items: list[Any]
    strikes: int = 0


@dataclass(eq=False)
class _Worker:
    """One actor. A replaced worker is a new object, so a late answer of the old one is recognised and dropped."""

    handle: Handle
    index: int
    started: float = field(default_factory=time.monotonic)
    is_ready: bool = False
    batch: _Batch | None = None
    deadline: float = 0.0


class Pool:
    """`size` supervised actors of class `cls`, fed from one queue."""

    def __init__(
        self,
        cls: type,
        *args: Any,
        method: str,
        size: int,
        name: str,
        lost: Any = None,
        num_cpus: float = 1,
        env: Mapping[str, str] | None = None,
        start_timeout_s: float = 120.0,
        **kwargs: Any,
    ) -> None:
        """Starts the actors and returns at once; work queues until they are up.

        Args:
            method: name of the worker's method, `method(items: list) -> list` of the same length.
            lost: the result of an item that was given up.
            start_timeout_s: bound on building one worker.

        Raises:
            ResourcesMissing: no node could ever hold one worker.
        """
        if size < 1:
            raise ClusterError(f"pool {name} needs at least 1 worker, got size={size}")
        self.name = name
        self.lost_items = 0
        self.restarts = 0
        self._method, self._lost, self._start_timeout_s = method, lost, start_timeout_s
        self._failed_starts = 0
        self._broken: BaseException | None = None
        self._waiting: deque[_Batch] = deque()
        self._workers: dict[int, _Worker] = {}
        self._events: queue.SimpleQueue[tuple[str, Any, Any]] = queue.SimpleQueue()
        for index in range(size):
            handle = spawn(cls, *args, name=f"{name}-{index}", num_cpus=num_cpus, env=env, **kwargs)
            self._watch_start(_Worker(handle, index))
        self._supervisor = threading.Thread(target=self._supervise, name=f"pool {name}", daemon=True)
        self._supervisor.start()

    def submit(self, items: Sequence[Any], timeout_s: float) -> "Future[list[Any]]":
        """One batch for one worker. `timeout_s` bounds each attempt from the moment a worker takes it.

        The future gives results in the order of `items`; it raises what the method raised, or ClusterError when the
        pool cannot go on. At worst it takes the wait for a worker plus MAX_STRIKES attempts of each item.
        """
        job = _Job(Future(), [None] * len(items), set(range(len(items))), timeout_s)
        if not items:
            job.future.set_result([])
            return job.future
        self._events.put(("submit", _Batch(job, list(range(len(items))), list(items)), None))
        return job.future

    def map(self, items: Sequence[Any], batch_size: int, timeout_s: float) -> list[Any]:
        """All results in order; `timeout_s` bounds each attempt at a batch."""
        parts = [items[start : start + batch_size] for start in range(0, len(items), batch_size)]
        futures = [self.submit(part, timeout_s) for part in parts]
        return [result for future in futures for result in future.result()]

    def close(self) -> None:
        """Ends the workers; futures still open raise ClusterError."""
        if self._supervisor.is_alive():
            self._events.put(("close", None, None))
            self._supervisor.join()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Everything below runs in the supervisor's thread alone (and in __init__, before it starts).

    def _supervise(self) -> None:
        last_report = time.monotonic()
        while True:
            try:
                kind, subject, answer = self._events.get(timeout=_TICK_S)
            except queue.Empty:
                kind, subject, answer = "tick", None, None
            if kind == "close":
                break
            try:
                self._handle_event(kind, subject, answer)
                self._check_deadlines()
                self._dispatch()
            except Exception as error:  # a bug or a lost cluster must reach the callers, not die with this thread
                self._break(error)
            if not (self._waiting or self._busy()):
                last_report = time.monotonic()
            elif time.monotonic() - last_report > 30:
                last_report = time.monotonic()
                log.info("pool %s: %s", self.name, self.describe())
        self._break(ClusterError(f"pool {self.name} was closed before this work was done"))
        for worker in self._workers.values():
            worker.handle.kill()

    def describe(self) -> str:
        """Queue depth and workers, for messages."""
        ready = sum(worker.is_ready for worker in self._workers.values())
        return (
            f"{len(self._waiting)} batches waiting, {len(self._busy())} at work, "
            f"{ready} of {len(self._workers)} workers up, {self.restarts} restarted, {self.lost_items} items lost"
        )

    def _handle_event(self, kind: str, subject: Any, answer: Any) -> None:
        if kind == "submit":
            self._accept(subject)
        elif kind == "ready" and self._is_current(subject):
            self._on_ready(subject, answer)
        elif kind == "done" and self._is_current(subject):
            self._on_done(subject, answer)

    def _accept(self, batch: _Batch) -> None:
        if self._broken is not None:
            batch.job.future.set_exception(self._broken)
        else:
            self._waiting.append(batch)

    def _watch_start(self, worker: _Worker) -> None:
        self._workers[worker.index] = worker
        ref = worker.handle.built.ref
        ref.future().add_done_callback(lambda _: self._events.put(("ready", worker, ref)))

    def _on_ready(self, worker: _Worker, ref: ray.ObjectRef) -> None:
        try:
            fetch(ref, worker.handle, f"starting {worker.handle.name}", timeout_s=30)
        except ActorDied as error:
            self._restart(worker, error)
        except Exception as error:
            self._break(error)  # its constructor raises: so would the next one
        else:
            worker.is_ready = True

    def _dispatch(self) -> None:
        idle = [w for w in self._workers.values() if w.is_ready and w.batch is None]
        for worker in idle[: len(self._waiting)]:
            batch = self._waiting.popleft()
            worker.batch, worker.deadline = batch, time.monotonic() + batch.job.timeout_s
            self._send(worker, batch)

    def _send(self, worker: _Worker, batch: _Batch) -> None:
        ref = worker.handle.call(self._method, batch.items).ref
        ref.future().add_done_callback(lambda _: self._events.put(("done", worker, ref)))

    def _on_done(self, worker: _Worker, ref: ray.ObjectRef) -> None:
        batch = worker.batch
        assert batch is not None, "a worker answers only what it was given"
        what = f"{worker.handle.name}.{self._method}"
        try:
            results = fetch(ref, worker.handle, what, timeout_s=30)
        except ActorDied as error:
            self._restart(worker, error)
            return
        except Exception as error:
            worker.batch = None
            self._fail(batch.job, error)
            return
        worker.batch, self._failed_starts = None, 0
        self._deliver(batch, results, what)

    def _deliver(self, batch: _Batch, results: Any, what: str) -> None:
        if not isinstance(results, list) or len(results) != len(batch.items):
            given = f"{len(results)} results" if isinstance(results, list) else type(results).__name__
            self._fail(batch.job, TypeError(f"{what} must return a list of {len(batch.items)} results, got {given}"))
            return
        for slot, result in zip(batch.slots, results, strict=True):
            batch.job.results[slot] = result
        batch.job.open_slots -= set(batch.slots)
        if not batch.job.open_slots and not batch.job.future.done():
            batch.job.future.set_result(batch.job.results)

    def _check_deadlines(self) -> None:
        if self._broken is not None:
            return
        now = time.monotonic()
        for worker in list(self._workers.values()):
            if worker.batch is not None and now > worker.deadline:
                name = f"{worker.handle.name}.{self._method}"
                self._restart(worker, ActorDied(f"{name} overran {worker.batch.job.timeout_s:g} s and was ended"))
            elif not worker.is_ready and now > worker.started + self._start_timeout_s:
                self._on_slow_start(worker)

    def _on_slow_start(self, worker: _Worker) -> None:
        """Without room for this one the others carry on; without any the pool says what is missing."""
        try:
            worker.handle.ready(timeout_s=0.1)
        except ClusterError as error:
            if not any(other.is_ready for other in self._workers.values()):
                self._break(error)
            log.warning("pool %s goes on without %s: %s", self.name, worker.handle.name, error)
            worker.started = time.monotonic()

    def _restart(self, worker: _Worker, reason: ActorDied) -> None:
        log.warning("pool %s replaces %s: %s", self.name, worker.handle.name, reason)
        self.restarts += 1
        batch, worker.batch, worker.is_ready = worker.batch, None, False
        if batch is not None:
            self._retry(batch)
        else:
            self._failed_starts += 1
        if self._failed_starts >= MAX_FAILED_STARTS * len(self._workers):
            worker.handle.kill()
            self._break(reason)
        else:
            worker.handle.restart()
            self._watch_start(_Worker(worker.handle, worker.index))

    def _retry(self, batch: _Batch) -> None:
        strikes = batch.strikes + 1
        if strikes >= MAX_STRIKES:
            self.lost_items += len(batch.items)
            log.warning("pool %s gives up %d item(s) after %d strikes", self.name, len(batch.items), strikes)
            self._deliver(batch, [self._lost] * len(batch.items), self.name)
            return
        alone = (
            _Batch(batch.job, [slot], [item], strikes) for slot, item in zip(batch.slots, batch.items, strict=True)
        )
        self._waiting.extendleft(reversed(list(alone)))

    def _fail(self, job: _Job, error: BaseException) -> None:
        self._waiting = deque(batch for batch in self._waiting if batch.job is not job)
        if not job.future.done():
            job.future.set_exception(error)

    def _break(self, error: BaseException) -> None:
        """The pool cannot go on: every open future raises `error`, and so does later work."""
        self._broken = self._broken or error
        for batch in [*self._waiting, *self._busy()]:
            if not batch.job.future.done():
                batch.job.future.set_exception(error)
        self._waiting.clear()

    def _busy(self) -> list[_Batch]:
        return [worker.batch for worker in self._workers.values() if worker.batch is not None]

    def _is_current(self, worker: _Worker) -> bool:
        return self._workers.get(worker.index) is worker
