"""Do these bundles find room on these nodes? Pure bookkeeping: CPU and GPU slots, memory of GPUs and of hosts.

    fit([Bundle("learner", gpus=1, gpu_bytes=20 * GIB), …], nodes_of("2*8x80GB")) → None, or the Misfit

First fit, largest first. A bundle that asks for a whole GPU gets whole ones; fractions share one. What is not known of
a node (its GPUs' memory) is not held against it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cluster.errors import ClusterError

GIB = 1 << 30
USABLE = 0.95  # of a GPU's memory: the rest goes to fragmentation
CPUS_PER_GPU, HOST_GIB_PER_GPU = 8, 64  # of a node whose CPUs and memory are not given
_EPSILON = 1e-6
_NODE = re.compile(r"(?:(\d+)\*)?(\d+)x(\d+(?:\.\d+)?)GB(?::(\d+))?(?::(\d+)GB)?", re.IGNORECASE)


@dataclass(frozen=True)
class Bundle:
    """What `count` equal actors ask for, each; gpu_bytes on each of its GPUs."""

    name: str
    count: int = 1
    cpus: float = 0
    gpus: float = 0
    gpu_bytes: int = 0
    host_bytes: int = 0

    def __str__(self) -> str:
        gpus = f", {self.gpus:g} GPU with {self.gpu_bytes / GIB:.1f} GiB" if self.gpus else ""
        return f"{self.cpus:g} CPU{gpus}, {self.host_bytes / GIB:.1f} GiB of host memory"


@dataclass(frozen=True)
class Node:
    """gpu_bytes: of each GPU, None when not known; host: its host name, where known."""

    name: str
    cpus: float
    gpus: int
    memory_bytes: int
    gpu_bytes: int | None = None
    is_head: bool = False
    host: str = ""

    def __str__(self) -> str:
        size = (
            "" if not self.gpus else " of unknown memory" if self.gpu_bytes is None else f" of {_gib(self.gpu_bytes)}"
        )
        return f"{self.name}: {self.cpus:g} CPU, {self.gpus} GPU{size}, {_gib(self.memory_bytes)} of host memory"


@dataclass(frozen=True)
class Misfit:
    """The first bundle without room, the how-manieth of its kind, and what each node lacks for it."""

    bundle: Bundle
    number: int
    lacks: tuple[str, ...]  # "node 0: 1 GPU (0 free)"

    def __str__(self) -> str:
        which = (
            f"{self.bundle.name} {self.number} of {self.bundle.count}" if self.bundle.count > 1 else self.bundle.name
        )
        where = "; ".join(self.lacks) or "there is no node"
        return f"no room for {which} ({self.bundle}). Missing: {where}"


@dataclass
class _Gpu:
    share: float
    bytes: float


@dataclass
class _Room:
    """What is left of a node."""

    node: Node
    cpus: float
    memory: float
    gpus: list[_Gpu] = field(default_factory=list)

    def lacks(self, bundle: Bundle) -> list[str]:
        found = []
        if bundle.cpus > self.cpus + _EPSILON:
            found.append(f"{bundle.cpus:g} CPU ({self.cpus:g} left)")
        if bundle.host_bytes > self.memory:
            found.append(f"{_gib(bundle.host_bytes)} of host memory ({_gib(self.memory)} left)")
        if bundle.gpus and len(self._free(bundle, 0)) < self._wanted(bundle):
            found.append(f"{bundle.gpus:g} GPU ({sum(gpu.share for gpu in self.gpus):g} left)")
        elif len(self._free(bundle, bundle.gpu_bytes)) < self._wanted(bundle):
            most = max(gpu.bytes for gpu in self._free(bundle, 0))
            found.append(f"{_gib(bundle.gpu_bytes)} of GPU memory ({_gib(most)} left)")
        return found

    def take(self, bundle: Bundle) -> None:
        self.cpus -= bundle.cpus
        self.memory -= bundle.host_bytes
        for gpu in self._free(bundle, bundle.gpu_bytes)[: self._wanted(bundle)]:
            gpu.share -= min(1.0, bundle.gpus)
            gpu.bytes -= bundle.gpu_bytes

    def _free(self, bundle: Bundle, size: float) -> list[_Gpu]:
        share = min(1.0, bundle.gpus) - _EPSILON
        return [gpu for gpu in self.gpus if gpu.share >= share and gpu.bytes >= size]

    @staticmethod
    def _wanted(bundle: Bundle) -> int:
        """GPUs to draw from."""
        return max(1, round(bundle.gpus)) if bundle.gpus else 0


def fit(bundles: Iterable[Bundle], nodes: Sequence[Node], driver_bytes: int = 0) -> Misfit | None:
    """None when every bundle finds a node. driver_bytes: host memory of the job's driver, on the first node."""
    rooms = [_room(node, driver_bytes if index == 0 else 0) for index, node in enumerate(nodes)]
    for bundle in sorted(bundles, key=lambda b: (-b.gpus, -b.gpu_bytes, -b.cpus)):
        for number in range(1, bundle.count + 1):
            room = next((room for room in rooms if not room.lacks(bundle)), None)
            if room is None:
                lacks = tuple(f"{room.node.name}: {', '.join(room.lacks(bundle))}" for room in rooms)
                return Misfit(bundle, number, lacks)
            room.take(bundle)
    return None


def fitting_layout(plan: Mapping[str, Any], nodes: Sequence[Node]) -> tuple[str | None, dict[str, Misfit | None]]:
    """The first layout of `rl.plan --json` that fits, or None; and the misfit of each that was tried."""
    tried: dict[str, Misfit | None] = {}
    for layout in plan["layouts"]:
        bundles = [Bundle(**bundle) for bundle in layout["bundles"]]
        tried[layout["name"]] = misfit = fit(bundles, nodes, plan["driver_host_bytes"])
        if misfit is None:
            return layout["name"], tried
    return None, tried


def nodes_of(text: str) -> list[Node]:
    """Hypothetical nodes: "1x80GB", "2*8x80GB", "1x24GB:16:128GB" (CPUs and host memory), by commas.

    Without them a node has 8 CPUs and 64 GiB of host memory per GPU.
    """
    nodes: list[Node] = []
    for part in text.split(","):
        match = _NODE.fullmatch(part.strip())
        if not match:
            raise ClusterError(
                f"--nodes must be like 1x24GB or 2*8x80GB:96:1000GB (nodes*GPUsxmemory:CPUs:host memory), got {part!r}"
            )
        count, gpus, size, cpus, host = match.groups()
        kind = _node_kind(int(gpus), float(size), cpus, host)
        nodes += [Node(f"node {len(nodes) + i}", *kind) for i in range(int(count or 1))]
    return nodes


def _node_kind(gpus: int, size: float, cpus: str | None, host: str | None) -> tuple[float, int, int, int]:
    many = max(1, gpus)
    memory = int(host or HOST_GIB_PER_GPU * many) * GIB
    return float(cpus or CPUS_PER_GPU * many), gpus, memory, round(size * GIB)


def _room(node: Node, taken: int) -> _Room:
    size = float("inf") if node.gpu_bytes is None else USABLE * node.gpu_bytes
    return _Room(node, node.cpus, node.memory_bytes - taken, [_Gpu(1.0, size) for _ in range(node.gpus)])


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB"
