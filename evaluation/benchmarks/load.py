"""From a layout and a data directory to the questions of a split, with all that was lost on the way."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluation.benchmarks.databases import Databases
from evaluation.benchmarks.find import find_sources, looks_like, read_all
from evaluation.benchmarks.known import named
from evaluation.benchmarks.layout import Example, Layout, Source
from evaluation.benchmarks.shots import with_shots
from evaluation.errors import UserError
from evaluation.text_files import Fault
from graph.introspect import is_declared
from graph.reader import declared_faults

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Split:
    """A split in file order. questions: (id, db_id) of every question of the files; positions[i] is the place of
    examples[i] among them; they differ when the database of some question is missing. faults: what cannot be read,
    not among the questions. bare: questions left out because their database has a schema and no rows.
    not_carried: those whose gold, of another dialect, is none for SQLite. files[i]: where questions[i] stands."""

    examples: tuple[Example, ...]
    positions: tuple[int, ...]
    questions: tuple[tuple[str, str], ...]
    tables: Path | None = None  # the benchmark's tables.json, where it has one
    faults: tuple[Fault, ...] = ()
    bare: int = 0
    not_carried: int = 0
    files: tuple[Path, ...] = ()

    @property
    def total(self) -> int:
        return len(self.questions)

    @property
    def dropped(self) -> int:
        return self.total - len(self.examples)


def load_examples(
    benchmark: str, split: str, data_dir: Path | None = None, rows: bool = True, shots: int = 0, synthetic: int = 0
) -> list[Example]:
    """The questions of a split, in file order; those without a database are left out, counted and logged.

    rows: leave out, too, those whose database is a schema without rows: nothing can be executed on it. shots: solved
    training questions that each gets for its prompt. synthetic: made-up rows per table of a database that has none.
    UserError: unknown benchmark or split, no data directory, no question that can be read, a database that is not
    SQLite, no question with a database.
    """
    return list(load_split(benchmark, split, data_dir, rows, shots, synthetic).examples)


def load_split(
    benchmark: str, split: str, data_dir: Path | None = None, rows: bool = True, shots: int = 0, synthetic: int = 0
) -> Split:
    """As `load_examples`, with the place of each question in the files."""
    if shots:
        whole = load_split(benchmark, split, data_dir, rows, synthetic=synthetic)
        pool = whole.examples if split == "train" else load_examples(benchmark, "train", data_dir, rows=False)
        return replace(whole, examples=tuple(with_shots(whole.examples, pool, shots)))
    layout = named(benchmark)
    sources = find_sources(benchmark, split, data_dir)
    found = list(read_all(layout, sources))
    faults = tuple(item for _, item in found if isinstance(item, Fault))
    asked = [(source, item) for source, item in found if isinstance(item, Example)]
    if not asked:
        _report_faults(faults, asked, benchmark, sources)
    databases = Databases(layout)
    placed = [e if e.database else replace(e, database=databases.of(source, e.db_id)) for source, e in asked]
    unknown = _undeclared(asked, placed)
    if unknown:
        faults += tuple(unknown.values())
        asked = [one for place, one in enumerate(asked) if place not in unknown]
        placed = [one for place, one in enumerate(placed) if place not in unknown]
    _report_faults(faults, asked, benchmark, sources)
    if synthetic:
        placed = _filled(placed, synthetic, sources[0].file)
    missing = Counter(example.db_id for example in placed if not example.database)
    bare = sum(rows and is_declared(example.database) for example in placed)
    _report_missing(missing, bare, len(placed), layout, sources[0], benchmark)
    kept = [place for place, e in enumerate(placed) if e.database and not (rows and is_declared(e.database))]
    there = len(kept)
    if dialect := layout.dialects.get(sources[0].split):
        placed, kept = _in_sqlite(placed, kept, dialect, sources[0])
    return Split(
        _unique_ids([placed[place] for place in kept], sources[0].file),
        tuple(kept),
        tuple((example.id, example.db_id) for example in placed),
        sources[0].find(*layout.tables),
        faults,
        bare,
        there - len(kept),
        tuple(source.file for source, _ in asked),
    )


def _undeclared(asked: Sequence[tuple[Source, Example]], placed: Sequence[Example]) -> dict[int, Fault]:
    """Place -> why, of the questions whose schema declares no table."""
    declared = list(dict.fromkeys(e.database for e in placed if is_declared(e.database)))
    why = {schema: fault for schema, fault in zip(declared, declared_faults(declared), strict=True) if fault}
    return {
        place: Fault(f"{asked[place][0].file}, question {e.id}", f"its schema cannot be read: {why[e.database]}")
        for place, e in enumerate(placed)
        if e.database in why
    }


def _filled(placed: list[Example], rows: int, path: Path) -> list[Example]:
    """With made-up rows where there is a schema only."""
    from evaluation.synthetic import with_rows

    bare = [example for example in placed if is_declared(example.database)]
    golds: dict[str, list[str]] = {}
    for example in bare:
        golds.setdefault(example.database, []).append(example.gold_sql)
    made = {database: with_rows(database, asked, rows) for database, asked in golds.items()}
    if made:
        log.warning("%s: %d of %d questions are on synthetic rows, %d a table", path, len(bare), len(placed), rows)
    return [replace(e, database=made.get(e.database, e.database)) for e in placed]


def _in_sqlite(placed: list[Example], kept: list[int], dialect: str, source: Source) -> tuple[list[Example], list[int]]:
    """The golds carried over from their dialect, and the places of those that could be. UserError: none could."""
    from evaluation.dialects import carried_over  # needs the sandbox, which few layouts do

    golds = dict(zip(kept, carried_over([placed[place] for place in kept], dialect), strict=True))
    fine = [place for place in kept if golds[place] is not None]
    if not fine:
        raise UserError(f"{source.file}: none of its {len(kept)} golds can be carried over from {dialect} to SQLite")
    if len(fine) < len(kept):
        lost = len(kept) - len(fine)
        log.warning("%s: dropped %d of %d questions, no SQLite for their %s", source.file, lost, len(kept), dialect)
    return [replace(e, gold_sql=golds.get(place) or e.gold_sql) for place, e in enumerate(placed)], fine


def _unique_ids(examples: Sequence[Example], path: Path) -> tuple[Example, ...]:
    twice = [name for name, count in Counter(example.id for example in examples).items() if count > 1]
    if twice:
        raise UserError(f"{path}: every question needs its own id; used more than once: {', '.join(twice[:5])}")
    return tuple(examples)


def _report_faults(faults: Sequence[Fault], asked: Sequence[object], benchmark: str, sources: Sequence[Source]) -> None:
    """UserError when no question is left."""
    path = sources[0].file
    if not faults and not asked:
        raise UserError(f"{path} holds no questions")
    if not asked:
        raise UserError(f"{faults[0]}{looks_like(sources[0].data, benchmark)}")
    if faults:
        total = len(faults) + len(asked)
        shown = "; ".join(map(str, faults[:3])) + ("; …" if len(faults) > 3 else "")
        log.warning("%s: %d of %d questions cannot be read: %s", path, len(faults), total, shown)


def _report_missing(
    missing: Counter[str], bare: int, total: int, layout: Layout, source: Source, benchmark: str
) -> None:
    """UserError when no question is left."""
    if not missing and not bare:
        return
    expected = source.file.parent / (layout.databases or ("the databases",))[0].replace("{split}", source.split)
    names = ", ".join(sorted(missing)[:5]) + (", …" if len(missing) > 5 else "")
    if missing.total() == total:
        raise UserError(
            f"{source.file}: no question has a database; expected files like {expected} for {names}"
            f"{looks_like(source.data, benchmark)}"
        )
    if missing.total() + bare == total:
        raise UserError(
            f"{source.file}: only the schemas are there, without rows, so no query can be executed: lay the databases "
            f"at {expected}, or ask for synthetic rows (data.synthetic_rows, --synthetic-rows); SFT and prompts work so"
        )
    if missing:
        log.warning("%s: dropped %d of %d questions, no database for %s", source.file, missing.total(), total, names)
    if bare:
        log.warning("%s: dropped %d of %d questions, no rows in their databases", source.file, bare, total)
