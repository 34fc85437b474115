"""Checkpoints that are whole or absent: files, then a manifest with their sizes and digests.

    checkpoints/step_000010/  MANIFEST.json  trained.safetensors  optimizer.safetensors  run/metrics.jsonl …

What has no valid manifest is not a checkpoint: `newest` names it, skips it and takes the one before.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.errors import UserError
from sft.policy.stores import MANIFEST, Folder, Store, files_in

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """step: the last finished step. files: content by name, "/" between folders. identity: digests of what must not
    change on resume."""

    step: int
    files: dict[str, bytes]
    identity: dict[str, str]


def write(store: Store, checkpoint: Checkpoint, keep: int) -> None:
    """Writes step_N, whole or not at all, then drops all but the newest `keep`."""
    with filling(store, checkpoint.step, checkpoint.identity, keep) as partial:
        for name, content in checkpoint.files.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / name).write_bytes(content)


@contextmanager
def filling(store: Store, step: int, identity: dict[str, str], keep: int) -> Iterator[Path]:
    """A directory to fill that becomes step_N at the end; all but the newest `keep` are dropped then."""
    with store.filling(f"step_{step:06d}") as partial:
        yield partial
        described = {path.relative_to(partial).as_posix(): _described(path) for path in files_in(partial)}
        manifest = {"step": step, "identity": identity, "files": described}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1))
    for old in _newest_first(store)[keep:]:
        store.drop(old)


def newest(store: Store, identity: dict[str, str]) -> Checkpoint | None:
    """The newest whole checkpoint, its files read, or None. Damaged ones are named in the log and skipped.

    UserError when it was made with another model, data or settings (`identity`): the run is left untouched.
    """
    with _newest_whole(store, identity) as found:
        if found is None:
            return None
        path, manifest = found
        files = {file: (path / file).read_bytes() for file in manifest["files"]}
        return Checkpoint(int(manifest["step"]), files, manifest["identity"])


def newest_directory(folder: Folder, identity: dict[str, str]) -> Path | None:
    """Where the newest whole checkpoint of a folder lies, or None. Otherwise as `newest`."""
    with _newest_whole(folder, identity) as found:
        return found[0] if found else None


@contextmanager
def _newest_whole(store: Store, identity: dict[str, str]) -> Iterator[tuple[Path, dict[str, Any]] | None]:
    """(a directory with its files, its manifest) while the `with` block lasts."""
    for name in _newest_first(store):
        shown = f"{store}/{name}"
        with store.fetched(name) as path:
            if manifest := _valid_manifest(path, shown):
                _check_identity(shown, manifest["identity"], identity)
                yield path, manifest
                return
    yield None


def step_of(path: Path) -> int:
    """The last finished step of the checkpoint at `path`."""
    return int(path.name.removeprefix("step_"))


def _valid_manifest(path: Path, shown: str) -> dict[str, Any] | None:
    """What MANIFEST.json says, if the files are as it says."""
    try:
        return _checked(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("skipping damaged checkpoint %s: %s", shown, error)
        return None


def _checked(path: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text())
    int(manifest["step"])
    dict(manifest["identity"])
    for name, expected in manifest["files"].items():
        found = _described(path / name)
        if found != expected:
            raise ValueError(f"{name} is not what the manifest says: {found}, but expected {expected}")
    return manifest


def _check_identity(shown: str, stored: dict[str, str], given: dict[str, str]) -> None:
    for name, value in given.items():
        if stored.get(name) != value:
            raise UserError(
                f"{shown} was made with another {name} (then {stored.get(name)}, now {value}). "
                "Give the run another name with run.name=…, or restore the setting; the existing run is untouched."
            )


def _described(path: Path) -> dict[str, int | str]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _newest_first(store: Store) -> list[str]:
    return sorted(store.names(), reverse=True)
