"""A user's questions and databases, in whatever common form they have them."""

from __future__ import annotations

from functools import lru_cache

from evaluation.benchmarks.layout import Example, Layout, Source, Unreadable, check_db_id, first
from evaluation.text_files import Record

NAMES = {
    "question": ("question", "utterance", "nl", "nlquestion", "nlquery", "text", "prompt", "input", "instruction"),
    "sql": ("sql", "query", "gold", "goldsql", "goldquery", "sqlquery", "output", "response", "answer"),
    "db_id": ("dbid", "db", "database", "databaseid", "databasename", "dbname", "schemaid"),
    "evidence": ("evidence", "hint", "hints", "knowledge", "externalknowledge", "context"),
    "id": ("id", "questionid", "qid", "instanceid", "exampleid", "uid"),
    "hardness": ("hardness", "difficulty", "level", "kind"),
}
SUFFIXES = ("jsonl", "json", "ndjson", "csv", "tsv", "parquet")
DATABASES = tuple(
    f"{folder}{{db_id}}.{suffix}"
    for folder in ("", "databases/", "database/", "{db_id}/", "databases/{db_id}/", "database/{db_id}/")
    for suffix in ("sqlite", "db", "sqlite3", "sql")
)


def read(record: Record, number: str, source: Source) -> list[Example]:
    """The usual names of each part, whatever their case and punctuation; a lone database needs no db_id."""
    found = {"".join(filter(str.isalnum, str(name))).lower(): value for name, value in record.items()}
    texts = {name: value for name, value in found.items() if isinstance(value, str)}  # Spider's "sql" is a parsed tree
    part = {name: first(texts, known) or first(found, known) for name, known in NAMES.items()}
    for name in ("question", "sql"):
        if not isinstance(part[name], str):
            given = f"it has {', '.join(map(str, record)) or 'no fields'}; known: {', '.join(NAMES[name][:4])}, …"
            raise Unreadable(f"{name!r} must be a text, got {part[name]!r}; {given}")
    db_id = part["db_id"] if part["db_id"] not in (None, "") else lone_database(source)
    return [
        Example(
            id=str(part["id"] if part["id"] not in (None, "") else number),
            db_id=check_db_id(without_suffix(db_id)),
            question=str(part["question"]),
            evidence=str(part["evidence"] or ""),
            gold_sql=str(part["sql"]),
            database="",
            hardness=str(part["hardness"] or ""),
        )
    ]


def without_suffix(db_id: object) -> object:
    """shop for shop.sqlite: a column named "database" often holds the file."""
    if isinstance(db_id, str) and (suffix := db_id.rpartition(".")[2].lower()) in ("sqlite", "db", "sqlite3"):
        return db_id[: -len(suffix) - 1]
    return db_id


@lru_cache(maxsize=1)
def lone_database(source: Source) -> str | None:
    """The name of the only database there is."""
    found = {path.stem for suffix in ("sqlite", "db", "sqlite3") for path in source.data.rglob(f"*.{suffix}")}
    return found.pop() if len(found) == 1 else None


def files(*stems: str) -> tuple[str, ...]:
    return ("|".join(f"{stem}.{suffix}" for stem in stems for suffix in SUFFIXES),)


LAYOUT = Layout(
    "your questions as JSON, JSON lines, CSV or Parquet, beside your SQLite databases",
    splits={"train": files("train"), "dev": files("dev", "valid", "validation", "val"), "test": files("test")},
    read=read,
    databases=DATABASES,
    licence="yours",
    source="your disk",
)
