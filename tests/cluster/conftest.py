from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.runtime import Runtime, start


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    """A local Ray for the tests of one file."""
    with start(num_cpus=4, object_store_mib=128) as running:
        yield running


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """An empty file in which workers leave a line per item."""
    path = tmp_path / "journal"
    path.touch()
    return path
