"""A real Ray head with token authentication, all of it on the loopback, for tests."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

START_S = 120


@dataclass(frozen=True)
class Head:
    address: str
    env: dict[str, str]  # what a client needs beside its own environment
    pid: int  # of `ray start`, whose children are all of Ray

    def get(self, path: str, data: bytes | None = None) -> Any:
        """JSON of the dashboard; a POST when there is data."""
        headers = {"Authorization": f"Bearer {self.env['RAY_AUTH_TOKEN']}"}
        request = urllib.request.Request(self.address + path, data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def ray_head(num_cpus: int) -> Iterator[Head]:
    """Starts the head in processes of its own and kills all of them at the end."""
    token, port = secrets.token_hex(32), free_port()
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # short: Ray's sockets lie in it, and their paths are bounded
    env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_USAGE_STATS_ENABLED": "0"}
    settings = env | {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_enable_metrics_collection": "false"}
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--disable-usage-stats"]
    command += ["--node-ip-address=127.0.0.1", f"--port={free_port()}", f"--ray-client-server-port={free_port()}"]
    command += ["--dashboard-host=127.0.0.1", f"--dashboard-port={port}", f"--num-cpus={num_cpus}"]
    command += [f"--dashboard-agent-listen-port={free_port()}"]  # its default may be another Ray's of this machine
    command += ["--object-store-memory=134217728", f"--temp-dir={folder}"]
    with (folder / "head.log").open("w") as log:
        head = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log, start_new_session=True)
    try:
        running = Head(f"http://127.0.0.1:{port}", env, head.pid)
        _wait(running, head, folder / "head.log")
        yield running
    finally:
        family = [*psutil.Process(head.pid).children(recursive=True), psutil.Process(head.pid)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        head.wait()
        psutil.wait_procs(family, timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(running: Head, head: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and head.poll() is None:
        try:
            if running.get("/api/v0/nodes")["data"]["result"]["total"]:
                return
        except OSError:
            pass
        time.sleep(0.3)
    raise AssertionError(f"the head did not start:\n{log.read_text()[-2000:]}")
