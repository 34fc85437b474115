"""A pool of size "auto" on a cluster whose second node comes and goes."""

import shutil
import tempfile
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from cluster import autoscale
from cluster import pool as pool_module
from cluster.pool import Pool
from cluster.runtime import start
from tests.cluster.conftest import Shared
from tests.cluster.pool_workers import Napper

PATIENCE_S = 120.0
# A node that is gone is missed after three seconds instead of a quarter of a minute.
HASTE = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 6}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, shared: Shared) -> Iterator[Cluster]:
    """One node with one CPU slot; the test adds and removes others."""
    shared.end()
    home = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # sockets lie there, and their paths must be short
    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 << 20, "_system_config": HASTE}
    running = Cluster(initialize_head=True, head_node_args=head | {"temp_dir": home})
    monkeypatch.setenv("RAY_ADDRESS", running.address)
    monkeypatch.setattr(autoscale, "LOOK_EVERY_S", 1.0)
    monkeypatch.setattr(pool_module, "SETTLE_S", 6.0)
    with start(num_cpus=1):
        yield running
    running.shutdown()
    shutil.rmtree(home, ignore_errors=True)


@pytest.mark.slow
def test_workers_appear_when_a_node_joins_and_its_loss_costs_no_item(cluster: Cluster, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    journal.touch()
    with Pool(Napper, str(journal), 0.05, method="double", size="auto", max_size=2, name="nappers") as pool:
        assert pool.map([1], 1, PATIENCE_S) == [2] and pool.size == 1
        node = cluster.add_node(num_cpus=4, object_store_memory=100 << 20)
        assert _soon(lambda: "2 of 2 workers up" in pool.describe())  # and not 5: max_size
        jobs = [pool.submit([n, n + 1], PATIENCE_S) for n in range(100, 300, 2)]
        assert _soon(lambda: len(_lines(journal, column=1)) == 2)
        cluster.remove_node(node, allow_graceful=False)
        assert [n for job in pool.gather(jobs) for n in job] == [2 * n for n in range(100, 300)]
        assert pool.restarts >= 1 and pool.lost_items == 0  # a new worker may be sent to the lost node once more
        assert _soon(lambda: pool.size == 1 and "1 of 1 workers up" in pool.describe())
    # at most what the lost worker held was done twice: the batch at work and the one at its side, of two items each
    assert sum(count > 1 for count in _lines(journal, column=0).values()) <= 4


def _lines(journal: Path, column: int) -> Tally[str]:
    return Tally(line.split()[column] for line in journal.read_text().splitlines() if " " in line)


def _soon(happens: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not (there := happens()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return there
