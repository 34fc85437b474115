"""What every test may ask for: the real benchmarks where they are, and quiet, offline, repeatable surroundings."""

import logging
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
# Set before any package reads them; actors and child processes inherit them.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "Agg")
# Toy matrices gain nothing from threads, and threads that spin cost ten times when a core is shared.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(scope="session")
def spider_dir() -> Path:
    """Folder of the Spider benchmark."""
    return _benchmark("spider", "dev.json")


@pytest.fixture(scope="session")
def bird_dir() -> Path:
    """Folder of the BIRD benchmark."""
    return _benchmark("bird", "dev.json")


@pytest.fixture(scope="session")
def published(spider_dir: Path) -> Path:
    """Folder of the samples of other published datasets, a folder for each."""
    folder = spider_dir.parent / "published"
    if not folder.is_dir():
        pytest.skip(f"no samples in {folder}")
    return folder


@pytest.fixture(scope="session")
def cases_dir() -> Path:
    """Inputs with the value that is right: the folder `cases` beside the data, or `shared/cases`."""
    data = os.environ.get("ROLLSQL_DATA")
    cases = (Path(data).parent if data else ROOT.parent / "shared") / "cases"
    if not cases.is_dir():
        pytest.skip(f"no cases in {cases}")
    return cases


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """A headless Chromium of this machine."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=quiet)
        yield started
        started.close()


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """A command that runs inside a test logs to that test's streams, which are closed when it ends."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also the tests that take minutes")


def pytest_configure() -> None:
    """A shell's background job ignores Ctrl-C, and so would the commands whose answer to it is tested."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks follow from what a test asks for; tests for a GPU are skipped where there is none.

    Files with many slow tests come first, so that no process is left with one of them at the end.
    """
    has_gpu = Path("/dev/nvidiactl").exists()
    for item in items:
        if {"spider_dir", "bird_dir"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.data)
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
        if item.get_closest_marker("gpu") and not has_gpu:
            item.add_marker(pytest.mark.skip(reason="no CUDA GPU on this machine"))
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.slow)
            if not config.getoption("--long"):
                item.add_marker(pytest.mark.skip(reason="takes minutes: --long runs it"))
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def _benchmark(name: str, proof: str) -> Path:
    given = os.environ.get("ROLLSQL_DATA")
    folders = [Path(given)] if given else [ROOT.parent / "shared" / "data", ROOT / "shared" / "data"]
    for folder in folders:
        if (folder / name / proof).is_file():
            return folder / name
    pytest.skip(f"no {name} data: set ROLLSQL_DATA to a folder that holds {name}/, or lay it at {folders[0] / name}")
