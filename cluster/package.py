"""What a job takes along: the code of a working directory, without environments, runs, histories, caches and tests.

Ray packs the folder and leaves out what `EXCLUDES` matches; here it is counted, and bounded, by the same names.
"""

import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import PackageTooLarge

MIB = 1 << 20
LIMIT_MIB = 200  # Ray refuses 512 and keeps packages in the memory of the head
EXCLUDES = (
    ".?*", "runs", "tests", "build", "dist", "venv", "env", "node_modules", "__pycache__", "wandb",
    "*.pyc", "*.egg-info", "*.partial",
)  # fmt: skip
"""Names of files and folders, as in a .gitignore."""
_LARGEST_SHOWN = 5


@dataclass(frozen=True)
class Package:
    """Files below the root, and their bytes."""

    root: Path
    sizes: dict[Path, int]

    @property
    def bytes(self) -> int:
        return sum(self.sizes.values())

    def holds(self, path: Path) -> bool:
        """Whether the file, or anything of the folder, is sent."""
        path = path.resolve()
        return path.is_relative_to(self.root) and any(file.is_relative_to(path) for file in self.sizes)


def gather(root: Path) -> Package:
    """The files below `root` that a job takes along. PackageTooLarge names the largest, and how to leave them out."""
    root = root.resolve()
    package = Package(root, {path: path.stat().st_size for path in _walk(root)})
    if package.bytes > LIMIT_MIB * MIB:
        raise PackageTooLarge(_too_large(package))
    return package


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = filter(_is_sent, folders)
        yield from (path for path in map(Path(folder).joinpath, filter(_is_sent, files)) if path.is_file())


def _is_sent(name: str) -> bool:
    return not any(fnmatch.fnmatchcase(name, pattern) for pattern in EXCLUDES)


def _too_large(package: Package) -> str:
    sizes, root = package.sizes, package.root
    largest = sorted(sizes, key=lambda file: -sizes[file])[:_LARGEST_SHOWN]
    listed = "\n".join(f"  {sizes[file] / MIB:8.1f} MiB  {file.relative_to(root)}" for file in largest)
    return (
        f"the working directory {root} has {package.bytes / MIB:.0f} MiB in {len(sizes)} files to send, a job may "
        f"take {LIMIT_MIB} MiB along. Largest:\n{listed}\n"
        f"Move data and models elsewhere and name them by absolute paths, or into a folder that is not sent "
        f"({', '.join(EXCLUDES)})."
    )
