"""From a layout and a data directory to the questions of a split, with all that was lost on the way."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluation.benchmarks.known import known_layouts, named
from evaluation.benchmarks.layout import Example, Layout, Source, Unreadable
from evaluation.benchmarks.shots import with_shots
from evaluation.databases.files import build_database, check_sqlite
from evaluation.errors import UserError
from evaluation.text_files import Fault, read_text
from graph.introspect import is_declared
from graph.linearize import ddl
from graph.schema import SchemaError
from graph.tables_json import Entry, entries

log = logging.getLogger(__name__)
DEV = ("dev", "val", "valid", "validation")
OUTER = ("", "*/", "*/*/")  # how deep below the data directory an archive's own folders may lie


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
    _report_faults(faults, asked, benchmark, sources)
    databases = Databases(layout)
    placed = [e if e.database else replace(e, database=databases.of(source, e.db_id)) for source, e in asked]
    if synthetic:
        placed = _filled(placed, synthetic, sources[0].file)
    missing = Counter(example.db_id for example in placed if not example.database)
    bare = sum(rows and is_declared(example.database) for example in placed)
    _report_missing(missing, bare, len(placed), layout, sources[0])
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


def find_sources(benchmark: str, split: str, data_dir: Path | None) -> list[Source]:
    """The files of a split. UserError: no such split or folder, or a file is not there."""
    layout = named(benchmark)
    data = _data_directory(benchmark, layout, data_dir)
    split = _known_split(benchmark, layout, split)
    sources = []
    for pattern in layout.splits[split]:
        files = layout.files(data, split) if layout.files else find_files(data, pattern)
        if not files:
            raise UserError(
                f"{data / pattern.partition('|')[0]} does not exist: {benchmark} keeps the questions of {split!r} "
                f"there{looks_like(data, benchmark)}"
            )
        sources += [Source(data, file, _split_of(layout, split, pattern)) for file in files]
    return sources


def _split_of(layout: Layout, split: str, pattern: str) -> str:
    """The split that consists of this pattern alone, so that a question has one id in all splits that hold it."""
    if layout.splits[split] == (pattern,):
        return split
    return next((name for name, files in layout.splits.items() if files == (pattern,)), split)


def find_files(data: Path, pattern: str, below: Sequence[str] = OUTER) -> list[Path]:
    """The files of one pattern, in the data directory or in the folders that its archive unpacked to. UserError when
    "a|b" is there as both, or a plain name in several folders."""
    for outer in below:
        found = [sorted(data.glob(outer + name)) for name in pattern.split("|")]
        if "*" in pattern:
            found = [paths for paths in found if paths][:1]
        files = list(dict.fromkeys(path for paths in found for path in paths if path.is_file()))
        several = sum(map(bool, found)) > 1 or (len(files) > 1 and "*" not in pattern and outer)
        if several and "*" not in pattern:
            raise UserError(f"there must be one file of questions, found {', '.join(map(str, files[:5]))}: keep one")
        if files:
            return files
    return []


def read_all(layout: Layout, sources: Sequence[Source]) -> Iterator[tuple[Source, Example | Fault]]:
    """What the files of a split hold. Records are numbered through, where a split has several files."""
    taken = Counter[str]()
    for source in sources:
        for item in read(layout, source, taken):
            yield source, item


def read(layout: Layout, source: Source, taken: Counter[str]) -> Iterator[Example | Fault]:
    """What a file holds, in its order; databases are not yet looked for. taken: numbers that are used, by split."""
    first = taken[source.split]
    for place, record in enumerate(layout.records(source.file)):
        taken[source.split] += 1
        if isinstance(record, Fault):
            yield record
            continue
        try:
            yield from list(layout.read(record, f"{source.split}-{first + place:05d}", source))
        except Unreadable as error:
            yield Fault(f"{source.file}, question {place + 1}", str(error))


class Databases:
    """Where the database of each question is, looked up once."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._known: dict[tuple[Source, str], str] = {}
        self._tables: dict[Path, dict[str, Entry]] = {}

    def of(self, source: Source, db_id: str) -> str:
        """A path, CREATE TABLE statements, or "". UserError when a file there is no database."""
        key = (source, db_id)
        if key not in self._known:
            self._known[key] = self._find(source, db_id)
        return self._known[key]

    def _find(self, source: Source, db_id: str) -> str:
        path = source.find(*self._layout.databases, db_id=db_id)
        if path is not None and path.suffix == ".sql":
            path = build_database(path)
        if path is not None:
            check_sqlite(path)
            return str(path.absolute())
        if made := self._layout.make and self._layout.make(source, db_id):
            return made
        declared = source.find(*self._layout.schemas, db_id=db_id)
        return read_text(declared) if declared else self._from_tables_json(source, db_id)

    def _from_tables_json(self, source: Source, db_id: str) -> str:
        path = source.find(*self._layout.tables)
        if path is None:
            return ""
        try:
            if path not in self._tables:
                self._tables[path] = entries(path)
            entry = self._tables[path].get(db_id)
            return ddl(entry.schema()) if entry else ""
        except SchemaError as error:
            log.warning("%s", error)
            return ""


