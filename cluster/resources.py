"""What there is (cores, GPUs, memory), and whether a request can be met: a clear refusal in seconds, not a hang."""

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from cluster.errors import ResourcesMissing
from cluster.fit import Bundle, Misfit, Node, fit

REFUSE_AFTER_S = 30.0  # nodes may still be joining
_EPSILON = 1e-6


def machine() -> Node:
    """This machine as the process may use it: affinity, container limits and visible GPUs; no Ray needed."""
    return Node("this machine", _usable_cpus(), _visible_gpus(), _memory_limit())


def nodes() -> list[Node]:
    """The live nodes of the connected cluster."""
    import ray

    alive = enumerate(entry["Resources"] for entry in ray.nodes() if entry["Alive"])
    return [Node(f"node {i}", r.get("CPU", 0), int(r.get("GPU", 0)), int(r.get("memory", 0))) for i, r in alive]


def require(bundles: Sequence[Bundle], timeout_s: float = REFUSE_AFTER_S) -> None:
    """Returns when the cluster's nodes could hold all bundles together; nodes in use by others count as free.

    On several nodes it waits for ones that are still joining, up to `timeout_s`.

    Raises:
        ResourcesMissing: names the first bundle that finds no node, what it asks for and what each node has.
    """
    deadline = time.monotonic() + timeout_s
    while misfit := fit(bundles, nodes()):
        if time.monotonic() >= deadline or _is_fixed():
            raise ResourcesMissing(refusal(misfit, bundles))
        time.sleep(1.0)


def refusal(misfit: Misfit, bundles: Sequence[Bundle]) -> str:
    """A message for those who asked for the bundles."""
    there = "\n".join(f"  {node}" for node in nodes())
    needed = "\n".join(f"  {bundle.count} × {bundle.name}: {bundle}" for bundle in bundles)
    return (
        f"the cluster has {misfit}\nNeeded:\n{needed}\nThere:\n{there or '  no node'}\n"
        "Ask for less in the config, add nodes, or (on one machine) start Ray with more CPU slots."
    )


def describe_free() -> str:
    """What is free now and what there is in all, as a phrase for messages."""
    import ray

    free, total = ray.available_resources(), ray.cluster_resources()
    return (
        f"free now: {free.get('CPU', 0):g} CPU, {free.get('GPU', 0):g} GPU; "
        f"in all: {total.get('CPU', 0):g} CPU, {total.get('GPU', 0):g} GPU on {len(nodes())} node(s)"
    )


def live_node_ids() -> set[str]:
    """Names of the nodes that Ray believes alive."""
    import ray

    return {str(entry["NodeID"]) for entry in ray.nodes() if entry["Alive"]}


def free_slots(cpus: float) -> int:
    """How many more actors of `cpus` CPUs each the nodes have room for now; a CPU split over two nodes is none.

    It lags behind by a second or so.
    """
    from ray._private.state import available_resources_per_node

    alive = live_node_ids()
    free = [left.get("CPU", 0.0) for node, left in available_resources_per_node().items() if node in alive]
    return sum(int(left / cpus + _EPSILON) for left in free)


def object_store_bytes() -> int:
    """Of objects that the nodes' stores hold now: what is on its way between processes. It lags by about a second."""
    import ray

    name = "object_store_memory"
    return int(ray.cluster_resources().get(name, 0) - ray.available_resources().get(name, 0))


def _is_fixed() -> bool:
    """A cluster of one node with nothing to scale it will not grow."""
    return len(nodes()) == 1 and not os.environ.get("RAY_ADDRESS")


def _usable_cpus() -> float:
    allowed = len(os.sched_getaffinity(0))
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.is_file():
        limit, period = quota.read_text().split()
        if limit != "max":
            return max(1.0, min(allowed, int(limit) / int(period)))
    return allowed


def _memory_limit() -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.is_file() else "max"
    return physical if text == "max" else min(physical, int(text))


def _visible_gpus() -> int:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        return len([index for index in hidden.split(",") if index.strip() not in ("", "-1", "NoDevFiles")])
    if shutil.which("nvidia-smi") is None:
        return 0
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=30, check=False)
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


def gpu_memory() -> list[int]:
    """Bytes of each GPU of this machine, as nvidia-smi names them; [] where there is none."""
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    listed = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    return [int(line) << 20 for line in listed.stdout.split() if line.isdigit()]
