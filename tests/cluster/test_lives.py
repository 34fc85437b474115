"""Actors that are lost and go on as if nothing had happened."""

import psutil
import pytest

from cluster.actor import spawn
from cluster.errors import ActorDied
from cluster.lives import MAX_RESTARTS, Lives
from tests.cluster.workers import Counter

PATIENCE_S = 120.0
pytestmark = pytest.mark.usefixtures("runtime")


@pytest.mark.slow
def test_a_lost_one_takes_all_into_a_new_life_that_goes_on_from_where_they_were() -> None:
    handles = [spawn(Counter, 10, name=f"counter-{n}", num_cpus=0.1) for n in range(2)]
    done: list[int] = []

    def replay() -> None:
        for n in done:
            [pending.result(PATIENCE_S) for pending in lives.all("add", n)]

    def add(n: int) -> list[int]:
        found = lives.guarded(lambda: [pending.result(PATIENCE_S) for pending in lives.all("add", n)])
        done.append(n)
        return found

    lives = Lives(handles, PATIENCE_S, replay)
    lives.begin()
    assert add(1) == [11, 11]
    queued = lives.later("add", 0)
    psutil.Process(handles[1].ready(PATIENCE_S).pid).kill()
    assert add(2) == [13, 13] and lives.count == 1  # 10 + 1, then 2
    assert queued() == 13  # asked again, of this life
    for handle in handles:
        handle.kill()


@pytest.mark.slow
def test_what_is_lost_in_every_life_is_raised() -> None:
    handle = spawn(Counter, name="mortal", num_cpus=0.1)
    lives = Lives([handle], PATIENCE_S, lambda: None)
    lives.begin()
    with pytest.raises(ActorDied, match="mortal"):
        lives.guarded(lambda: handle.call("die").result(PATIENCE_S))
    assert lives.count == MAX_RESTARTS
    handle.restart()
    handle.kill()
