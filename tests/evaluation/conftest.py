import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def vectors_dir() -> Path:
    """Official verdicts and hostile statements: the folder `vectors` beside the data, or `shared/vectors`."""
    data = os.environ.get("ROLLSQL_DATA")
    beside = Path(data).parent if data else Path(__file__).parents[3] / "shared"
    if not (beside / "vectors").is_dir():
        pytest.skip(f"no official verdicts in {beside / 'vectors'}")
    return beside / "vectors"
