"""The samples of a run, step by step, from its Parquet files: columns as they are asked for, and one small index.

A file that is damaged is named, and its step is left out; `.partial` files are being written and never looked at.
"""

from __future__ import annotations

import re
import threading
import time
from bisect import insort
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.benchmarks import Example
from evaluation.sql_diff import tables_named
from rl.types import Reward

_NAME = re.compile(r"step_(\d{1,9})\.parquet")
INDEXED = ("example_id", "db_id", "question", "gold", "verdict", "reward", "advantage")
REQUIRED = frozenset(("example_id", "sql", "verdict"))
LISTS = ("prompt_ids", "token_ids", "log_probs")
KNOWN = frozenset((*INDEXED, *LISTS, "sample", "policy_step", "sql", "error", "finish_reason"))
LONGEST_TEXT = 20_000  # characters of a question or query that go to a page


class Damaged(Exception):
    """A file of samples that cannot be read; the text says which, and why."""


@dataclass(frozen=True)
class Question:
    id: str
    db_id: str
    text: str
    gold: str
    tables: int

    def shown(self, example: Example | None) -> dict[str, Any]:
        """As the pages have it; the hardness is known where the benchmark is at hand."""
        return {
            "id": self.id,
            "database": self.db_id,
            "question": self.text,
            "gold": self.gold,
            "tables": self.tables,
            "hardness": example.hardness if example else "",
        }


def question_of(name: str, db_id: str, text: str, gold: str) -> Question:
    """With its texts cut to what a page shows."""
    return Question(
        name[:LONGEST_TEXT], db_id[:LONGEST_TEXT], text[:LONGEST_TEXT], gold[:LONGEST_TEXT], len(tables_named(gold))
    )


@dataclass
class GroupFigures:
    """One question at one step. number: its place in the step; question: in the index; first, count: its rows in the
    file; right: how many samples are."""

    step: int
    number: int
    question: int
    first: int
    count: int
    right: int
    reward: float
    signal: bool
    verdicts: dict[str, int]


@dataclass
class Index:
    """What every step asked and what became of it; grows by `update`, a little at a time.

    questions: in the order in which they were read.
    """

    folder: Path
    questions: list[Question] = field(default_factory=list)
    steps: dict[int, list[GroupFigures]] = field(default_factory=dict)
    damaged: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._seen: dict[int, tuple[int, int]] = {}
        self._asked: dict[int, list[GroupFigures]] = {}
        self._lock = threading.Lock()

    def update(self, seconds: float) -> tuple[int, int]:
        """Reads new and changed files for at most so long. (steps known, steps there)."""
        end = time.monotonic() + seconds
        with self._lock:
            files = step_files(self.folder)
            for gone in set(self._seen) - set(files):
                self._forget(gone)
            for done, (step, path) in enumerate(files.items()):
                state = _state(path)
                if self._seen.get(step) == state:
                    continue
                if time.monotonic() > end and done:
                    break
                self._forget(step)
                self._seen[step] = state
                self._read(step, path)
            return len(self._seen), len(files)

    def add(self, step: int) -> None:
        """Reads one step now, in its turn or not."""
        with self._lock:
            path = self.folder / "rollouts" / f"step_{step:06d}.parquet"
            if path.is_file() and self._seen.get(step) != _state(path):
                self._forget(step)
                self._seen[step] = _state(path)
                self._read(step, path)

    def history(self, question: int) -> list[GroupFigures]:
        """Each time that a question was asked, in the order of the steps."""
        return self._asked.get(question, [])

    def _forget(self, step: int) -> None:
        for group in self.steps.pop(step, []):
            self._asked[group.question].remove(group)
        self.damaged.pop(step, None)
        self._seen.pop(step, None)

    def _read(self, step: int, path: Path) -> None:
        try:
            columns = read(path, INDEXED)
        except Damaged as error:
            self.damaged[step] = str(error)
            return
        groups: list[GroupFigures] = []
        for first, count in group_bounds(columns["example_id"]):
            rows = slice(first, first + count)
            number = self._number({name: columns[name][first] for name in ("example_id", "db_id", "question", "gold")})
            verdicts, rewards = columns["verdict"][rows], columns["reward"][rows]
            right = sum(map(is_right, verdicts))
            moved = any(columns["advantage"][rows])
            groups.append(
                GroupFigures(
                    step, len(groups), number, first, count, right, sum(rewards) / count, moved and 0 < right < count,
                    dict(Counter(verdicts)),
                )
            )  # fmt: skip
            insort(self._asked.setdefault(number, []), groups[-1], key=lambda group: group.step)
        self.steps[step] = groups

    def _number(self, row: dict[str, str]) -> int:
        key = (row["example_id"], row["gold"])
        if key not in self._numbers:
            self._numbers[key] = len(self.questions)
            self.questions.append(question_of(row["example_id"], row["db_id"], row["question"], row["gold"]))
        return self._numbers[key]


def step_files(folder: Path) -> dict[int, Path]:
    """The files of a run's steps, by step."""
    try:
        names = [path for path in (folder / "rollouts").iterdir() if _NAME.fullmatch(path.name)]
    except OSError:
        return {}
    return dict(sorted((int(path.stem.removeprefix("step_")), path) for path in names))


def read(path: Path, names: Sequence[str], first: int = 0, count: int | None = None) -> dict[str, list[Any]]:
    """Columns of a file, of the rows from `first` on; a column that it lacks is made of its kind's nothing.

    Damaged: it cannot be read, or is no file of samples.
    """
    try:
        with pq.ParquetFile(path) as file:
            there = set(file.schema_arrow.names)
            if lacking := REQUIRED - there:
                raise Damaged(f"{path.name} is no file of samples: it lacks {', '.join(sorted(lacking))}")
            table = file.read(columns=[name for name in names if name in there])
            rows = table.slice(first, count)
            found = {name: rows.column(name).to_pylist() for name in rows.column_names}
    except (OSError, pa.ArrowException, ValueError) as error:
        raise Damaged(f"{path.name} is damaged: {' '.join(str(error).split())[:200]}") from None
    length = rows.num_rows
    return {name: _plain(name, found.get(name) or [None] * length) for name in names}


def parts_of(path: Path) -> list[str]:
    """The reward's parts that a file tells. Damaged, as above."""
    try:
        with pq.ParquetFile(path) as file:
            return [name for name in file.schema_arrow.names if name not in KNOWN]
    except (OSError, pa.ArrowException, ValueError) as error:
        raise Damaged(f"{path.name} is damaged: {' '.join(str(error).split())[:200]}") from None


def group_bounds(ids: Sequence[str]) -> Iterator[tuple[int, int]]:
    """(first row, rows) of each group: the samples of a question stand together."""
    first = 0
    for place in range(1, len(ids) + 1):
        if place == len(ids) or ids[place] != ids[first]:
            yield first, place - first
            first = place


def is_right(verdict: str) -> bool:
    return Reward(0.0, {}, verdict).correct


def _plain(name: str, values: list[Any]) -> list[Any]:
    if name in LISTS:
        return [value if isinstance(value, list) else [] for value in values]
    if name in ("reward", "advantage"):
        return [float(value) if isinstance(value, (int, float)) else 0.0 for value in values]
    if name in ("sample", "policy_step"):
        return [value if isinstance(value, int) else None for value in values]
    if name in KNOWN:
        return ["" if value is None else str(value) for value in values]
    return values


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
