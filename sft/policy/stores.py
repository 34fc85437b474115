"""Where checkpoints lie: a folder, or a URL that fsspec opens (s3://bucket/runs, gs://…, abfs://…, hf://…, file:///…).

A folder appears under its name at once, by a rename. A URL has no rename: there the manifest is sent last, so that what
was cut short has none.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import fsspec

from evaluation.errors import UserError

MANIFEST = "MANIFEST.json"
PATTERN = "step_*"
T = TypeVar("T")


class Folder:
    """A directory on a local or shared disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def names(self) -> list[str]:
        """Of all checkpoints, whole or not."""
        return [path.name for path in self.path.glob(PATTERN)]

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """A local directory with the checkpoint's files."""
        yield self.path / name

    @contextmanager
    def filling(self, name: str) -> Iterator[Path]:
        """A directory to fill that becomes `name` at the end; it is gone when that fails."""
        partial = self.path / f".{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            for path in (*files_in(partial), partial):
                _sync(path)
            self.drop(name)
            os.rename(partial, self.path / name)
            _sync(self.path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise

    def drop(self, name: str) -> None:
        shutil.rmtree(self.path / name, ignore_errors=True)


class Bucket:
    """A URL that fsspec opens. UserError for what its file system cannot do or reach, whatever that raises."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._fs, self._root = self._tried("be opened", lambda: fsspec.url_to_fs(self.url))

    def __str__(self) -> str:
        return self.url

    def names(self) -> list[str]:
        self._fs.invalidate_cache()  # listings are remembered, and others may write
        found = self._tried("be listed", lambda: self._fs.glob(f"{self._root}/{PATTERN}"))
        return [path.rstrip("/").rpartition("/")[2] for path in found]

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="rollsql-") as local:
            self._tried("be read", lambda: self._fs.get(f"{self._root}/{name}/", f"{local}/", recursive=True))
            yield Path(local)

    @contextmanager
    def filling(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="rollsql-") as local:
            yield Path(local)
            self._tried("be written", lambda: self._send(Path(local), name))

    def drop(self, name: str) -> None:
        self._tried("be written", lambda: self._remove(name))

    def _remove(self, name: str) -> None:
        """The manifest first: half of a checkpoint must not look whole."""
        target = f"{self._root}/{name}"
        if self._fs.exists(target):
            if self._fs.exists(f"{target}/{MANIFEST}"):
                self._fs.rm(f"{target}/{MANIFEST}")
            self._fs.rm(target, recursive=True)

    def _send(self, local: Path, name: str) -> None:
        self._remove(name)
        for path in sorted(files_in(local), key=lambda path: path.name == MANIFEST):
            target = f"{self._root}/{name}/{path.relative_to(local).as_posix()}"
            self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
            self._fs.put_file(str(path), target)

    def _tried(self, what: str, action: Callable[[], T]) -> T:
        try:
            return action()
        except Exception as error:  # each file system raises what its own library does
            reason = (str(error).strip().splitlines() or [""])[0]
            raise UserError(
                f"checkpoint.dir: {self.url} cannot {what}: {type(error).__name__}: {reason}\n"
                "It must be a folder, or a URL for which fsspec's package is installed (s3:// s3fs, gs:// gcsfs, "
                "abfs:// adlfs) and credentials are set. What was saved is untouched, and the same line again resumes."
            ) from error


Store = Folder | Bucket


def open_store(where: str | Path) -> Store:
    """The store at a path, or at a URL."""
    return Bucket(str(where)) if is_url(str(where)) else Folder(Path(where))


def is_url(where: str) -> bool:
    return "://" in where


def files_in(directory: Path) -> Sequence[Path]:
    """Also in folders below."""
    return sorted(path for path in directory.rglob("*") if path.is_file())


def _sync(path: Path) -> None:
    """Wait until a file or directory is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
