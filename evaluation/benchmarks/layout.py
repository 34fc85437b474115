"""How a dataset lies on disk, said once per dataset: a file of this folder is a name, its LAYOUT is what follows.

    LAYOUT = Layout(
        "Spider 1.0: …",
        splits={"dev": ("dev.json",), …},                          which files hold the questions of a split
        read=fields(sql="query", hardness="hardness"),             a record of such a file -> its questions
        databases=("database/{db_id}/{db_id}.sqlite",),            where the database of a question may lie
    )

A layout that is not in this folder is named "package.module:LAYOUT".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evaluation.text_files import Fault, Record, read_questions


@dataclass(frozen=True)
class Turn:
    """A question and its SQL: an earlier turn of a dialogue, or an example shown in the prompt."""

    question: str
    sql: str


@dataclass(frozen=True)
class Example:
    """One question.

    database: path of the SQLite file; where a dataset has schemas without rows, the CREATE TABLE statements themselves
    (`graph.introspect.is_declared`). gold_sql: "" when no query answers the question, and none should be given.
    hardness: the benchmark's own level or kind of question, "" when it has none. evidence: knowledge given with the
    question (BIRD), else "". history: the earlier turns of a dialogue. shots: solved examples for the prompt.
    """

    id: str
    db_id: str
    question: str
    evidence: str
    gold_sql: str
    database: str
    hardness: str
    history: tuple[Turn, ...] = ()
    shots: tuple[Turn, ...] = ()


@dataclass(frozen=True)
class Source:
    """A file of questions: of which split, in which data directory."""

    data: Path
    file: Path
    split: str

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where what belongs to it may lie: its folder, and those above it up to the data directory."""
        above = [folder for folder in self.file.parents if folder == self.data or self.data in folder.parents]
        return tuple(above) or (self.file.parent,)

    def find(self, *patterns: str, **names: str) -> Path | None:
        """The first file that is there; {split} and other names are filled in."""
        tried = (folder / pattern.format(split=self.split, **names) for folder in self.folders for pattern in patterns)
        return next((path for path in tried if path.is_file()), None)


class Unreadable(ValueError):
    """A record that holds no question, and why; it is counted, and the others are kept."""


Reader = Callable[[Record, str, Source], Iterable[Example]]
"""(record, id to give where it has none, source) -> its questions; a database that is "" is looked for. Unreadable: it
has none."""


@dataclass(frozen=True)
class Layout:
    """See above.

    splits: split -> its files, patterns below the data directory or a folder of it; "a|b" is whichever is there.
    databases, schemas: patterns below the folder of the questions or one above it, with {db_id} and {split}; a .sql
    file among the databases is built once. schemas hold CREATE TABLE statements, for where no database is; so does
    tables.json. make: what neither says, (source, db_id) -> a path or such statements. files: finds the files of a
    split where patterns do not, (data directory, split) -> paths; splits then name them for messages only.
    dialects: split -> the SQL that its golds are written in, a name of sqlglot's. unanswerable: a question may have no
    query, and none is the right answer then. bundled: it needs no data directory.
    """

    about: str
    splits: Mapping[str, tuple[str, ...]]
    read: Reader
    databases: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()
    tables: tuple[str, ...] = ("{split}_tables.json", "tables.json")
    make: Callable[[Source, str], str | None] | None = None
    records: Callable[[Path], Iterable[Record | Fault]] = read_questions
    files: Callable[[Path, str], list[Path]] | None = None
    dialects: Mapping[str, str] = field(default_factory=dict)
    unanswerable: bool = False
    bundled: Path | None = None
    licence: str = ""
    source: str = ""


def fields(
    question: str | tuple[str, ...] = "question",
    sql: str | tuple[str, ...] = "sql",
    db_id: str | tuple[str, ...] = "db_id",
    id: str | tuple[str, ...] = "id",
    evidence: str | tuple[str, ...] = "evidence",
    hardness: str | tuple[str, ...] = (),
) -> Reader:
    """The reader of a dataset with one flat record per question. Of several names the first that is there counts."""

    def read(record: Record, number: str, source: Source) -> list[Example]:
        return [
            Example(
                id=str(first(record, id, number)),
                db_id=check_db_id(first(record, db_id)),
                question=text(record, question),
                evidence=str(first(record, evidence) or ""),
                gold_sql=text(record, sql),
                database="",
                hardness=str(first(record, hardness) or ""),
            )
        ]

    return read


def first(record: Record, names: str | tuple[str, ...], default: object = None) -> object:
    """The value of the first of these names that the record has."""
    names = (names,) if isinstance(names, str) else names
    return next((record[name] for name in names if record.get(name) is not None), default)


def text(record: Record, names: str | tuple[str, ...]) -> str:
    """As `first`. Unreadable unless it is a text."""
    value = first(record, names)
    if isinstance(value, str):
        return value
    named = names if isinstance(names, str) else names[0]
    raise Unreadable(f"{named!r} must be a text, got {value!r}; it has {', '.join(map(str, record)) or 'no fields'}")


def check_db_id(db_id: object) -> str:
    """A db_id that is one plain path component. Unreadable otherwise."""
    if not isinstance(db_id, str) or not db_id:
        raise Unreadable(f"db_id must be a non-empty text, got {db_id!r}")
    if db_id in (".", "..") or any(character in db_id for character in "/\\\0"):
        raise Unreadable(f"db_id must be a plain name without '/' or '\\', got {db_id!r}")
    return db_id