def looks_like(data: Path, benchmark: str = "") -> str:
    """ "; the files look like bird", or "": the known layouts that can read the files of a folder."""
    fitting = [name for name, layout in known_layouts().items() if name != benchmark and fits(layout, data)]
    return f"; the files look like {' or '.join(fitting[:3])}: name that benchmark" if fitting else ""


def fits(layout: Layout, data: Path, outer: bool = True) -> bool:
    """Whether the first question of some split can be read, and has a database or a schema. outer: also where the
    files lie in folders of the archive's own."""
    for split, patterns in layout.splits.items():
        try:
            found = (
                layout.files(data, split)
                if layout.files
                else [f for p in patterns for f in find_files(data, p, OUTER if outer else OUTER[:1])]
            )
            sources = [Source(data, file, split) for file in found]
            first = next((item for _, item in read_all(layout, sources)), None)
            if isinstance(first, Example) and Databases(layout).of(sources[0], first.db_id):
                return True
        except UserError:
            continue
    return False


def present_splits(benchmark: str, data_dir: Path | None) -> list[str]:
    """The splits whose files are all there. UserError: no such benchmark or folder."""
    layout = named(benchmark)
    data = _data_directory(benchmark, layout, data_dir)
    if layout.files:
        return [split for split in layout.splits if layout.files(data, split)]
    return [split for split, files in layout.splits.items() if all(find_files(data, name) for name in files)]


def _known_split(benchmark: str, layout: Layout, split: str) -> str:
    """The split as the layout names it; "dev" and its other names are one."""
    if split in layout.splits:
        return split
    other = next((name for name in DEV if split in DEV and name in layout.splits), None)
    if other is None:
        raise UserError(f"{benchmark} has the splits {', '.join(layout.splits)}, not {split!r}")
    return other


def _data_directory(benchmark: str, layout: Layout, data_dir: Path | None) -> Path:
    if layout.bundled is not None:
        return data_dir or layout.bundled
    if data_dir is None:
        raise UserError(f"the benchmark {benchmark} needs its data directory: pass --data DIR")
    data_dir = Path(data_dir)
    if not data_dir.is_dir():
        raise UserError(f"the data directory {data_dir} does not exist or is not a directory")
    if not any(data_dir.iterdir()):
        raise UserError(f"the data directory {data_dir} is empty; it must hold the files of {benchmark}")
    return data_dir


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


def _report_missing(missing: Counter[str], bare: int, total: int, layout: Layout, source: Source) -> None:
    """UserError when no question is left."""
    if not missing and not bare:
        return
    expected = source.file.parent / (layout.databases or ("the databases",))[0].replace("{split}", source.split)
    names = ", ".join(sorted(missing)[:5]) + (", …" if len(missing) > 5 else "")
    if missing.total() == total:
        raise UserError(f"{source.file}: no question has a database; expected files like {expected} for {names}")
    if missing.total() + bare == total:
        raise UserError(
            f"{source.file}: only the schemas are there, without rows, so no query can be executed: lay the databases "
            f"at {expected}, or ask for synthetic rows (data.synthetic_rows, --synthetic-rows); SFT and prompts work so"
        )
    if missing:
        log.warning("%s: dropped %d of %d questions, no database for %s", source.file, missing.total(), total, names)
    if bare:
        log.warning("%s: dropped %d of %d questions, no rows in their databases", source.file, bare, total)
