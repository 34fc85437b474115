"""The prompt: one function for SFT, RL, prediction and serving, and the way back from an answer to its SQL.

The answer that the model is taught is plain SQL. Questions and evidence are text of strangers: they stay on one line
and cannot carry a token of a chat template.
"""

from __future__ import annotations

import hashlib
import re

from graph import link
from graph.linearize import plain
from graph.schema import Column, ForeignKey, Schema, Table
from graph.writer import PromptStyle, PromptWriter, Values

PROMPT_VERSION = "1"
INSTRUCTION = "Write one SQLite query."

_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_FENCE = re.compile(r"```[ \t]*(?:sql(?:ite)?)?[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)
_STATEMENT = re.compile(
    r"^[ \t(]*(?:SELECT|VALUES|EXPLAIN|INSERT|REPLACE|UPDATE|DELETE|CREATE|ALTER|DROP|ATTACH|DETACH|PRAGMA|VACUUM)\b"
    r"|^[ \t]*WITH\s+(?:RECURSIVE\s+)?[\w\"`\[\]]+\s*(?:\([^)]*\)\s*)?AS\b",
    re.IGNORECASE | re.MULTILINE,
)
_QUOTED_OR_SEMICOLON = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/|(?P<end>;)", re.DOTALL
)


def build_messages(
    schema: Schema, question: str, evidence: str = "", style: str = "compact", values: Values | None = None
) -> list[dict[str, str]]:
    """The chat that asks for one query: a single user message, since not every template has a system role.

    style: a word of graph.writer, ValueError when it is none; values: the sampled cells that some styles use. For many
    questions about one database keep a `PromptWriter` and call `messages_from_text`.

    >>> shop = Schema("shop", (Table("item", (Column("id", "INTEGER", True), Column("price", "REAL"))),))
    >>> print(build_messages(shop, "How many items?")[0]["content"])
    Write one SQLite query.
    item(id, price)
    Question: How many items?
    """
    text = PromptWriter(schema, PromptStyle.parse(style), values).schema_text(question, evidence)
    return messages_from_text(text, question, evidence)


def messages_from_text(schema_text: str, question: str, evidence: str = "") -> list[dict[str, str]]:
    """The same chat from a schema already written out; `schema_text` must come from `graph.writer`."""
    lines = [INSTRUCTION, schema_text]
    if evidence.strip():
        lines.append(f"Evidence: {_one_line(evidence)}")
    lines.append(f"Question: {_one_line(question)}")
    return [{"role": "user", "content": "\n".join(lines)}]


def extract_sql(text: str) -> str:
    """The SQL in an answer, without fence and final semicolon; "" when there is none.

    The last fenced block wins, then the first line that begins a statement. What follows the statement's semicolon is
    dropped unless it is SQL again: two statements stay two, for the sandbox to refuse.

    >>> extract_sql("It is:\\n```sql\\nSELECT 1;\\n```\\nEnjoy."), extract_sql("I do not know.")
    ('SELECT 1', '')
    """
    text = _THOUGHT.sub("", text)
    blocks = [block for block in _FENCE.findall(text) if _STATEMENT.search(block)]
    candidate = blocks[-1] if blocks else text
    start = _STATEMENT.search(candidate) or re.search(r"\bSELECT\b", candidate)
    return _without_tail(candidate[start.start() :]) if start else ""


def prompt_digest(style: str) -> str:
    """64 hex digits that change when the prompt of this style changes in version, wording or schema text."""
    content = build_messages(_SAMPLE, "How many singers?", "a hint", style)[0]["content"]
    if PromptStyle.parse(style).per_question:  # the linker's choices are part of the prompt
        content += repr((link.TABLE_WEIGHTS, link.COLUMN_WEIGHTS, link.TABLE_FLOOR, link.COLUMN_FLOOR, link.SURE))
    return hashlib.sha256(f"{PROMPT_VERSION}\0{style}\0{content}".encode()).hexdigest()


def _one_line(text: str) -> str:
    return " ".join(plain(text).split())


def _without_tail(sql: str) -> str:
    for match in _QUOTED_OR_SEMICOLON.finditer(sql):
        if match["end"] and not _STATEMENT.match(sql[match.end() :].lstrip()):
            return sql[: match.start()].strip()
    return sql.strip()


_SAMPLE = Schema(
    "sample",
    (
        Table("singer", (Column("id", "INTEGER", True), Column("Home Town", "TEXT", examples=("York",)))),
        Table("song", (Column("id", "INTEGER", True), Column("singer_id", "INTEGER"))),
        Table("hit", (Column("id", "INTEGER"),), is_view=True),
    ),
    (ForeignKey("song", ("singer_id",), "singer", ("id",)),),
)
