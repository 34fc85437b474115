"""Datasets whose records carry their schema, as CREATE TABLE statements or as DB-GPT-Hub's sentences, and no rows.

The db_id of such a question is a digest of its schema, which `Schemas` keeps: many questions share one.
"""

from __future__ import annotations

import hashlib
import re

from evaluation.benchmarks.layout import Source, Unreadable
from graph.introspect import is_declared

_CREATE = re.compile(r"\bCREATE\s+TABLE\b", re.IGNORECASE)
_ASKED = re.compile(
    r"--\s*Using valid (?P<dialect>\w+)[^\n]*\n\s*--\s*(?P<question>.*?)\s*(?P<begun>\n\s*SELECT)?\s*\Z", re.DOTALL
)
_TABLE = re.compile(r"\bTable (\S+) has columns such as (.+?)\.(?=\s|\Z)", re.DOTALL)
_KEY = re.compile(r"(?:^|[.\n]) *(?:The )?([^.\n]+?) is the primary key\.")
_FOREIGN = re.compile(r"The (.+?) of (\S+) is the foreign key of (.+?) of (\S+?)\.(?=\s|\Z)")
_MARKS = re.compile(r"^\s*#*\s*(Input|Response|Instruction):?\s*$|###\s*\w+:", re.IGNORECASE | re.MULTILINE)
schemas: dict[str, str] = {}


def keep(statements: str) -> str:
    """The db_id of a schema. Unreadable unless it begins with a CREATE TABLE statement."""
    if not is_declared(statements):
        raise Unreadable(f"the schema must be CREATE TABLE statements, got {statements!r:.60}")
    db_id = hashlib.sha256(statements.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    schemas.setdefault(db_id, statements)
    return db_id


def make(source: Source, db_id: str) -> str | None:
    return schemas.get(db_id)


def parted(prompt: str) -> tuple[str, str, str]:
    """(CREATE TABLE statements, question or "", dialect or "") of an instruction in NSQL's or DB-GPT-Hub's form.

    Unreadable when there is no schema in it.
    """
    asked = _ASKED.search(prompt)
    text = prompt[: asked.start()] if asked else prompt
    start = _CREATE.search(text)
    statements = text[start.start() :].strip() if start else from_sentences(text)
    question = re.sub(r"\n\s*--\s*", " ", asked["question"]) if asked else ""
    return statements, question, asked["dialect"].lower() if asked else ""


def from_sentences(text: str) -> str:
    """DB-GPT-Hub writes a schema out: "Table t has columns such as a, b. a is the primary key." and foreign keys."""
    found = list(_TABLE.finditer(text))
    if not found:
        raise Unreadable("the instruction must hold CREATE TABLE statements, or sentences as 'Table t has columns …'")
    foreign = list(_FOREIGN.finditer(text))
    made = []
    for place, table in enumerate(found):
        end = found[place + 1].start() if place + 1 < len(found) else len(text)
        names = [name.strip() for name in table[2].split(",") if name.strip()]
        parts = [quoted(name) for name in names]
        key = _KEY.search(text[table.end() - 1 : end])
        if key and key[1].strip() in names:
            parts.append(f"PRIMARY KEY ({quoted(key[1].strip())})")
        parts += [
            f"FOREIGN KEY ({quoted(one[1])}) REFERENCES {quoted(one[4])} ({quoted(one[3])})"
            for one in foreign
            if one[2] == table[1] and one[1] in names
        ]
        made.append(f"CREATE TABLE {quoted(table[1])} ({', '.join(parts)});")
    return "\n".join(made)


def unmarked(text: str) -> str:
    """Without "###Input:" and the like."""
    return _MARKS.sub("", text).strip()


def quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else '"' + name.replace('"', '""') + '"'
