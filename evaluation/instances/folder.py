"""Makes the instances of a database, keeps them in folders like those of test suites, and finds them there.

DIR/<db_id>/<db_id>.sqlite is the database itself, every other *.sqlite beside it an instance.
"""

from __future__ import annotations

import hashlib
import logging
import marshal
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from evaluation.benchmarks import Example
from evaluation.databases.files import cache_directory
from evaluation.errors import UserError
from evaluation.instances.hints import Hints, hints
from evaluation.instances.kinds import KINDS
from graph.database import DatabaseError, identity
from graph.process import Process, timed_out
from graph.reader import check_database

log = logging.getLogger(__name__)
CHILD = Path(__file__).with_name("child.py")
VERSION = 2  # of what is made from a database, its golds and a seed
MOST_ROWS = 200_000  # of a database that is copied whole
MOST_BYTES = 256 * 2**20  # of the database file that lies first in its folder
_SETTINGS = {
    "deadline_s": 60.0,  # of processor time, for all instances of a database
    "wall_s": 300.0,
    "heap_bytes": 256 * 2**20,
    "memory_bytes": 2 * 2**30,
    "file_bytes": 2**30,
    "most_rows": MOST_ROWS,
}


@dataclass(frozen=True)
class Made:
    """Instances of one database. rows: of all its tables; sampled: whether they were too many to copy.

    error: why there are none, in one line.
    """

    files: tuple[str, ...] = ()
    rows: int = 0
    sampled: bool = False
    error: str = ""


class Maker:
    """A child process that reads databases and writes instances; it is replaced when a file takes it along."""

    def __init__(self, most_rows: int = MOST_ROWS) -> None:
        self._child: Process | None = None
        self._settings = {**_SETTINGS, "most_rows": most_rows}

    def make(self, database: str, folder: Path, name: str, seeds: Sequence[str], known: Hints) -> Made:
        """An instance per seed, as folder/<name>_<number>_<kind>.sqlite, kinds in turn; whole or not there."""
        try:
            check_database(Path(database))  # in seconds, whatever the file
        except DatabaseError as error:
            return Made(error=str(error))
        folder.mkdir(parents=True, exist_ok=True)
        kinds = [KINDS[number % len(KINDS)] for number in range(len(seeds))]
        names = [f"{name}_{number:02}_{kind}.sqlite" for number, kind in enumerate(kinds, 1)]
        with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as scratch:
            targets = [(f"{scratch}/{n}", kind, seed) for n, kind, seed in zip(names, kinds, seeds, strict=True)]
            request = {"source": database, "targets": targets, "joins": known.joins, "near": known.near}
            answers = self._ask(request, len(targets))
            if refused := next((error for _, _, error in answers if error), ""):
                return Made(error=refused)
            for made in names:
                os.replace(f"{scratch}/{made}", folder / made)
        total = answers[0][1] if answers else 0
        return Made(tuple(str(folder / made) for made in names), total, total > self._settings["most_rows"])

    def close(self) -> None:
        if self._child:
            self._child.kill()
            self._child = None

    def __enter__(self) -> Maker:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _ask(self, request: dict[str, Any], answers: int) -> list[tuple[int, int, str]]:
        """(rows, rows of the database, error) per instance, up to the first error."""
        child = self._child = self._child or Process(CHILD, self._settings)
        child.send(request)
        found: list[tuple[int, int, str]] = []
        while len(found) < answers and not (found and found[-1][2]):
            payload = child.read(self._settings["wall_s"] + 1)
            if payload is None:
                late, self._child = timed_out(child.post_mortem()), None
                found.append((0, 0, "it takes too long" if late else "reading it ended the process that read it"))
            else:
                found.append(marshal.loads(payload))
        return found


def make_folder(maker: Maker, examples: Sequence[Example], out: Path, count: int, seed: int) -> Made:
    """Of the one database of these examples: out/<db_id>/ with the database and `count` instances."""
    example = examples[0]
    folder = out / example.db_id
    known = hints(e.gold_sql for e in examples)
    made = maker.make(example.database, folder, example.db_id, _seeds(seed, example.db_id, count), known)
    if not made.error:
        _lay(Path(example.database), folder / f"{example.db_id}.sqlite")
    return made


def _seeds(seed: int, name: str, count: int) -> list[str]:
    return [f"{seed}/{name}/{number}" for number in range(count)]


def _lay(source: Path, target: Path) -> None:
    """A copy, or of a file that is too large a link."""
    if target.exists() and target.samefile(source):
        return
    target.unlink(missing_ok=True)
    if source.stat().st_size > MOST_BYTES:
        target.symlink_to(source)
    else:
        shutil.copyfile(source, target)


def instances(folder: Path, db_id: str) -> tuple[str, ...]:
    """The instances of a database in a folder that `make_folder` made, or one of test suites; without the database."""
    own = folder / db_id
    return tuple(str(file) for file in sorted(own.glob("*.sqlite")) if file.name != f"{db_id}.sqlite")


def in_folder(folder: Path, examples: Sequence[Example]) -> dict[str, tuple[str, ...]]:
    """Database path -> its instances in such a folder. UserError when it has none of any; what is missing is logged."""
    found = {example.database: instances(folder, example.db_id) for example in examples}
    missing = sorted({example.db_id for example in examples if not found[example.database]})
    if not any(found.values()):
        raise UserError(
            f"{folder} must hold a folder of .sqlite files per database, such as {folder}/{examples[0].db_id}; "
            f"there is none of any: write them with python -m evaluation.instances --out {folder}"
        )
    if missing:
        log.warning("%s: no instances of %d databases: %s", folder, len(missing), ", ".join(missing[:5]))
    return found


class Cached:
    """Instances as a judge asks for them, made in the cache when a database is first met, once per state of its file.

    They depend on the file alone, so that every process has the same. () for a database of which none can be made.
    """

    def __init__(self, count: int, seed: int = 0) -> None:
        self._count, self._seed = count, seed
        self._found: dict[str, tuple[str, ...]] = {}

    def get(self, database: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        if database not in self._found:
            self._found[database] = self._made(database) or default
        return self._found[database]

    def _made(self, database: str) -> tuple[str, ...]:
        name = Path(database).stem
        try:
            state = repr((VERSION, identity(database), self._count, self._seed))
        except DatabaseError as error:
            log.warning("%s: no instances of it: %s", database, error)
            return ()
        folder = cache_directory() / "instances" / hashlib.sha256(state.encode()).hexdigest()[:16]
        there = instances(folder, name)
        if len(there) == self._count:
            return there
        with Maker() as maker:
            made = maker.make(database, folder / name, name, _seeds(self._seed, name, self._count), Hints())
        if made.error:
            log.warning("%s: no instances of it: %s", database, made.error)
        return made.files
