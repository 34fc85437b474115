"""Do these bundles find room on these nodes? Pure bookkeeping: CPU and GPU slots, memory of GPUs and of hosts.

    fit([Bundle("trainer", gpus=1, gpu_bytes=20 * GIB), …], [Node("a", cpus=8, gpus=1, …)]) → None, or the Misfit

First fit, largest first. A bundle that asks for a whole GPU gets whole ones; fractions share one. What is not known of
a node (its GPUs' memory) is not held against it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

GIB = 1 << 30
USABLE = 0.95  # of a GPU's memory: the rest goes to fragmentation
_EPSILON = 1e-6


@dataclass(frozen=True)
class Bundle:
    """What `count` equal processes ask for, each; gpu_bytes: on each of its GPUs; host_bytes: of the node's memory."""

    name: str
    count: int = 1
    cpus: float = 0
    gpus: float = 0
    gpu_bytes: int = 0
    host_bytes: int = 0

    def __str__(self) -> str:
        size = f" with {_gib(self.gpu_bytes)}" if self.gpu_bytes else ""
        gpus = f", {self.gpus:g} GPU{size}" if self.gpus else ""
        return f"{self.cpus:g} CPU{gpus}" + (f", {_gib(self.host_bytes)} of host memory" if self.host_bytes else "")


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
        known = " of unknown memory" if self.gpu_bytes is None else f" of {_gib(self.gpu_bytes)}"
        gpus = f"{self.gpus} GPU{known if self.gpus else ''}"
        return f"{self.name}: {self.cpus:g} CPU, {gpus}, {_gib(self.memory_bytes)} of host memory"


@dataclass(frozen=True)
class Misfit:
    """The first bundle without room, which one of its kind, and what each node lacks for it."""

    bundle: Bundle
    number: int
    lacks: tuple[str, ...]  # "node 0: 1 GPU (0 left)"

    def __str__(self) -> str:
        kind = self.bundle
        which = f"{kind.name} {self.number} of {kind.count}" if kind.count > 1 else kind.name
        return f"no room for {which} ({kind}). Missing: {'; '.join(self.lacks) or 'there is no node'}"


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

    @classmethod
    def of(cls, node: Node) -> "_Room":
        size = float("inf") if node.gpu_bytes is None else USABLE * node.gpu_bytes
        return cls(node, node.cpus, node.memory_bytes, [_Gpu(1.0, size) for _ in range(int(node.gpus))])

    def lacks(self, bundle: Bundle) -> list[str]:
        found = []
        if bundle.cpus > self.cpus + _EPSILON:
            found.append(f"{bundle.cpus:g} CPU ({self.cpus:g} left)")
        if bundle.host_bytes > max(0, self.memory):
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


def fit(bundles: Iterable[Bundle], nodes: Sequence[Node], driver: Bundle | None = None) -> Misfit | None:
    """None when every bundle finds a node. driver: goes first; without slots of its own it is on the first node."""
    rooms = [_Room.of(node) for node in nodes]
    alone = [driver] if driver and (driver.cpus or driver.gpus) else []
    if driver and rooms and not alone:
        rooms[0].memory -= driver.host_bytes
    for bundle in [*alone, *sorted(bundles, key=lambda b: (-b.gpus, -b.gpu_bytes, -b.cpus))]:
        for number in range(1, bundle.count + 1):
            room = next((room for room in rooms if not room.lacks(bundle)), None)
            if room is None:
                lacks = tuple(f"{room.node.name}: {', '.join(room.lacks(bundle))}" for room in rooms)
                return Misfit(bundle, number, lacks)
            room.take(bundle)
    return None


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB"
