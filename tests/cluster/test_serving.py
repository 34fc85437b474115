"""An application as replicas on two nodes, one of which is lost while a crowd asks."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tests.cluster.head import free_port
from tests.drill import cluster_of

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0  # of a client, for one answer
# Answers with the node that it runs on; the second server's replicas do not start.
SERVER = """
import sys

from cluster.errors import ClusterError
from cluster.fit import Bundle
from cluster.runtime import start
from cluster.serving import served


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    import ray

    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": ray.get_runtime_context().get_node_id().encode()})


class Service:
    def __init__(self):
        self.app = app

    def check(self):
        pass


def broken():
    raise ValueError("there is no database here")


with start(num_cpus=2):
    try:
        with served(broken, Bundle("broken", 1, cpus=1), "broken", "127.0.0.1", int(sys.argv[1])):
            pass
    except ClusterError as error:
        print(error, flush=True)
    with served(Service, Bundle("replica", 2, cpus=1), "shop", "127.0.0.1", int(sys.argv[1])):
        print("served", flush=True)
        sys.stdin.read()
"""


def answer(url: str, tries: list[str]) -> str:
    """As a client that tries again; `tries` keeps why it had to."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            found = httpx.get(url, timeout=30)
            if found.status_code == 200:
                return found.text
            tries.append(f"{found.status_code} {found.text[:200]}")
        except httpx.TransportError as error:
            tries.append(repr(error))
        assert time.monotonic() < deadline, tries[-3:]
        time.sleep(0.1)


def replicas(node: psutil.Process) -> int:
    return sum("ServeReplica" in " ".join(one.cmdline()) for one in node.children(recursive=True))


@pytest.mark.long
def test_a_node_is_lost_and_clients_that_try_again_see_no_error(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with cluster_of(2, tmp_path) as (env, (head, lost)):
        line = [sys.executable, "-c", SERVER, str(port)]
        server = subprocess.Popen(
            line, cwd=ROOT, env=os.environ | env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert server.stdin is not None and server.stdout is not None
        said = (line for line in server.stdout if "(raylet)" not in line)  # Ray's own, of a controller that ends
        assert next(said) == "the replicas did not start: ValueError: there is no database here\n"
        assert next(said) == "served\n"
        assert (replicas(head), replicas(lost)) == (1, 1)
        tries: list[str] = []
        assert len({answer(url, tries) for _ in range(40)}) == 2 and tries == []
        failed: list[BaseException] = []
        ended = threading.Event()

        def client() -> None:
            try:
                while not ended.is_set():
                    answer(url, tries)
            except AssertionError as error:
                failed.append(error)

        clients = [threading.Thread(target=client) for _ in range(4)]
        for one in clients:
            one.start()
        time.sleep(1)
        for process in [*lost.children(recursive=True), lost]:
            process.kill()
        time.sleep(5)
        ended.set()
        for one in clients:
            one.join()
        assert not failed and len({answer(url, tries) for _ in range(10)}) == 1
        server.stdin.close()
        assert server.wait(60) == 0
