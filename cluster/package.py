"""What a job takes along: the code of a working directory, without environments, runs, histories, caches and tests.

Everything hidden (`.git`, `.venv`, `.env`) stays at home. The files are copied into a folder of their own, so that
what is counted and bounded here is exactly what Ray sends.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cluster.errors import PackageTooLarge

MIB = 1 << 20
LIMIT_MIB = 200  # Ray refuses 512 and keeps packages in the memory of the head
SKIPPED_FOLDERS = frozenset({"runs", "tests", "build", "dist", "venv", "env", "node_modules", "__pycache__", "wandb"})
SKIPPED_SUFFIXES = frozenset({".pyc", ".egg-info", ".partial"})
_LARGEST_SHOWN = 5


@dataclass(frozen=True)
class Package:
    """Files relative to the root, sorted, and their bytes."""

    root: Path
    files: tuple[PurePosixPath, ...]
    bytes: int

    def holds(self, path: Path) -> bool:
        """Whether the file, or anything of the folder, is sent."""
        try:
            relative = PurePosixPath(path.resolve().relative_to(self.root.resolve()))
        except ValueError:
            return False
        return any(file == relative or relative in file.parents for file in self.files)


def gather(root: Path, also: Sequence[Path] = ()) -> Package:
    """The files below `root` that a job needs, and those of `also` that lie below it whatever their names.

    Raises:
        PackageTooLarge: names the largest files, and how to leave them out.
    """
    wanted = {PurePosixPath(path.relative_to(root)) for path in _walk(root)}
    inside = [path.resolve() for path in also if path.resolve().is_relative_to(root.resolve())]
    wanted |= {PurePosixPath(path.relative_to(root.resolve())) for path in inside}
    sizes = {file: (root / file).stat().st_size for file in wanted}
    total = sum(sizes.values())
    if total > LIMIT_MIB * MIB:
        raise PackageTooLarge(_too_large(root, sizes, total))
    return Package(root, tuple(sorted(wanted)), total)


def stage(package: Package, target: Path) -> Path:
    """Copy the files into the empty folder `target` and return it."""
    for file in package.files:
        place = target / file
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(package.root / file, place)
    return target


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if _is_sent(name) and name not in SKIPPED_FOLDERS)
        yield from (Path(folder) / name for name in sorted(files) if _is_sent(name) and (Path(folder) / name).is_file())


def _is_sent(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix not in SKIPPED_SUFFIXES


def _too_large(root: Path, sizes: dict[PurePosixPath, int], total: int) -> str:
    largest = sorted(sizes, key=lambda file: -sizes[file])[:_LARGEST_SHOWN]
    listed = "\n".join(f"  {sizes[file] / MIB:8.1f} MiB  {file}" for file in largest)
    return (
        f"the working directory {root.resolve()} has {total / MIB:.0f} MiB in {len(sizes)} files to send, a job may "
        f"take {LIMIT_MIB} MiB along. Largest:\n{listed}\n"
        "Move data and models elsewhere and name them by absolute paths, or into a folder that is not sent "
        f"(hidden ones, {', '.join(sorted(SKIPPED_FOLDERS))})."
    )
