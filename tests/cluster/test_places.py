"""Room that is held for actors before they start."""

import time

import pytest
import ray

from cluster.actor import spawn
from cluster.errors import ActorDied, ResourcesMissing
from cluster.fit import Bundle
from cluster.places import reserved
from tests.cluster.workers import Counter

PATIENCE_S = 120.0
pytestmark = pytest.mark.usefixtures("runtime")


def free() -> float:
    return float(ray.available_resources().get("CPU", 0))


def _all_are_free() -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while free() < 4 and time.monotonic() < deadline:
        time.sleep(0.1)
    return free() == 4


@pytest.mark.slow
def test_what_is_held_is_held_together_for_restarts_too_and_given_back_at_the_end() -> None:
    with reserved([Bundle("pair", 2, 1), Bundle("single", 1, 0.5)], PATIENCE_S) as places:
        one, two = (spawn(Counter, n, name=f"pair-{n}", place=places.next("pair")) for n in (0, 1))
        assert [one.call("add").result(PATIENCE_S), two.call("add").result(PATIENCE_S)] == [1, 2]
        assert free() <= 1.5  # of 4
        with pytest.raises(ActorDied):
            one.call("die").result(PATIENCE_S)
        taken = pytest.raises(ResourcesMissing, match=r"no room in 0.5 s for 2 × late \(1 CPU\); free now: ")
        with taken, reserved([Bundle("late", 2, 1)], 0.5):  # the place of the dead one is not free
            pass
        one.restart()
        assert one.call("add").result(PATIENCE_S) == 1
        with pytest.raises(KeyError, match="no place is left for pair"):
            places.next("pair")
    assert _all_are_free()


def test_what_no_node_could_ever_hold_is_refused_at_once_and_holds_nothing() -> None:
    refused = r"(?s)no room for wide 2 of 2 \(3 CPU\). Missing: node 0: 3 CPU \(1 left"
    with pytest.raises(ResourcesMissing, match=refused), reserved([Bundle("wide", 2, 3)], PATIENCE_S):
        pass
    assert _all_are_free()
