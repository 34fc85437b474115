"""An ASGI application as replicas on a cluster, behind Ray Serve's proxies: a node may be lost, a question goes to the
replicas that are left, and a new one takes the place of the lost one where there is room.

    with served(build, Bundle("replica", count=2, cpus=1), "shop", "127.0.0.1", 8000):
        …

`build` runs in each replica and gives a `Service`. It travels once, through the object store. Each node with a replica
listens on the port, and so does the head.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import ray
from ray import cloudpickle

from cluster.errors import ClusterError
from cluster.fit import Bundle
from cluster.resources import require

MOST_ASKED = 256  # requests at a time per replica; more wait in the proxies
HEALTH_S = 5.0  # between two looks at a replica
_VERSION = ray.__version__


class Service(Protocol):
    """app: the ASGI application; check raises when it answers no longer, and is then replaced."""

    app: Any

    def check(self) -> None: ...


class NotServed(ClusterError):
    """The replicas did not start, or there is no Ray Serve to start them."""


_here: list[Service] = []  # the one of this process, where it is a replica's


def _application() -> Any:
    return _here[0].app


class _Replica:
    def __init__(self, build: list[ray.ObjectRef]) -> None:
        _here[:] = [cloudpickle.loads(ray.get(build[0]))()]

    def check_health(self) -> None:
        _here[0].check()


def require_ray_serve() -> Any:
    """The module. NotServed when it, or what it needs, is not installed."""
    try:
        from ray import serve
    except ImportError as error:
        raise NotServed(
            f"serving on a cluster needs Ray Serve, and {error.name} is not installed; install it with: "
            f"pip install 'ray[serve]=={_VERSION}'"
        ) from None
    return serve


@contextmanager
def served(build: Callable[[], Service], replica: Bundle, name: str, host: str, port: int) -> Iterator[None]:
    """For the length of the `with` block, in which all replicas answer. replica.count of them.

    Raises ResourcesMissing, and NotServed with what the replica said that did not start.
    """
    serve = require_ray_serve()
    require([replica])
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    quiet = {"log_level": "WARNING", "enable_access_log": False}
    serve.start(http_options={"host": host, "port": port}, logging_config=quiet)
    deployment = serve.deployment(serve.ingress(_application)(_Replica)).options(
        name=replica.name,
        num_replicas=replica.count,
        max_ongoing_requests=MOST_ASKED,
        health_check_period_s=HEALTH_S,
        ray_actor_options={"num_cpus": replica.cpus, "num_gpus": replica.gpus},
        logging_config=quiet,
    )
    try:
        try:
            serve.run(deployment.bind([ray.put(cloudpickle.dumps(build))]), name=name)
        except RuntimeError as error:
            raise NotServed(f"the replicas did not start: {_said(serve, name, replica.name) or error}") from None
        yield
    finally:
        serve.delete(name)
        if os.environ.get("RAY_ADDRESS") and not serve.status().applications:  # others may share a cluster
            serve.shutdown()


def _said(serve: Any, name: str, deployment: str) -> str:
    """What the replica raised: the last line of a traceback within Ray's account."""
    found = serve.status().applications[name].deployments.get(deployment)
    lines = [line.strip() for line in (found.message if found else "").splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "Error: " in line), lines[-1] if lines else "")
