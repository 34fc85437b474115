"""One small run for the tests of the viewer, and a server that shows it."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn

from rl.view.__main__ import listening
from rl.view.control import Control
from rl.view.pages import Pages
from rl.view.server import app
from tests.rl.view.fabricate import fabricate


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run `small`; not to be changed."""
    root = tmp_path_factory.mktemp("runs")
    fabricate(root / "small")
    return root


@pytest.fixture
def pages(runs: Path) -> Iterator[Pages]:
    made = Pages([runs])
    yield made
    made.close()


@pytest.fixture(scope="session")
def served() -> Iterator[Callable[..., str]]:
    """served(roots, token=…, …) -> the address of a server that shows them."""
    started: list[tuple[uvicorn.Server, threading.Thread, Pages]] = []

    def start(*roots: Path, token: str = "", follow: bool = False, control: Control | None = None) -> str:
        pages, bound = Pages(roots), listening("127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(app(pages, token, follow, control=control), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        started.append((server, thread, pages))
        return f"http://localhost:{bound.getsockname()[1]}/"

    yield start
    for server, thread, pages in started:
        server.should_exit = True
        thread.join(5)
        pages.close()
