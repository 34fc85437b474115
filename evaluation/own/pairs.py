"""A user's pairs of question and SQL, read from whatever file they are in, each checked by running it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluation.benchmarks.layout import Example, Source, Unreadable
from evaluation.benchmarks.own import NAMES, read
from evaluation.check_data import Problem, check
from evaluation.errors import UserError
from evaluation.text_files import Fault, Record, read_questions

SAID: dict[Problem, str] = {
    "timeout": "takes too long",
    "too_large": "returns too much",
    "chance": "returns other rows each time",
    "no_table": "reads no table",
    "empty": "returns no row",
    "nulls": "returns nothing but NULL",
    "blind": "returns what a query that finds nothing returns, too",
    "time": "depends on the day it runs",
    "tied": "keeps some of several equal rows",
    "open": "has other answers that are as right",
}
GIVEN = "given"  # the hardness of a question whose file names none
Found = tuple[str, Example]  # where it stands, the pair


@dataclass(frozen=True)
class Pairs:
    """kept: those that run; faults: where another stands, and what is wrong with it; weak: where one that is kept
    stands, and why its answer says little; elsewhere: how many are about other databases."""

    kept: tuple[Example, ...]
    faults: tuple[Fault, ...] = ()
    weak: tuple[Fault, ...] = ()
    elsewhere: int = 0

    @property
    def total(self) -> int:
        return len(self.kept) + len(self.faults)


def checked_pairs(files: Sequence[Path], db_id: str, database: str, workers: int = 1) -> Pairs:
    """The pairs of all files, on this database. UserError: a file cannot be read, or none of its pairs is of use."""
    items = [item for file in files for item in _read(file, db_id)]
    faults = [item for item in items if isinstance(item, Fault)]
    found = [item for item in items if not isinstance(item, Fault)]
    pairs = _about(found, db_id)
    examples = [replace(e, id=str(i), db_id=db_id, database=database) for i, (_, e) in enumerate(pairs)]
    reports = {int(row["id"]): row for row in check(examples, workers)}
    told = {i: Fault(pairs[i][0], row["error"] or _said(row["problems"])) for i, row in reports.items()}
    dropped = {i for i, row in reports.items() if row["action"] == "drop"}
    faults += [told[i] for i in sorted(dropped)]
    kept = [replace(example, id=pairs[i][1].id) for i, example in enumerate(examples) if i not in dropped]
    if not kept:
        raise UserError(_all_wrong(files, faults, found, database))
    weak = tuple(told[i] for i in sorted(told.keys() - dropped))
    return Pairs(tuple(kept), tuple(faults), weak, len(found) - len(pairs))


def _said(problems: Sequence[Problem]) -> str:
    """The first of SAID, which says the most."""
    return next((words for problem, words in SAID.items() if problem in problems), ", ".join(problems))


def _read(file: Path, db_id: str) -> Iterator[Found | Fault]:
    """What a file holds, in its order; a pair that stands there twice is taken once."""
    seen: set[tuple[str, ...]] = set()
    for place, record in enumerate(read_questions(file), 1):
        if isinstance(record, Fault):
            yield record
            continue
        named = _names_database(record)
        try:
            whole = record if named else {**record, "db_id": db_id}
            (example,) = read(whole, f"{file.stem}-{place:05d}", Source(file.parent, file, "train"))
        except Unreadable as error:
            yield Fault(record.where, str(error) if named else str(error).replace(", db_id", "", 1))
            continue
        pair = (example.question.strip(), example.gold_sql.strip(), example.db_id)
        if not all(pair) or pair in seen:
            yield Fault(record.where, "the same pair stands above" if all(pair) else "question or SQL is empty")
            continue
        seen.add(pair)
        yield record.where, replace(example, hardness=example.hardness or GIVEN)


def _names_database(record: Record) -> bool:
    return any("".join(filter(str.isalnum, str(name))).lower() in NAMES["db_id"] and record[name] for name in record)


def _about(found: Sequence[Found], db_id: str) -> list[Found]:
    """Those of this database. A single other name for all may be the same database, renamed: running them tells."""
    several = len({example.db_id for _, example in found}) > 1
    return [item for item in found if item[1].db_id == db_id or not several]


def _all_wrong(files: Sequence[Path], faults: Sequence[Fault], found: Sequence[Found], database: str) -> str:
    names = ", ".join(map(str, files))
    if not faults and not found:
        return f"{names} must hold pairs of question and SQL, and holds none"
    if not faults:
        others = list(dict.fromkeys(example.db_id for _, example in found))
        listed = ", ".join(others[:5]) + (", …" if len(others) > 5 else "")
        return f"none of the {len(found)} pairs in {names} is about {database}: they name the databases {listed}"
    shown = "; ".join(map(str, faults[:3])) + ("; …" if len(faults) > 3 else "")
    foreign = 2 * sum("no such table" in fault.why for fault in faults) > len(faults)
    hint = " (are they for another database?)" if foreign else ""
    return f"none of the {len(faults)} pairs in {names} can be used on {database}{hint}: {shown}"
