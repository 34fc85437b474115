"""The files of a split, what they hold, and which layout a folder looks like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from evaluation.benchmarks.databases import Databases
from evaluation.benchmarks.known import known_layouts, named
from evaluation.benchmarks.layout import Example, Layout, Source, Unreadable
from evaluation.errors import UserError
from evaluation.text_files import Fault

DEV = ("dev", "val", "valid", "validation")
OUTER = ("", "*/", "*/*/")  # how deep below the data directory an archive's own folders may lie


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
        names = [name for name in pattern.split("|") if any(data.glob(outer + name))]
        plain = [name for name in names if "*" not in name]
        names = names[:1] if "*" in pattern else names
        found = (sorted(data.glob(outer + name)) for name in names)
        files = list(dict.fromkeys(path for paths in found for path in paths if path.is_file()))
        if len(plain) > 1 or (len(files) > 1 and "*" not in pattern and outer):
            files = files if len(files) > 1 else [data / outer / name for name in plain]
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
        where = f"{source.file}, question {place + 1}"
        try:
            found = list(layout.read(record, f"{source.split}-{first + place:05d}", source))
        except Unreadable as error:
            yield Fault(where, str(error))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            yield Fault(where, f"its parts must be of the kinds that the layout has ({type(error).__name__}: {error})")
        else:
            yield from (_checked(example, layout, source.split, where) for example in found)


def _checked(example: Example, layout: Layout, split: str, where: str) -> Example | Fault:
    """A blank query would make "no query" the right answer, which only some datasets mean; nothing is learned from a
    blank question, but answers to it can be scored."""
    if split.startswith("train") and not example.question.strip():
        return Fault(where, "the question must not be blank")
    if not example.gold_sql.strip() and not layout.unanswerable:
        return Fault(where, "the query must not be blank")
    return example


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
