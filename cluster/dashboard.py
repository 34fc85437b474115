"""The cluster as its dashboard shows it over HTTP: is it there, does it take our token, which nodes does it have.

Works from outside the cluster and through a tunnel, where Ray's own ports are not reachable. Every request has a
deadline: Ray's own client waits for ever on a port that accepts and says nothing.
"""

import json
import os
import socket
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

import psutil

from cluster.errors import TokenRefused, Unreachable
from cluster.fit import Node

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
TIMEOUT_S = 10.0  # of one answer
NODES_APPEAR_S = 30.0  # a cluster that has just started does not show its nodes yet
MIB = 1 << 20
_TOKEN_REMEDY = (
    "set RAY_AUTH_MODE=token, and the cluster's token in RAY_AUTH_TOKEN or in the file that RAY_AUTH_TOKEN_PATH names "
    "(default ~/.ray/auth_token; `ray get-auth-token` prints it on the head)"
)


@dataclass(frozen=True)
class Dashboard:
    """A cluster that answered. nodes: the live ones, the head first; in_use: CPU and GPU slots that others hold."""

    address: str
    ray_version: str
    nodes: tuple[Node, ...]
    in_use: dict[str, float]

    @property
    def is_here(self) -> bool:
        """Whether the head, where a job's driver runs, is this machine: then it sees the same files."""
        ours = {a.address for addresses in psutil.net_if_addrs().values() for a in addresses}
        head = self.nodes[0]
        return head.name in ours and head.host == socket.gethostname()


def default_address() -> str:
    """Where `ray job submit` looks, too."""
    return os.environ.get("RAY_API_SERVER_ADDRESS") or DEFAULT_ADDRESS


def reach(address: str) -> Dashboard:
    """Ask the dashboard at `address` (http://host:port) for all that a submission needs to know.

    Raises:
        Unreachable: nothing answers there, or something that is not Ray's dashboard, or no node has appeared.
        TokenRefused: the cluster asks for a token, and ours is missing or wrong.
    """
    address = (address if "://" in address else f"http://{address}").rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise Unreachable(f"--address must be the dashboard's, like {DEFAULT_ADDRESS}, got {address}")
    import ray

    version = _get(address, "/api/version").get("ray_version")
    if not version:
        raise Unreachable(_not_ray(address, "no ray_version in its answer"))
    if version != ray.__version__:
        raise Unreachable(
            f"the cluster at {address} runs Ray {version}, here it is {ray.__version__}: use the same one"
        )
    return Dashboard(address, version, _wait_for_nodes(address), _in_use(address))


def _wait_for_nodes(address: str) -> tuple[Node, ...]:
    deadline = time.monotonic() + NODES_APPEAR_S
    while not (nodes := parse_nodes(_get(address, "/nodes?view=summary"))):
        if time.monotonic() >= deadline:
            raise Unreachable(f"the cluster at {address} shows no live node after {NODES_APPEAR_S:g} s: start its head")
        time.sleep(0.5)
    return nodes


def parse_nodes(answer: dict[str, Any]) -> tuple[Node, ...]:
    """Live nodes of the dashboard's /nodes?view=summary, the head first."""
    alive = [node for node in answer["data"]["summary"] if node.get("raylet", {}).get("state") == "ALIVE"]
    return tuple(sorted(map(_node, alive), key=lambda node: not node.is_head))


def _node(summary: dict[str, Any]) -> Node:
    raylet = summary["raylet"]
    slots = raylet.get("resourcesTotal", {})
    sizes = [gpu["memoryTotal"] * MIB for gpu in summary.get("gpus") or [] if gpu.get("memoryTotal")]
    return Node(
        name=raylet["nodeManagerAddress"],
        cpus=slots.get("CPU", 0),
        gpus=int(slots.get("GPU", 0)),
        memory_bytes=int(slots.get("memory", 0)),
        gpu_bytes=min(sizes) if sizes else None,
        is_head=bool(raylet.get("isHeadNode")),
        host=raylet.get("nodeManagerHostname", ""),
    )


def _in_use(address: str) -> dict[str, float]:
    report = (_get(address, "/api/cluster_status")["data"].get("clusterStatus") or {}).get("loadMetricsReport") or {}
    usage = report.get("usage") or {}
    return {name: usage[name][0] for name in ("CPU", "GPU") if usage.get(name, (0, 0))[0]}


def _get(address: str, path: str) -> dict[str, Any]:
    request = urllib.request.Request(address + path, headers=_token_headers(address))
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            found = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise _refusal(address, error) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(error, ValueError):
            raise Unreachable(_not_ray(address, str(reason))) from None
        raise Unreachable(
            f"no Ray dashboard answers at {address} within {TIMEOUT_S:g} s ({reason}).\n"
            "Remedy: start a cluster (`ray start --head`, see cluster/clusters/README.md), open a tunnel to its "
            "dashboard (`ray dashboard FILE.yaml`, `kubectl port-forward`), or give another --address."
        ) from None
    if not isinstance(found, dict):
        raise Unreachable(_not_ray(address, "its answer is no object"))
    return found


def _token_headers(address: str) -> dict[str, str]:
    """{} when RAY_AUTH_MODE is not token."""
    from ray._private.authentication.http_token_authentication import get_auth_headers_if_auth_enabled
    from ray.exceptions import AuthenticationError

    try:
        return dict(get_auth_headers_if_auth_enabled({}))
    except AuthenticationError:
        message = f"RAY_AUTH_MODE=token, but there is no token here for the cluster at {address}."
        raise TokenRefused(f"{message}\nRemedy: {_TOKEN_REMEDY}.") from None


def _refusal(address: str, error: urllib.error.HTTPError) -> Unreachable:
    if error.code not in (401, 403):
        return Unreachable(_not_ray(address, f"HTTP {error.code}"))
    what = "asks for a token and got none" if error.code == 401 else "refuses this token"
    return TokenRefused(f"the cluster at {address} {what}.\nRemedy: {_TOKEN_REMEDY}.")


def _not_ray(address: str, reason: str) -> str:
    return f"what answers at {address} is not Ray's dashboard ({reason}): give its address, like {DEFAULT_ADDRESS}"
