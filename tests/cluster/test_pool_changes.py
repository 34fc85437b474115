"""A pool that grows, shrinks, remembers what killed its workers, and blames nobody else."""

import json
import os
import signal
import time
from collections import Counter as Tally
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from cluster import pool as pool_module
from cluster.errors import ClusterError, WaitTimeout
from cluster.pool import Pool
from cluster.quarantine import Quarantine
from tests.cluster.pool_workers import Napper
from tests.cluster.workers import Squarer

PATIENCE_S = 120.0  # for what must succeed, on a busy machine too


@pytest.fixture
def make_squarers(journal: Path) -> Callable[..., Pool]:
    def make(size: int, **options: Any) -> Pool:
        return Pool(Squarer, str(journal), method="square", size=size, name="squarers", num_cpus=0.1, **options)

    return make


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
def test_growing_and_shrinking_under_load_does_every_item_once(journal: Path) -> None:
    with Pool(Napper, str(journal), 0.02, method="double", size=1, name="nappers", num_cpus=0.1) as pool:
        jobs: list[Future[list[int]]] = []

        def submit(count: int) -> None:
            jobs.extend(pool.submit([2 * n, 2 * n + 1], PATIENCE_S) for n in range(len(jobs), len(jobs) + count))

        def three_are_at_work() -> bool:
            submit(2)
            return len(_workers(journal)) == 3

        pool.resize(3)
        assert _soon(three_are_at_work)
        submit(30)
        pool.resize(1)
        assert pool.gather(jobs) == [[4 * n, 4 * n + 2] for n in range(len(jobs))]
        assert _soon(lambda: "1 of 1 workers up, 0 leaving" in pool.describe())
        assert (pool.size, pool.restarts, pool.lost_items) == (1, 0, 0)
    assert set(Tally(line.split()[0] for line in journal.read_text().splitlines()).values()) == {1}


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
def test_what_killed_twice_is_put_on_file_and_never_sent_again(
    make_squarers: Callable[..., Pool], journal: Path, tmp_path: Path
) -> None:
    file = tmp_path / "run" / "quarantine.jsonl"
    poison, items = ("die", 99), [1, ("die", 99), 2]
    with make_squarers(2, quarantine=file, key=repr) as pool:
        assert pool.map(items, batch_size=3, timeout_s=PATIENCE_S) == [1, None, 4]
        assert (pool.lost_items, pool.quarantined) == (1, 0)
        # in the same pool, among others and alone
        assert pool.map([poison, 3, poison], batch_size=2, timeout_s=PATIENCE_S) == [None, 9, None]
        assert (pool.restarts, pool.lost_items, pool.quarantined) == (2, 1, 2)
    (line,) = file.read_text().splitlines()
    entry = json.loads(line)
    assert entry["key"] == repr(poison) and entry["worker"].startswith("squarers-") and "died" in entry["reason"]
    with make_squarers(1, quarantine=file, key=repr) as later:
        assert later.map(items, batch_size=3, timeout_s=PATIENCE_S) == [1, None, 4]
        assert (later.restarts, later.lost_items, later.quarantined) == (0, 0, 1)
    assert journal.read_text().count("die") == 2


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
def test_a_batch_that_waits_at_the_side_of_a_dying_worker_is_not_blamed(
    make_squarers: Callable[..., Pool], journal: Path
) -> None:
    with make_squarers(1) as pool:
        assert pool.map([("die", 99), 1, 2, 3, 4], batch_size=1, timeout_s=PATIENCE_S) == [None, 1, 4, 9, 16]
        assert (pool.restarts, pool.lost_items) == (2, 1)
    assert Tally(journal.read_text().splitlines()) == {"('die', 99)": 2, "1": 1, "2": 1, "3": 1, "4": 1}


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
def test_workers_killed_from_outside_while_idle_cost_no_item(make_squarers: Callable[..., Pool]) -> None:
    with make_squarers(3) as pool:
        assert _soon(lambda: "3 of 3 workers up" in pool.describe())
        for worker in pool._supervisor.workers():
            os.kill(worker.handle.ready(PATIENCE_S).pid, signal.SIGKILL)
        assert pool.map([1, 2, 3], batch_size=3, timeout_s=PATIENCE_S) == [1, 4, 9]
        assert pool.lost_items == 0


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
def test_waiting_says_what_for_and_ends_when_the_pool_does_not_move(
    make_squarers: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="cluster")
    monkeypatch.setattr(pool_module, "REPORT_EVERY_S", 0.5)
    with make_squarers(1) as pool:
        pool.map([1], batch_size=1, timeout_s=PATIENCE_S)
        pool._start_timeout_s = pool._longest_s = 1.0  # 2 × 0.5 + 1 + 1 = 3 s of patience
        pool._supervisor._events.put(lambda: time.sleep(6))  # a bug: the supervisor itself hangs
        with pytest.raises(WaitTimeout, match="pool squarers has not moved for 3 s: .*1 of 1 workers up"):
            pool.map([2], batch_size=1, timeout_s=1)
    assert "s for pool squarers (0 of 1 parts done): 0 batches waiting, 0 at workers" in caplog.text


def test_a_torn_last_line_of_a_quarantine_is_skipped_and_any_other_damage_is_named(tmp_path: Path) -> None:
    file = tmp_path / "quarantine.jsonl"
    file.write_text('{"key": "a"}\n{"key": "b')
    torn = Quarantine(file)
    assert "a" in torn and len(torn) == 1
    torn.add("c", "it died", "reward-1")
    with pytest.raises(ClusterError, match=r'quarantine\.jsonl:2: .*"key" per line, got .*Mend or delete'):
        Quarantine(file)


@pytest.mark.usefixtures("runtime")
def test_impossible_sizes_and_a_quarantine_without_names_are_refused(make_squarers: Callable[..., Pool]) -> None:
    with pytest.raises(ClusterError, match='needs at least 1 worker or size="auto", got size=0'):
        make_squarers(0)
    with pytest.raises(ClusterError, match="needs key="):
        make_squarers(1, quarantine=Path("q.jsonl"))
    with make_squarers(1) as pool, pytest.raises(ClusterError, match=r"resize\(0\)"):
        pool.resize(0)


def _workers(journal: Path) -> set[str]:
    return {line.split()[1] for line in journal.read_text().splitlines() if " " in line}


def _soon(happens: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not (there := happens()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return there
