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
    final = directory / f"step_{checkpoint.step:06d}"
    partial = directory / f".{final.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, content in checkpoint.files.items():
        _write_synced(partial / name, content)
    _write_synced(partial / MANIFEST, json.dumps(_manifest(checkpoint), indent=1).encode())
    _sync_directory(partial)
    shutil.rmtree(final, ignore_errors=True)
    os.rename(partial, final)
    _sync_directory(directory)
    for old in _candidates(directory)[keep:]:
        shutil.rmtree(old)
    return final


def newest(directory: Path, identity: dict[str, str]) -> Checkpoint | None:
    """The newest whole checkpoint, or None. Damaged ones are named in the log and skipped.

    UserError when it was made with another model, data or settings (`identity`): the run is left untouched.
    """
    for path in _candidates(directory):
        try:
            checkpoint = _read(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("skipping damaged checkpoint %s: %s", path, error)
            continue
        _check_identity(path, checkpoint.identity, identity)
        return checkpoint
    return None


def _check_identity(path: Path, stored: dict[str, str], given: dict[str, str]) -> None:
    for name, value in given.items():
        if stored.get(name) != value:
            raise UserError(
                f"{path} was made with another {name} (then {stored.get(name)}, now {value}). "
                "Give the run another name with run.name=…, or restore the setting; the existing run is untouched."
            )


def _manifest(checkpoint: Checkpoint) -> dict[str, object]:
    files = {name: {"bytes": len(c), "sha256": _digest(c)} for name, c in checkpoint.files.items()}
    return {"step": checkpoint.step, "identity": checkpoint.identity, "files": files}


def _read(path: Path) -> Checkpoint:
    manifest = json.loads((path / MANIFEST).read_text())
    files = {}
    for name, expected in manifest["files"].items():
        content = (path / name).read_bytes()
        if len(content) != expected["bytes"] or _digest(content) != expected["sha256"]:
            raise ValueError(f"{name} is not what the manifest says ({len(content)} of {expected['bytes']} bytes)")
        files[name] = content
    return Checkpoint(int(manifest["step"]), files, manifest["identity"])


def _candidates(directory: Path) -> list[Path]:
    return sorted(directory.glob("step_*"), reverse=True)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
