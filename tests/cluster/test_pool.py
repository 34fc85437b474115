from collections import Counter as Tally
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import ActorDied, ClusterError, ResourcesMissing
from cluster.pool import Pool
from tests.cluster.workers import Squarer

PATIENCE_S = 120.0  # for what must succeed, on a busy machine too
pytestmark = pytest.mark.usefixtures("runtime")


@pytest.fixture
def make_pool(journal: Path) -> Callable[..., Pool]:
    def make(size: int = 2, **options: Any) -> Pool:
        options = {"num_cpus": 0.1} | options
        return Pool(Squarer, str(journal), method="square", size=size, name="squarers", lost=None, **options)

    return make


@pytest.mark.slow
def test_results_come_back_in_the_order_of_the_items(make_pool: Callable[..., Pool]) -> None:
    with make_pool(size=3) as pool:
        assert pool.map(range(50), batch_size=4, timeout_s=PATIENCE_S) == [n * n for n in range(50)]
        assert (pool.restarts, pool.lost_items) == (0, 0)


def test_a_killed_workers_batch_is_done_again_elsewhere(make_pool: Callable[..., Pool], journal: Path) -> None:
    with make_pool() as pool:
        # ("die", 1) kills its worker at the first attempt and answers -1 at the second
        assert pool.map([1, 2, ("die", 1), 3, 4, 5], batch_size=3, timeout_s=PATIENCE_S) == [1, 4, -1, 9, 16, 25]
        assert (pool.restarts, pool.lost_items) == (1, 0)
    # the batch [1, 2, die] went twice, [3, 4, 5] once
    assert Tally(journal.read_text().split("\n")[:-1]) == {"1": 2, "2": 2, "('die', 1)": 2, "3": 1, "4": 1, "5": 1}


@pytest.mark.slow
def test_a_poisonous_item_is_given_up_after_two_deaths_and_its_neighbours_are_not(
    make_pool: Callable[..., Pool], journal: Path
) -> None:
    with make_pool() as pool:
        assert pool.map([1, ("die", 99), 2], batch_size=3, timeout_s=PATIENCE_S) == [1, None, 4]
        assert (pool.restarts, pool.lost_items) == (2, 1)
    assert journal.read_text().count("die") == 2


@pytest.mark.slow
def test_an_item_over_its_deadline_is_ended_and_done_again(make_pool: Callable[..., Pool]) -> None:
    with make_pool(size=1) as pool:
        assert pool.map([("hang", 1), 7], batch_size=2, timeout_s=2) == [-1, 49]
        assert (pool.restarts, pool.lost_items) == (1, 0)


@pytest.mark.slow
def test_futures_complete_one_by_one(make_pool: Callable[..., Pool]) -> None:
    with make_pool() as pool:
        slow = pool.submit([("hang", 1)], timeout_s=3)
        assert pool.submit([6], timeout_s=PATIENCE_S).result(timeout=PATIENCE_S) == [36]
        assert not slow.done()
        assert slow.result(timeout=PATIENCE_S) == [-1]


@pytest.mark.slow
def test_an_exception_in_the_method_reaches_its_own_future_only(make_pool: Callable[..., Pool]) -> None:
    with make_pool() as pool:
        bad, good = pool.submit(["seven"], timeout_s=PATIENCE_S), pool.submit([8], timeout_s=PATIENCE_S)
        with pytest.raises(TypeError, match="not a number: 'seven'"):
            bad.result(timeout=PATIENCE_S)
        assert good.result(timeout=PATIENCE_S) == [64]


@pytest.mark.slow
def test_a_failing_constructor_reaches_every_future(make_pool: Callable[..., Pool]) -> None:
    with make_pool(broken=True) as pool:
        with pytest.raises(LookupError, match="no reward without a ruler"):
            pool.submit([1], timeout_s=PATIENCE_S).result(timeout=PATIENCE_S)
        with pytest.raises(LookupError, match="no reward without a ruler"):
            pool.submit([1], timeout_s=PATIENCE_S).result(timeout=PATIENCE_S)


@pytest.mark.slow
def test_workers_that_die_at_every_start_are_not_started_forever(make_pool: Callable[..., Pool]) -> None:
    with make_pool(size=1, dies=True) as pool:
        with pytest.raises(ActorDied, match="squarers-0 died"):
            pool.submit([1], timeout_s=PATIENCE_S).result(timeout=PATIENCE_S)
        assert pool.restarts == 3


@pytest.mark.slow
def test_a_pool_without_room_says_what_is_missing(make_pool: Callable[..., Pool]) -> None:
    with make_pool(size=1) as hog, pytest.raises(ResourcesMissing, match=r"(?s)asks for 4 CPU.*free now: 3\.9 CPU"):
        assert hog.map([2], batch_size=1, timeout_s=PATIENCE_S) == [4]
        with make_pool(size=1, num_cpus=4, start_timeout_s=1) as pool:
            pool.submit([1], timeout_s=PATIENCE_S).result(timeout=PATIENCE_S)


def test_closing_a_pool_fails_what_is_still_open(make_pool: Callable[..., Pool]) -> None:
    pool = make_pool(size=1)
    stuck = pool.submit([("hang", 9)], timeout_s=600)
    pool.close()
    with pytest.raises(ClusterError, match="squarers was closed"):
        stuck.result(timeout=1)
