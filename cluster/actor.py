"""A plain class in a process of its own: spawn it, call its methods, wait for answers with a deadline.

    counter = spawn(Counter, start, name="counter", num_cpus=1, env={"OMP_NUM_THREADS": "2"})
    counter.ready(timeout_s=120)
    total = counter.call("add", 3).result(timeout_s=600)

The class knows nothing of Ray and is tested without it.
"""

import functools
import logging
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import RayError, RayTaskError

from cluster.errors import ActorDied, ResourcesMissing, WaitTimeout
from cluster.fit import Bundle
from cluster.places import Place
from cluster.resources import describe_free, require

log = logging.getLogger(__name__)

REPORT_EVERY_S = 30.0
_LOG_TAIL_LINES = 12


@dataclass(frozen=True)
class Process:
    """Where an actor lives."""

    pid: int
    node_id: str
    stderr: str  # path on that node


class _Shell:
    """What runs in the actor's process: builds the plain object at the first call and passes calls on to it.

    A failing constructor thus raises to the caller as itself instead of as Ray's account of a dead actor, and a
    process that has been placed is told apart from an object that has been built.
    """

    def __init__(self, recipe: bytes) -> None:
        self._recipe = recipe
        self._target: Any = None

    def _rollsql_process(self) -> Process:
        return Process(os.getpid(), ray.get_runtime_context().get_node_id(), os.path.realpath("/proc/self/fd/2"))

    def _rollsql_build(self) -> None:
        if self._target is None:
            cls, args, kwargs = cloudpickle.loads(self._recipe)
            self._target = cls(*args, **kwargs)

    def _rollsql_run(self, method: str, *args: Any, **kwargs: Any) -> Any:
        self._rollsql_build()
        return getattr(self._target, method)(*args, **kwargs)


class Pending:
    """The answer to one call, on its way."""

    def __init__(self, ref: ray.ObjectRef, handle: "Handle", what: str) -> None:
        self.ref = ref
        self._handle = handle
        self.what = what  # "generator.sample"
        self._since = time.monotonic()

    def done(self) -> bool:
        """True when `result` would return or raise at once."""
        return bool(ray.wait([self.ref], timeout=0, fetch_local=False)[0])

    def result(self, timeout_s: float) -> Any:
        """The method's return value; waits at most `timeout_s` seconds and says every 30 s what it waits for.

        Raises:
            WaitTimeout: no answer within `timeout_s`; the actor is left as it is.
            ActorDied: its process is gone.
            Exception: whatever the method raised, with the remote traceback as a note.
        """
        deadline = time.monotonic() + timeout_s
        while not ray.wait([self.ref], timeout=_until(deadline), fetch_local=False)[0]:
            if time.monotonic() >= deadline:
                raise WaitTimeout(self._timed_out(timeout_s))
            waited, why = time.monotonic() - self._since, self._handle.missing()
            log.info("waiting %.0f s for %s, deadline %.0f s%s", waited, self.what, timeout_s, why and f": {why}")
        return fetch(self.ref, self._handle, self.what, max(1.0, deadline - time.monotonic()))

    def _timed_out(self, timeout_s: float) -> str:
        handle = self._handle
        waited = max(timeout_s, time.monotonic() - self._since)
        return f"{self.what}: no answer in {waited:.3g} s ({handle.queued()} calls unanswered there; {handle.where()})"


class Handle:
    """One actor. `name` serves messages and process titles; it need not be unique."""

    def __init__(self, start: Callable[[], Any], request: Bundle) -> None:
        self.name = request.name
        self._start = start
        self._request = request
        self._begin()

    def _begin(self) -> None:
        self._actor = self._start()
        self._titled: dict[str, Any] = {}
        self._unanswered: list[ray.ObjectRef] = []
        self._process_ref = self._actor._rollsql_process.remote()  # answered as soon as it is placed
        self.built = Pending(self._actor._rollsql_build.remote(), self, f"starting {self.name}")

    def call(self, method: str, *args: Any, **kwargs: Any) -> Pending:
        """Queues `method(*args, **kwargs)`; calls to one actor run one after another, in order."""
        ref = self._runner(method).remote(method, *args, **kwargs)
        self._unanswered = [*self._still_waiting(), ref]
        return Pending(ref, self, f"{self.name}.{method}")

    def send(self, method: str, *args: Any) -> "Future[Any]":
        """`call` for many small calls: the future completes in Ray's own thread (read it with `settle`), and `queued`
        does not count it."""
        return self._runner(method).remote(method, *args).future()

    def probe(self) -> "Future[Any]":
        """Completes when the process lives and has nothing else to do."""
        return self._actor._rollsql_process.remote().future()

    def _runner(self, method: str) -> Any:
        """The remote method under the title that `ps` shows while it runs; making one costs as much as a call."""
        if method not in self._titled:
            self._titled[method] = self._actor._rollsql_run.options(name=f"{self.name}.{method}")
        return self._titled[method]

    def ready(self, timeout_s: float) -> Process:
        """Waits until the object is built.

        Raises:
            ResourcesMissing: the cluster had no room for the actor in that time.
            WaitTimeout: it was placed, but its constructor has not returned.
            Exception: whatever the constructor (or the import of its module) raised.
        """
        try:
            self.built.result(timeout_s)
        except WaitTimeout as error:
            if not (why := self.missing()):
                raise
            raise ResourcesMissing(f"{error}\nIt is {why}.") from None
        return fetch(self._process_ref, self, f"starting {self.name}", timeout_s=30)

    def kill(self) -> None:
        """Ends the process at once, with its children; queued calls fail with ActorDied."""
        ray.kill(self._actor, no_restart=True)

    def restart(self) -> None:
        """Ends the process and builds the object anew in another; what it had learned since is lost."""
        self.kill()
        self._begin()

    def queued(self) -> int:
        """Calls sent and not answered."""
        return len(self._still_waiting())

    def missing(self) -> str:
        """What it waits for while no node has room for it, as a phrase for messages; "" when it has its place."""
        return "" if self.process() else f"not placed yet, it asks for {self._request}; {describe_free()}"

    def process(self) -> Process | None:
        """None until it has been placed."""
        if not ray.wait([self._process_ref], timeout=0)[0]:
            return None
        try:
            return ray.get(self._process_ref, timeout=1)
        except RayError:
            return None

    def where(self) -> str:
        """One phrase for messages."""
        process = self.process()
        return f"process {process.pid} on node {process.node_id[:8]}" if process else "not placed on any node"

    def log_tail(self) -> str:
        """The last lines of the process's stderr, "" when they are not on this machine."""
        process = self.process()
        if process is None or not os.path.isfile(process.stderr):
            return ""
        return "\n".join(Path(process.stderr).read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])

    def _still_waiting(self) -> list[ray.ObjectRef]:
        refs = self._unanswered
        return ray.wait(refs, num_returns=len(refs), timeout=0, fetch_local=False)[1] if refs else []


