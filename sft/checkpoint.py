"""Checkpoints that are whole or absent: files and a manifest with sizes and digests, renamed into place at the end.

    checkpoints/step_000010/  MANIFEST.json  trained.safetensors  optimizer.safetensors  learner.json  adapter/…

A directory without a valid manifest is not a checkpoint: `newest` names it, skips it and takes the one before.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evaluation.errors import UserError

MANIFEST = "MANIFEST.json"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """step: the last finished step. files: content by name. identity: digests of what must not change on resume."""

    step: int
    files: dict[str, bytes]
    identity: dict[str, str]


def write(directory: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Writes directory/step_N, whole or not at all, then drops all but the newest `keep`."""
    with filling(directory, checkpoint.step, checkpoint.identity, keep) as partial:
        for name, content in checkpoint.files.items():
            (partial / name).write_bytes(content)
    return _path(directory, checkpoint.step)


@contextmanager
def filling(directory: Path, step: int, identity: dict[str, str], keep: int) -> Iterator[Path]:
    """A directory to fill that becomes directory/step_N at the end; all but the newest `keep` are dropped then."""
    final = _path(directory, step)
    partial = directory / f".{final.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    files = sorted(path for path in partial.iterdir() if path.is_file())
    manifest = {"step": step, "identity": identity, "files": {path.name: _described(path) for path in files}}
    (partial / MANIFEST).write_text(json.dumps(manifest, indent=1))
    for path in (*files, partial / MANIFEST, partial):
        _sync(path)
    shutil.rmtree(final, ignore_errors=True)
    os.rename(partial, final)
    _sync(directory)
    for old in _candidates(directory)[keep:]:
        shutil.rmtree(old)


def newest(directory: Path, identity: dict[str, str]) -> Checkpoint | None:
    """The newest whole checkpoint, its files read, or None. Otherwise as `newest_directory`."""
    path = newest_directory(directory, identity)
    if path is None:
        return None
    manifest = json.loads((path / MANIFEST).read_text())
    files = {name: (path / name).read_bytes() for name in manifest["files"]}
    return Checkpoint(int(manifest["step"]), files, manifest["identity"])


def newest_directory(directory: Path, identity: dict[str, str]) -> Path | None:
    """Where the newest whole checkpoint lies, or None. Damaged ones are named in the log and skipped.

    UserError when it was made with another model, data or settings (`identity`): the run is left untouched.
    """
    for path in _candidates(directory):
        try:
            stored = _checked_identity(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("skipping damaged checkpoint %s: %s", path, error)
            continue
        _check_identity(path, stored, identity)
        return path
    return None


def step_of(path: Path) -> int:
    """The last finished step of the checkpoint at `path`."""
    return int(path.name.removeprefix("step_"))


def _check_identity(path: Path, stored: dict[str, str], given: dict[str, str]) -> None:
    for name, value in given.items():
        if stored.get(name) != value:
            raise UserError(
                f"{path} was made with another {name} (then {stored.get(name)}, now {value}). "
                "Give the run another name with run.name=…, or restore the setting; the existing run is untouched."
            )


def _checked_identity(path: Path) -> dict[str, str]:
    """The identity in the manifest. ValueError when a file is not what the manifest says."""
    manifest = json.loads((path / MANIFEST).read_text())
    int(manifest["step"])
    for name, expected in manifest["files"].items():
        found = _described(path / name)
        if found != expected:
            raise ValueError(f"{name} is not what the manifest says ({found['bytes']} of {expected['bytes']} bytes)")
    identity: dict[str, str] = manifest["identity"]
    return identity


def _described(path: Path) -> dict[str, int | str]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _path(directory: Path, step: int) -> Path:
    return directory / f"step_{step:06d}"


def _candidates(directory: Path) -> list[Path]:
    return sorted(directory.glob("step_*"), reverse=True)


def _sync(path: Path) -> None:
    """Wait until a file or directory is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
