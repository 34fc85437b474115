from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cluster.runtime import Runtime, start


class Shared:
    """A local Ray, started for the first test that asks for it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._running: Runtime | None = None

    def runtime(self) -> Runtime:
        if self._running is None:
            self._running = self._stack.enter_context(start(num_cpus=4, object_store_mib=128))
        return self._running

    def end(self) -> None:
        self._running = None
        self._stack.close()


@pytest.fixture(scope="package")
def shared() -> Iterator[Shared]:
    ray = Shared()
    yield ray
    ray.end()


@pytest.fixture
def runtime(shared: Shared) -> Runtime:
    """The local Ray of this folder's tests, with 4 CPU slots; what a test starts there it ends."""
    return shared.runtime()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """An empty file in which workers leave a line per item."""
    path = tmp_path / "journal"
    path.touch()
    return path
