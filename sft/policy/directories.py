"""Directories that appear whole or not at all, made by one process however many want them; what a kill left is swept.

A process holds a lock (flock) on the directory that it fills or uses. The kernel lets go of it when the process ends,
however it ends: a directory that nobody holds is a dead process's.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from evaluation.errors import UserError

log = logging.getLogger(__name__)

_RANDOM = "?" * 8  # what tempfile ends a name with


class HeldDirectory:
    """A new directory `prefix`XXXXXXXX in `parent` that is ours until `release`, which removes it, or our end.

    Those of the same prefix that belong to nobody any more are removed first.
    """

    def __init__(self, parent: Path, prefix: str) -> None:
        _sweep(parent, prefix)
        held = None
        while held is None:  # between making it and holding it another process may sweep it
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
            held = _hold(self.path)
        self._descriptor = held

    def release(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):
            os.close(self._descriptor)


def roomy(places: Mapping[Path, int], needed: int) -> Path:
    """The first of these directories whose free bytes hold what is needed. UserError when none does.

    A container's /dev/shm may be as small as 64 MB.
    """
    for place, free in places.items():
        if free >= needed:
            return place
    there = ", ".join(f"{place} has {free / 2**20:,.0f}" for place, free in places.items()) or "none can be written to"
    raise UserError(
        f"the policies that an engine serves at once need {needed / 2**20:,.0f} MiB in a directory of temporary files, "
        f"and {there}: free some, or name another in TMPDIR"
    )


@contextmanager
def replacing(directory: Path) -> Iterator[Path]:
    """A directory to fill that takes the name of `directory` when all went well and vanishes when not."""
    with _filling(directory) as partial:
        yield partial
        partial.chmod(0o755)
        if directory.exists():
            old = HeldDirectory(directory.parent, f".{directory.name}-old-")
            os.replace(directory, old.path)
            os.replace(partial, directory)
            old.release()
        else:
            os.replace(partial, directory)


def made_once(directory: Path, fill: Callable[[Path], None], is_whole: Callable[[Path], bool]) -> Path:
    """`directory`, filled unless it is there and whole; others that want it wait. A whole one is never replaced."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    if directory.is_dir() and is_whole(directory):
        return directory
    with _locked(directory.with_name(f"{directory.name}.lock")):
        if directory.is_dir() and not is_whole(directory):
            shutil.rmtree(directory)
        if not directory.is_dir():
            with _filling(directory) as partial:
                fill(partial)
                partial.chmod(0o755)
                with suppress(FileExistsError):  # made meanwhile, where the file system has no locks
                    _rename(partial, directory)
    return directory


@contextmanager
def _filling(directory: Path) -> Iterator[Path]:
    partial = HeldDirectory(directory.parent, f".{directory.name}-")
    try:
        yield partial.path
    finally:
        partial.release()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("waiting for another process that makes %s", path.with_suffix(""))
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
        yield


def _hold(directory: Path) -> int | None:
    """A descriptor with the lock; None where the directory was swept before. Without locks, a descriptor alone."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    if directory.exists():
        return descriptor
    os.close(descriptor)
    return None


def _sweep(parent: Path, prefix: str) -> None:
    for left in parent.glob(f"{glob.escape(prefix)}{_RANDOM}"):
        with suppress(OSError):  # another user's, or gone by now
            descriptor = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(descriptor)


def _rename(partial: Path, directory: Path) -> None:
    try:
        os.rename(partial, directory)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise FileExistsError(directory) from error
        raise
