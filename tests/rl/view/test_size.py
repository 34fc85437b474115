"""500 steps of 512 samples: every page within a second on two cores, the server within 400 MB."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

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
    fabricate(tmp_path / "large", steps=500, questions=64, samples=8, again=50)
    words = [sys.executable, "-m", "rl.view", str(tmp_path), "--port", "0"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        urllib.request.urlopen(url + "api/mode").read()
        took: dict[str, float] = {}
        for address in (*PAGES, *["runs/large/questions"] * 8, *PAGES):
            if "rows" in address or "schema" in address:  # databases are opened once, behind the first page
                urllib.request.urlopen(f"{url}api/{address}").read()
            began = time.perf_counter()
            page = json.loads(urllib.request.urlopen(f"{url}api/{address}").read())
            took[address] = max(took.get(address, 0.0), time.perf_counter() - began)
            assert "damaged" not in page
        memory = psutil.Process(server.pid).memory_info().rss / 2**20
        print({address: round(seconds, 2) for address, seconds in took.items()}, round(memory), "MiB")
        assert json.loads(urllib.request.urlopen(url + "api/runs/large/questions").read())["indexed"] == [500, 500]
        assert max(took.values()) < MOST_S and memory < MOST_MIB
    finally:
        server.terminate()
        server.wait(10)