def _until(deadline: float) -> float:
    """Seconds to wait before the next word about the wait."""
    return max(0.0, min(REPORT_EVERY_S, deadline - time.monotonic()))


def spawn(
    cls: type,
    *args: Any,
    name: str,
    num_cpus: float = 1,
    num_gpus: float = 0,
    place: Place | None = None,
    env: Mapping[str, str] | None = None,
    **kwargs: Any,
) -> Handle:
    """Starts `cls(*args, **kwargs)` in a process of its own and returns at once.

    Args:
        name: what messages call it.
        num_cpus, num_gpus: slots that the actor holds; fractions share one GPU.
        place: one that is held for it, instead of slots of its own.
        env: environment variables, set before the class's module is imported.

    Raises:
        ResourcesMissing: no node could ever hold it; raised within 30 s.
    """
    if place is None:
        require([Bundle(name, 1, num_cpus, num_gpus)])
    return recipe(cls, *args, num_cpus=num_cpus, num_gpus=num_gpus, place=place, env=env, **kwargs)(name)


def recipe(
    cls: type,
    *args: Any,
    num_cpus: float = 1,
    num_gpus: float = 0,
    place: Place | None = None,
    env: Mapping[str, str] | None = None,
    **kwargs: Any,
) -> Callable[[str], Handle]:
    """A function that starts one more such actor under a name, whether there is room or not."""
    pickled = cloudpickle.dumps((cls, args, kwargs))
    options: dict[str, Any] = {"num_cpus": num_cpus, "num_gpus": num_gpus, "max_restarts": 0}
    options |= place.options() if place else {}
    if env:
        options["runtime_env"] = {"env_vars": dict(env)}

    def begin(name: str) -> Handle:
        request = Bundle(name, 1, options["num_cpus"], options["num_gpus"])
        return Handle(lambda: _shell_class(name).options(**options).remote(pickled), request)

    return begin


@functools.lru_cache(maxsize=256)
def _shell_class(title: str) -> Any:
    """The class's name is what `ps` shows."""
    return ray.remote(type(title, (_Shell,), {}))


def fetch(ref: ray.ObjectRef, handle: Handle, what: str, timeout_s: float) -> Any:
    """The value of an answered call, with Ray's exceptions turned into ours."""
    return _ours(lambda: ray.get(ref, timeout=timeout_s), handle, what)


def settle(answer: "Future[Any]", handle: Handle, what: str) -> Any:
    """`fetch` for the completed future of a `send`."""
    return _ours(lambda: answer.result(timeout=0), handle, what)


def _ours(read: Callable[[], Any], handle: Handle, what: str) -> Any:
    try:
        return read()
    except RayTaskError as error:
        raise _original(error, what) from None
    except RayError as error:
        raise ActorDied(_obituary(error, handle, what)) from None


def _original(error: RayTaskError, what: str) -> BaseException:
    """The exception that the method raised; Ray's wrapper when it could not travel."""
    cause = error.cause if isinstance(error.cause, BaseException) else error
    cause.add_note(f"raised in {what}; remote traceback:\n{error}")
    return cause


def _obituary(error: RayError, handle: Handle, what: str) -> str:
    text = f"{handle.name} died ({handle.where()}), so there is no answer from {what}: {str(error).strip()}"
    tail = handle.log_tail()
    return f"{text}\nIts last output:\n{tail}" if tail else text
