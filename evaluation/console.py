"""What a command says: on the terminal and, of a run, with times in the log.txt of its directory.

    with recorded():
        print("loading …")          # on the terminal; kept until there is a file to write it to
        log_to(run_dir)             # run_dir/log.txt: what was said so far, and what is said from now on
        seen = Count("evaluating", 480)
        seen(32)                    # evaluating: 32/480 questions, 1:10 left

On a terminal a line of progress replaces the one before; elsewhere one is printed every few seconds.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

FILE = "log.txt"
EVERY_S = 5.0
_ERASE = "\r\x1b[K"


class Log:
    """The lines said so far, then the file that they and later ones go to."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._file: IO[str] | None = None
        self._lock = threading.RLock()

    def open(self, run_dir: Path) -> None:
        """Appends to run_dir/log.txt from now on, the lines that wait first."""
        with self._lock:
            self.close()
            self._file = (run_dir / FILE).open("a", encoding="utf-8", errors="replace")
            waiting, self._waiting = self._waiting, []
            self._file.writelines(["-" * 20 + "\n", *waiting])
            self._file.flush()

    def write(self, text: str) -> None:
        """Each line with its time."""
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        lines = [f"{now}  {line}\n" for line in text.splitlines()]
        with self._lock:
            if self._file is None:
                self._waiting += lines
            else:
                self._file.writelines(lines)
                self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class _Tee:
    """A stream that also writes to a log, whole lines at a time."""

    def __init__(self, stream: Any, log: Log) -> None:
        self.stream, self._log, self._begun = stream, log, ""

    def write(self, text: str) -> int:
        clear_status()
        self.stream.write(text)
        *whole, self._begun = (self._begun + text).split("\n")
        if whole:
            self._log.write("\n".join(whole))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


_log: Log | None = None


def log_to(run_dir: Path) -> None:
    """What this command says goes to run_dir/log.txt from now on, and what it has said; nothing outside `recorded`."""
    if _log is not None:
        _log.open(run_dir)


def log_line(text: str) -> None:
    """Into the log alone."""
    if _log is not None:
        _log.write(text)


@contextmanager
def recorded() -> Iterator[None]:
    """In the block what is printed or logged goes into the log, too, and so does the traceback of what ends it."""
    global _log
    _log, before = Log(), (sys.stdout, sys.stderr)
    sys.stdout, sys.stderr = _Tee(before[0], _log), _Tee(before[1], _log)
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    try:
        yield
    except Exception as error:
        _log.write("".join(traceback.format_exception(error)))
        raise
    finally:
        clear_status()
        sys.stdout, sys.stderr = before
        logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
        _log.close()
        _log = None


class Count:
    """How far a piece of work is, and how long the rest takes: a line every EVERY_S seconds, and on a terminal one line
    that changes; then a last one."""

    def __init__(self, what: str, total: int, unit: str = "questions") -> None:
        self.what, self.total, self.unit = what, total, unit
        self.began = self.said = time.perf_counter()
        self.over = False

    def __call__(self, done: int) -> None:
        """`done` of the total are done."""
        now = time.perf_counter()
        text = f"{self.what}: {done}/{self.total} {self.unit}, {time_left(now - self.began, done, self.total)}"
        if done >= self.total and not self.over:
            self.over = True
            clear_status()
            print(f"{self.what}: {done}/{self.total} {self.unit}, {now - self.began:.0f} s", flush=True)
        elif not self.over and not status(text) and now - self.said >= EVERY_S:
            self.said = now
            print(text, flush=True)


def time_left(seconds: float, done: float, total: float) -> str:
    """
    >>> time_left(30.0, 10, 40), time_left(7200.0, 1, 3), time_left(1.0, 0, 3)
    ('1:30 left', '4:00:00 left', 'time left not known yet')
    """
    if done <= 0:
        return "time left not known yet"
    minutes, whole = divmod(round(seconds / done * max(0, total - done)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02} left" if hours else f"{minutes}:{whole:02} left"


_shown: list[Any] = []  # the terminal that shows a status line now


def status(text: str) -> bool:
    """Shows a line that the next one replaces; False where there is no terminal."""
    stream = getattr(sys.stdout, "stream", sys.stdout)
    if not stream.isatty():
        return False
    stream.write(_ERASE + text[:100])
    stream.flush()
    _shown[:] = [stream]
    return True


def clear_status() -> None:
    while _shown:
        _shown.pop().write(_ERASE)


def time_rows(seconds: Mapping[str, float]) -> dict[str, int]:
    """Whole seconds by part, that add up to the last, "total"; "other" is what no part accounts for.

    >>> time_rows({"sft": 60.4, "rl": 300.4, "total": 400.0})
    {'sft': 60, 'rl': 300, 'other': 40, 'total': 400}
    """
    known = {name: round(value) for name, value in seconds.items() if name not in ("driver", "other", "total")}
    whole = round(seconds.get("total", max(seconds.get("driver", 0), sum(known.values()) + seconds.get("other", 0))))
    rest = max(0, whole - sum(known.values()))
    return {**known, "other": rest, "total": sum(known.values()) + rest}
