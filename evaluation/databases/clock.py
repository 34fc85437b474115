"""Whether queries depend on the day or on chance, asked of SQLite in a process of its own (`clock_child.py`)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CHILD = Path(__file__).with_name("clock_child.py")
START_S = 30.0


def depends(requests: Sequence[tuple[str, str]], seconds: float) -> list[frozenset[str]]:
    """For each (database path, query that has run before): a set of "time" and "chance".

    seconds: of processor time that each may take. What cannot be told counts as both.
    """
    if not requests:
        return []
    asked = json.dumps([(path, sql, seconds) for path, sql in requests])
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(CHILD)],
            input=asked,
            capture_output=True,
            text=True,
            timeout=START_S + 4 * seconds * len(requests),
        )
        return [frozenset(text.split()) for text in json.loads(done.stdout)]
    except (subprocess.TimeoutExpired, ValueError):
        if len(requests) == 1:
            return [frozenset(("time", "chance"))]
    return [found for request in requests for found in depends([request], seconds)]
