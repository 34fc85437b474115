"""One server for all tests of this folder: the command itself, with the bundled model, on a free port."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SHOP = ROOT / "docs" / "shop" / "shop.sqlite"


@dataclass(frozen=True)
class Server:
    """url: without a slash at its end; feedback: the file of training rows; folder: where the databases lie."""

    url: str
    feedback: Path
    folder: Path
    process: subprocess.Popen[str]


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    shutil.copy(SHOP, folder / "shop.sqlite")
    shutil.copy(SHOP, folder / "second shop.db")
    feedback = folder / "feedback.jsonl"
    command = [sys.executable, "-m", "rl.serve", "--database", str(folder), "--port", "0", "--max-tokens", "64"]
    command += ["--feedback", str(feedback), "--uploads", "4"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip().rstrip("/")
        assert url.startswith("http://127.0.0.1:"), url
        yield Server(url, feedback, folder, process)
        process.terminate()
        process.wait(30)
