"""One process per run directory."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from evaluation.command import check_folder
from evaluation.errors import UserError


@contextmanager
def locked(directory: Path, otherwise: str = "set run.name=…") -> Iterator[TextIO]:
    """Holds the directory, made if need be, until the end or the process's.

    UserError: another process does, or it cannot be written to.
    """
    check_folder(directory, "the run")
    with (directory / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{directory} is in use by another process: wait for it or {otherwise}") from None
        yield lock
