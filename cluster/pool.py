"""Equal workers that lose no work: an actor that dies or overruns is replaced and its items are done again elsewhere.

    with Pool(Judge, limits, method="judge", size=4, name="judges", lost=LOST) as pool:
        futures = [pool.submit(group, timeout_s=60) for group in groups]   # a list of items → a list of results
        verdicts = pool.map(items, batch_size=16, timeout_s=60)
        pool.resize(8)                                                     # at any time; size="auto" does it by itself

The worker's method takes a list of items and returns as many results, in order. An item that was at work in two
deaths (or overruns) is given up: its result is `lost`, `pool.lost_items` counts it, and with `quarantine` it is put on
file and never sent again. After the first death its batch is taken apart and each item travels alone, to a worker that
has just been seen alive, so that neither a poisonous neighbour nor a lost node costs an innocent item its second
chance. An exception that the method raises is a bug, not a lost item: the future raises it.

The thread that does all this is cluster/supervisor.py; how far it carries is measured in cluster/scaling.md.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any, Literal

from cluster.actor import REPORT_EVERY_S, recipe
from cluster.autoscale import Follower
from cluster.batches import Batch, Job
from cluster.errors import ClusterError, WaitTimeout
from cluster.fit import Bundle
from cluster.quarantine import Quarantine
from cluster.resources import free_slots, live_node_ids, require
from cluster.supervisor import Supervisor, Terms

log = logging.getLogger(__name__)

SETTLE_S = 30.0  # a worker that is on no node after this has found no room


class Pool:
    """Supervised actors of class `cls`, fed from one queue."""

    def __init__(
        self,
        cls: type,
        *args: Any,
        method: str,
        size: int | Literal["auto"],
        name: str,
        lost: Any = None,
        num_cpus: float = 1,
        env: Mapping[str, str] | None = None,
        start_timeout_s: float = 120.0,
        max_size: int = 256,
        quarantine: Path | None = None,
        key: Callable[[Any], str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Starts the actors and returns at once; work queues until they are up.

        Args:
            method: name of the worker's method, `method(items: list) -> list` of the same length.
            size: number of workers; "auto" is one per `num_cpus` free CPU slots of the cluster, looked at again every
                few seconds, at least 1 and at most `max_size`. Start what else needs slots before such a pool.
            lost: the result of an item that was given up.
            start_timeout_s: bound on building one worker.
            quarantine: file of the items that were given up, written and read by `key(item)`; an item that is on file,
                from an earlier run too, is `lost` at once, and `pool.quarantined` counts it.

        Raises:
            ResourcesMissing: no node could ever hold one worker.
            ClusterError: a size below 1, a quarantine without key, a damaged quarantine file.
        """
        self.name = name
        self._check(size, num_cpus, quarantine, key)
        require([Bundle(name, 1, num_cpus)])
        self._start_timeout_s, self._num_cpus, self._max_size, self._key = start_timeout_s, num_cpus, max_size, key
        self._longest_s = 0.0
        self._supervisor = Supervisor(
            recipe(cls, *args, num_cpus=num_cpus, env=env, **kwargs),
            Terms(name, method, lost, start_timeout_s),
            Quarantine(quarantine) if quarantine else None,
        )
        self._supervisor.start(self._bounded(free_slots(num_cpus)) if size == "auto" else size)
        self._follower = Follower(f"pool {name}", self._room, self.resize)
        if size == "auto":
            self._follower.start()

    def _check(self, size: int | str, num_cpus: float, quarantine: Path | None, key: object) -> None:
        if size != "auto" and (isinstance(size, str) or size < 1):
            raise ClusterError(f'pool {self.name} needs at least 1 worker or size="auto", got size={size!r}')
        if size == "auto" and num_cpus <= 0:
            raise ClusterError(f'pool {self.name}: size="auto" divides free CPUs by num_cpus, got num_cpus={num_cpus}')
        if quarantine and key is None:
            raise ClusterError(f"pool {self.name}: a quarantine file needs key=, a function from an item to its name")

    @property
    def size(self) -> int:
        """Workers wanted: those that are up, starting, or looking for room."""
        return self._supervisor.size

    @property
    def restarts(self) -> int:
        """Workers that died or were ended, and were replaced or let go."""
        return self._supervisor.restarts

    @property
    def lost_items(self) -> int:
        """Items given up in this pool."""
        return self._supervisor.lost_items

    @property
    def quarantined(self) -> int:
        """Items not sent because they are on the quarantine's file."""
        return self._supervisor.quarantined

    def submit(self, items: Sequence[Any], timeout_s: float) -> "futures.Future[list[Any]]":
        """One batch for one worker. `timeout_s` bounds each attempt from the moment that a worker begins it.

        The future gives results in the order of `items`; it raises what the method raised, or ClusterError when the
        pool cannot go on. At worst it takes the wait for a worker plus MAX_STRIKES attempts of each item.
        """
        job = Job.of(items, timeout_s)
        if not items:
            job.future.set_result([])
            return job.future
        keys = [self._key(item) for item in items] if self._key and self._supervisor.quarantine is not None else []
        self._longest_s = max(self._longest_s, timeout_s)
        self._supervisor.accept(Batch(job, list(range(len(items))), list(items), keys))
        return job.future

    def map(self, items: Sequence[Any], batch_size: int, timeout_s: float) -> list[Any]:
        """All results in order; `timeout_s` bounds each attempt at a batch. Waits as `gather` does."""
        parts = [items[start : start + batch_size] for start in range(0, len(items), batch_size)]
        results = self.gather([self.submit(part, timeout_s) for part in parts])
        return [result for part in results for result in part]

    def gather(self, jobs: "Sequence[futures.Future[list[Any]]]") -> list[list[Any]]:
        """The results of several submits, in order; says every 30 s what it waits for.

        Raises:
            WaitTimeout: the pool has not moved (nothing was answered, ended or started) for longer than its longest
                attempt and a start together, which its own deadlines should have made impossible.
        """
        since = said = time.monotonic()
        for done, job in enumerate(jobs):
            while not job.done() and futures.wait([job], timeout=1.0).not_done:
                self._require_movement(since)
                if time.monotonic() - said >= REPORT_EVERY_S:
                    said = time.monotonic()
                    what = f"pool {self.name} ({done} of {len(jobs)} parts done)"
                    log.info("waiting %.0f s for %s: %s", said - since, what, self.describe())
        return [job.result(timeout=0) for job in jobs]

    def _require_movement(self, since: float) -> None:
        still_s = time.monotonic() - max(since, self._supervisor.moved)
        if still_s > 2 * REPORT_EVERY_S + self._start_timeout_s + self._longest_s:
            raise WaitTimeout(f"pool {self.name} has not moved for {still_s:.0f} s: {self.describe()}")

    def resize(self, size: int) -> None:
        """Grows or shrinks to `size` workers, from any thread, at once: a new worker takes work when it is up, a
        leaving one ends when it has done what it was given."""
        if size < 1:
            raise ClusterError(f"pool {self.name} needs at least 1 worker, got resize({size})")
        self._supervisor.resize(size)

    def describe(self) -> str:
        """Queue depth and workers, for messages."""
        return self._supervisor.describe()

    def close(self) -> None:
        """Ends the workers; futures still open raise ClusterError."""
        self._follower.stop()
        self._supervisor.close()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _room(self) -> int | None:
        """How many workers the cluster could hold; None while some are still finding their place."""
        alive, now = live_node_ids(), time.monotonic()
        workers = self._supervisor.workers()
        placed = [w for w in workers if (process := w.handle.process()) and process.node_id in alive]
        if any(now - w.started < SETTLE_S for w in workers if w not in placed):
            return None
        return self._bounded(len(placed) + free_slots(self._num_cpus))

    def _bounded(self, size: int) -> int:
        return max(1, min(size, self._max_size))
