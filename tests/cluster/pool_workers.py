"""Plain classes for pools that change while they work."""

import os
import time
from collections.abc import Sequence
from pathlib import Path


class Napper:
    """Doubles numbers, each after a nap; every attempt leaves a line "item pid" in `journal`."""

    def __init__(self, journal: str, nap_s: float) -> None:
        self.journal, self.nap_s = Path(journal), nap_s

    def double(self, items: Sequence[int]) -> list[int]:
        for item in items:
            with self.journal.open("a") as out:
                out.write(f"{item} {os.getpid()}\n")
            time.sleep(self.nap_s)
        return [2 * item for item in items]
