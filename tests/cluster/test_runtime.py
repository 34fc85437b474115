import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cluster.errors import Unreachable
from cluster.runtime import start

ROOT = Path(__file__).resolve().parents[2]
# A driver with an actor that is busy and has a child process; it prints where it can be found.
DRIVER = """
from cluster.actor import spawn
from cluster.runtime import start
from tests.cluster.workers import Counter

with start(num_cpus=2, object_store_mib=128) as runtime:
    worker = spawn(Counter, name="worker", num_cpus=1)
    child = worker.call("child").result(120)
    print(runtime.address, worker.ready(120).pid, child, flush=True)
    worker.call("nap", 600).result(600)
"""
GUEST = """
from cluster.actor import spawn
from cluster.runtime import start
from tests.cluster.workers import Counter

with start(num_cpus=1) as runtime:
    assert not runtime.started_here
    print("joined", spawn(Counter, name="guest", num_cpus=1).call("add").result(120))
"""


class Driver:
    """A driver in a process of its own, and every process that hangs on it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        self.address, *pids = self.process.stdout.readline().split()
        self.workers = [psutil.Process(int(pid)) for pid in pids]
        self.family = psutil.Process(self.process.pid).children(recursive=True)

    def survivors(self, processes: list[psutil.Process], within_s: float) -> list[psutil.Process]:
        self.process.wait(timeout=within_s)
        return [p for p in psutil.wait_procs(processes, timeout=within_s)[1] if p.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def driver() -> Iterator[Driver]:
    running = Driver()
    yield running
    for process in [psutil.Process(running.process.pid), *running.family] if running.process.poll() is None else []:
        process.kill()


@pytest.mark.slow
def test_a_local_ray_listens_on_the_loopback_alone_and_a_killed_driver_leaves_no_actor_behind(driver: Driver) -> None:
    assert len(driver.workers) == 2 and all(worker in driver.family for worker in driver.workers)
    sockets = [socket for process in driver.family for socket in process.net_connections()]
    listening = {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN}
    assert listening and listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    driver.process.send_signal(signal.SIGKILL)
    assert not driver.survivors(driver.workers, within_s=60)


@pytest.mark.slow
def test_a_running_cluster_is_joined_with_its_token_only_and_ctrl_c_ends_it_whole(driver: Driver) -> None:
    joined = _run(GUEST, {"RAY_ADDRESS": driver.address, "RAY_AUTH_MODE": "token"})
    assert joined.stdout.split() == ["joined", "1"], joined.stderr
    assert all(worker.is_running() for worker in driver.workers), "leaving must not stop what others started"

    refused = _run(GUEST, {"RAY_ADDRESS": driver.address, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64})
    assert "cannot be joined" in refused.stderr and "RAY_AUTH_TOKEN" in refused.stderr

    driver.process.send_signal(signal.SIGINT)
    assert not driver.survivors(driver.family, within_s=60)


def test_an_address_where_nothing_answers_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with (
        pytest.raises(Unreachable, match=r"(?s)RAY_ADDRESS=127\.0\.0\.1:1 cannot be joined.*Remedy"),
        start(num_cpus=1),
    ):
        pass


def test_a_local_ray_needs_a_cpu_slot() -> None:
    with pytest.raises(Unreachable, match="num_cpus=0"), start(num_cpus=0):
        pass


def _run(code: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """In a process of its own, because Ray reads its authentication settings once."""
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | env, capture_output=True, text=True, timeout=300, check=False
    )
