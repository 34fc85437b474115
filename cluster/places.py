"""Room that is held on the cluster for a set of actors, all of it or none, before the first of them starts.

    with reserved([Bundle("trainer", 2, cpus=1, gpus=1), Bundle("engine", cpus=1, gpus=1)]) as places:
        trainers = [spawn(Trainer, name=f"trainer-{n}", place=places.next("trainer")) for n in range(2)]

An actor that is started again finds its place still held; the place of a lost node is made anew on another.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cluster.errors import ResourcesMissing
from cluster.fit import Bundle
from cluster.resources import describe_free, require


@dataclass(frozen=True)
class Place:
    """One bundle of a Ray placement group, and what it holds."""

    bundle: Bundle
    group: Any
    index: int

    def options(self) -> dict[str, Any]:
        """Of an actor that goes there."""
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        strategy = PlacementGroupSchedulingStrategy(self.group, self.index, placement_group_capture_child_tasks=False)
        return {"num_cpus": self.bundle.cpus, "num_gpus": self.bundle.gpus, "scheduling_strategy": strategy}


class Places:
    """The places of a reservation, by the names of their bundles."""

    def __init__(self, bundles: Sequence[Bundle], group: Any) -> None:
        one_by_one = [bundle for bundle in bundles for _ in range(bundle.count)]
        self._left = [Place(bundle, group, index) for index, bundle in enumerate(one_by_one)]

    def next(self, name: str) -> Place:
        """One that nobody has taken yet. KeyError when none is left."""
        found = next((place for place in self._left if place.bundle.name == name), None)
        if found is None:
            raise KeyError(f"no place is left for {name}")
        self._left.remove(found)
        return found


@contextmanager
def reserved(bundles: Sequence[Bundle], timeout_s: float) -> Iterator[Places]:
    """Holds slots of CPUs and GPUs for the bundles, together, while the `with` block lasts.

    Raises:
        ResourcesMissing: the nodes could not hold them, or others have not made room within `timeout_s`.
    """
    import ray

    require(bundles)
    shapes = [{"CPU": b.cpus} | ({"GPU": b.gpus} if b.gpus else {}) for b in bundles for _ in range(b.count)]
    group = ray.util.placement_group(shapes, strategy="PACK")
    try:
        if not group.wait(timeout_s):
            asked = ", ".join(f"{b.count} × {b.name} ({b})" for b in bundles)
            raise ResourcesMissing(f"no room in {timeout_s:g} s for {asked}; {describe_free()}")
        yield Places(bundles, group)
    finally:
        ray.util.remove_placement_group(group)
