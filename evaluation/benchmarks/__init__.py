"""Questions with their gold SQL and their database, from any benchmark, in one type.

tiny    bundled: evaluation/tiny/{train,dev}.jsonl and databases/*.sql, built into the cache directory
spider  DATA/{train_spider,dev}.json, DATA/database/<db_id>/<db_id>.sqlite
bird    DATA/{train,dev}.json, DATA/{train,dev}_databases/<db_id>/<db_id>.sqlite; also split mini_dev
own     DATA/<split>.jsonl with {"db_id", "question", "sql"} per line, DATA/<db_id>.sqlite
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from evaluation.errors import UserError
from evaluation.text_files import read_records, read_text
from graph.database import DatabaseError
from graph.reader import check_database

log = logging.getLogger(__name__)
Benchmark = Literal["tiny", "spider", "bird", "own"]
BENCHMARKS = get_args(Benchmark)
SQLITE_MAGIC = b"SQLite format 3\0"
TINY = Path(__file__).parent.parent / "tiny"


@dataclass(frozen=True)
class Example:
    """One question.

    database: path of the SQLite file. hardness: the benchmark's own level or kind of question, "" when it has none.
    evidence: knowledge given with the question (BIRD), else "".
    """

    id: str
    db_id: str
    question: str
    evidence: str
    gold_sql: str
    database: str
    hardness: str


@dataclass(frozen=True)
class Split:
    """A split in file order. questions: (id, db_id) of every question of the file; positions[i] is the place of
    examples[i] among them; they differ when the database of some question is missing."""

    examples: tuple[Example, ...]
    positions: tuple[int, ...]
    questions: tuple[tuple[str, str], ...]
    tables: Path | None = None  # the benchmark's tables.json, where it has one

    @property
    def total(self) -> int:
        return len(self.questions)

    @property
    def dropped(self) -> int:
        return self.total - len(self.examples)


@dataclass(frozen=True)
class _Layout:
    """Where a benchmark keeps things, and the names of its fields."""

    questions: dict[str, str]  # split -> file, relative to the data directory
    database: Callable[[Path, str, str], Path]  # (data directory, split, db_id) -> file
    sql: str = "sql"
    id: str = "id"
    hardness: str = ""
    tables: str = "tables.json"


_LAYOUTS = {
    "tiny": _Layout(
        {"train": "train.jsonl", "dev": "dev.jsonl"},
        lambda data, split, db_id: data / "databases" / f"{db_id}.sql",
        hardness="kind",
    ),
    "spider": _Layout(
        {"train": "train_spider.json", "dev": "dev.json"},
        lambda data, split, db_id: data / "database" / db_id / f"{db_id}.sqlite",
        sql="query",
        hardness="hardness",
    ),
    "bird": _Layout(
        {"train": "train.json", "dev": "dev.json", "mini_dev": "mini_dev_sqlite.json"},
        lambda data, split, db_id: (
            data / ("train_databases" if split == "train" else "dev_databases") / db_id / f"{db_id}.sqlite"
        ),
        sql="SQL",
        id="question_id",
        hardness="difficulty",
        tables="dev_tables.json",
    ),
    "own": _Layout(
        {"train": "train.jsonl", "dev": "dev.jsonl"},
        lambda data, split, db_id: data / f"{db_id}.sqlite",
        hardness="hardness",
    ),
}


def load_examples(benchmark: str, split: str, data_dir: Path | None = None) -> list[Example]:
    """The questions of a split, in file order; those without a database are left out, counted and logged.

    UserError: unknown benchmark or split, no data directory, malformed questions, impossible db_id, a database that
    is not SQLite, no question with a database.
    """
    return list(load_split(benchmark, split, data_dir).examples)


def load_split(benchmark: str, split: str, data_dir: Path | None = None) -> Split:
    """As `load_examples`, with the place of each question in the file."""
    layout = _layout(benchmark, split)
    path = questions_file(benchmark, split, data_dir)
    data = path.parent
    records = read_records(path)
    files = {db_id: layout.database(data, split, db_id) for db_id in _db_ids(records, path)}
    if benchmark == "tiny":
        files = {db_id: build_database(script) for db_id, script in files.items() if script.is_file()}
    present = {db_id for db_id, file in files.items() if file.is_file()}
    for db_id in sorted(present):
        check_sqlite(files[db_id])
    missing = Counter(record["db_id"] for record in records if record["db_id"] not in present)
    _report_missing(missing, len(records), path, layout.database(data, split, "<db_id>"))
    kept = [(place, record) for place, record in enumerate(records) if record["db_id"] in present]
    examples = (_example(layout, split, place, record, files, path) for place, record in kept)
    tables = data / layout.tables
    positions = tuple(place for place, _ in kept)
    questions = tuple((_id(layout, split, place, record), record["db_id"]) for place, record in enumerate(records))
    return Split(_unique_ids(examples, path), positions, questions, tables if tables.is_file() else None)


def check_sqlite(path: Path) -> None:
    """UserError unless the file is an SQLite 3 database that can be read whole."""
    try:
        with path.open("rb") as file:
            head = file.read(len(SQLITE_MAGIC))
    except OSError as error:
        raise UserError(f"the database {path} cannot be read: {error.strerror}") from None
    if head != SQLITE_MAGIC:
        raise UserError(f"the database {path} is not an SQLite 3 file (it starts with {head!r}); put one there")
    readable(path)


def readable(path: Path) -> None:
    """UserError unless the file can be read whole, as a database, in time."""
    try:
        check_database(path)
    except DatabaseError as error:
        raise UserError(str(error)) from None


def check_db_id(db_id: object, where: str) -> str:
    """A db_id that is one plain path component. UserError otherwise."""
    if not isinstance(db_id, str) or not db_id:
        raise UserError(f"{where}: db_id must be a non-empty text, got {db_id!r}")
    if db_id in (".", "..") or any(character in db_id for character in "/\\\0"):
        raise UserError(f"{where}: db_id must be a plain name without '/' or '\\', got {db_id!r}")
    return db_id


def cache_directory() -> Path:
    """$ROLLSQL_CACHE, else ~/.cache/rollsql."""
    return Path(os.environ.get("ROLLSQL_CACHE") or Path.home() / ".cache" / "rollsql")


def build_database(script: Path) -> Path:
    """The SQLite file made by an SQL script, in the cache under the digest of the script; whole or not there."""
    text = read_text(script)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    target = cache_directory() / "tiny" / digest / f"{script.stem}.sqlite"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            fresh = Path(scratch) / target.name
            _run_script(text, fresh, script)
            os.replace(fresh, target)
    return target


def _run_script(text: str, target: Path, script: Path) -> None:
    with closing(sqlite3.connect(target)) as connection:
        try:
            connection.executescript(text)
        except sqlite3.Error as error:
            raise UserError(f"{script} is not a valid SQLite script: {error}") from None
        connection.commit()


def _layout(benchmark: str, split: str) -> _Layout:
    if benchmark not in _LAYOUTS:
        raise UserError(f"the benchmark must be one of {', '.join(BENCHMARKS)}, got {benchmark!r}")
    layout = _LAYOUTS[benchmark]
    if split not in layout.questions:
        raise UserError(f"{benchmark} has the splits {', '.join(layout.questions)}, not {split!r}")
    return layout


def questions_file(benchmark: str, split: str, data_dir: Path | None) -> Path:
    """The file of a split. UserError: there is none, or no such split or folder."""
    path = _data_directory(benchmark, data_dir) / _layout(benchmark, split).questions[split]
    if not path.is_file():
        raise UserError(f"{path} does not exist: {benchmark} keeps the questions of {split!r} there")
    return path


def _data_directory(benchmark: str, data_dir: Path | None) -> Path:
    if benchmark == "tiny":
        return data_dir or TINY
    if data_dir is None:
        raise UserError(f"the benchmark {benchmark} needs its data directory: pass --data DIR")
    data_dir = Path(data_dir)
    if not data_dir.is_dir():
        raise UserError(f"the data directory {data_dir} does not exist or is not a directory")
    if not any(data_dir.iterdir()):
        raise UserError(f"the data directory {data_dir} is empty; it must hold the files of {benchmark}")
    return data_dir


def _db_ids(records: list[dict[str, Any]], path: Path) -> list[str]:
    places = enumerate(records, 1)
    return sorted({check_db_id(record.get("db_id"), f"{path}, question {place}") for place, record in places})


def _example(
    layout: _Layout, split: str, place: int, record: dict[str, Any], files: dict[str, Path], path: Path
) -> Example:
    for name in ("question", layout.sql):
        if not isinstance(record.get(name), str):
            raise UserError(f"{path}, question {place + 1}: {name!r} must be a text, got {record.get(name)!r}")
    return Example(
        id=_id(layout, split, place, record),
        db_id=record["db_id"],
        question=record["question"],
        evidence=str(record.get("evidence") or ""),
        gold_sql=record[layout.sql],
        database=str(files[record["db_id"]].absolute()),
        hardness=str(record.get(layout.hardness) or ""),
    )


def _id(layout: _Layout, split: str, place: int, record: dict[str, Any]) -> str:
    return str(record.get(layout.id, f"{split}-{place:05d}"))


def _unique_ids(examples: Iterable[Example], path: Path) -> tuple[Example, ...]:
    kept = tuple(examples)
    twice = [name for name, count in Counter(example.id for example in kept).items() if count > 1]
    if twice:
        raise UserError(f"{path}: every question needs its own id; used more than once: {', '.join(twice[:5])}")
    return kept


def _report_missing(missing: Counter[str], total: int, path: Path, expected: Path) -> None:
    if not missing:
        return
    names = ", ".join(sorted(missing)[:5]) + (", …" if len(missing) > 5 else "")
    if missing.total() == total:
        raise UserError(f"{path}: no question has a database; expected files like {expected} for {names}")
    log.warning("%s: dropped %d of %d questions, no database for %s", path, missing.total(), total, names)
