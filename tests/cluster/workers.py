"""Plain classes that misbehave on demand; module level, so that actors import them like any other class."""

import os
import signal
import subprocess
import time
from pathlib import Path


class Counter:
    """Counts its calls, and fails as told."""

    def __init__(self, start: int = 0, broken: str = "", slow_s: float = 0.0) -> None:
        time.sleep(slow_s)
        if broken:
            raise LookupError(f"no such thing: {broken}")
        self.value = start

    def add(self, n: int = 1) -> int:
        self.value += n
        return self.value

    def nap(self, seconds: float) -> str:
        time.sleep(seconds)
        return "rested"

    def fail(self) -> None:
        raise KeyError("the seventh key")

    def die(self) -> None:
        print("last words", file=__import__("sys").stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    def child(self) -> int:
        return subprocess.Popen(["sleep", "600"]).pid

    def env(self, key: str) -> str | None:
        return os.environ.get(key)


class Squarer:
    """Squares numbers; every attempt at an item leaves a line in `journal`.

    An item may be a number, or ("die", n) which kills the process at its first n attempts, or ("hang", n) likewise.
    """

    def __init__(self, journal: str, broken: bool = False, dies: bool = False) -> None:
        if broken:
            raise LookupError("no reward without a ruler")
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        self.journal = Path(journal)

    def square(self, items: list[object]) -> list[int]:
        return [self._one(item) for item in items]

    def _one(self, item: object) -> int:
        attempt = self._record(item)
        if isinstance(item, tuple):
            act, times = item
            if attempt <= times:
                self._misbehave(act)
            return -1
        if not isinstance(item, int):
            raise TypeError(f"not a number: {item!r}")
        return item * item

    def _record(self, item: object) -> int:
        with self.journal.open("a") as out:
            out.write(f"{item!r}\n")
        return self.journal.read_text().splitlines().count(repr(item))

    def _misbehave(self, act: str) -> None:
        if act == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(600)
