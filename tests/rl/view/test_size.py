"""500 steps of 512 samples: every page within a second on two cores, the server within 400 MB."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.rl.view.fabricate import fabricate

ROOT = Path(__file__).resolve().parents[3]
PAGES = (
    "runs", "runs/large", "runs/large/log", "runs/large/steps/250", "runs/large/steps/250/groups/7",
    "runs/large/steps/250/groups/7/rows/1", "runs/large/steps/250/groups/7/schema", "runs/large/questions",
    "runs/large/questions/250/7", "runs/large/dev", "runs/large/dev/3",
)  # fmt: skip
MOST_S, MOST_MIB = 1.0, 400


@pytest.mark.slow
def test_a_large_run_is_shown_fast_from_the_first_page_on(tmp_path: Path) -> None:
    """Seconds are of the server's processor: those of the wall also tell what else the machine does."""
    fabricate(tmp_path / "large", steps=500, questions=64, samples=8, again=50)
    words = [sys.executable, "-m", "rl.view", str(tmp_path), "--port", "0"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    process = psutil.Process(server.pid)

    def seconds() -> float:
        spent = process.cpu_times()
        return spent.user + spent.system

    def page(address: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(urllib.request.urlopen(f"{url}api/{address}").read())
        assert "damaged" not in found
        return found

    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        page("mode")
        took: dict[str, float] = {}
        for address in PAGES:
            if address.endswith(("rows/1", "schema")):  # databases are opened once, behind the first page
                page(address)
            indexed, began = [0, 1], seconds()
            while indexed[0] < indexed[1]:
                began = seconds()
                indexed = page(address).get("indexed", [1, 1]) if address.endswith("questions") else [1, 1]
                took[address] = max(took.get(address, 0.0), seconds() - began)
        memory = process.memory_info().rss / 2**20
        print({address: round(spent, 2) for address, spent in took.items()}, round(memory), "MiB")
        assert max(took.values()) < MOST_S and memory < MOST_MIB
    finally:
        server.terminate()
        server.wait(10)
