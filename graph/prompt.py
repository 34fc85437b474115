"""The prompt: one function for SFT, RL, prediction and serving.

The answer that the model is taught is plain SQL; `graph.answer` takes it from what the model writes. Questions and
evidence are text of strangers: they stay on one line and cannot carry a token of a chat template.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from graph import link
from graph.answer import extract_sql as extract_sql
from graph.linearize import plain
from graph.schema import Column, ForeignKey, Schema, Table
from graph.writer import PromptStyle, PromptWriter, Values

PROMPT_VERSION = "1"
INSTRUCTION = "Write one SQLite query."


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


def messages_from_text(
    schema_text: str,
    question: str,
    evidence: str = "",
    history: Sequence[tuple[str, str]] = (),
    shots: Sequence[tuple[str, str]] = (),
) -> list[dict[str, str]]:
    """The same chat from a schema already written out; `schema_text` must come from `graph.writer`.

    history: (question, SQL) of the earlier turns of a dialogue; shots: of solved examples, which come first.
    """
    lines = [INSTRUCTION]
    for asked, sql in shots:
        lines += [f"Example: {_one_line(asked)}", f"SQL: {_one_line(sql)}"]
    lines.append(schema_text)
    for asked, sql in history:
        lines += [f"Earlier question: {_one_line(asked)}", f"SQL: {_one_line(sql)}"]
    if evidence.strip():
        lines.append(f"Evidence: {_one_line(evidence)}")
    lines.append(f"Question: {_one_line(question)}")
    return [{"role": "user", "content": "\n".join(lines)}]


def prompt_digest(style: str) -> str:
    """64 hex digits that change when the prompt of this style changes in version, wording or schema text."""
    content = build_messages(_SAMPLE, "How many singers?", "a hint", style)[0]["content"]
    if PromptStyle.parse(style).per_question:  # the linker's choices are part of the prompt
        content += repr((link.TABLE_WEIGHTS, link.COLUMN_WEIGHTS, link.TABLE_FLOOR, link.COLUMN_FLOOR, link.SURE))
    return hashlib.sha256(f"{PROMPT_VERSION}\0{style}\0{content}".encode()).hexdigest()


def _one_line(text: str) -> str:
    return " ".join(plain(text).split())


_SAMPLE = Schema(
    "sample",
    (
        Table("singer", (Column("id", "INTEGER", True), Column("Home Town", "TEXT", examples=("York",)))),
        Table("song", (Column("id", "INTEGER", True), Column("singer_id", "INTEGER"))),
        Table("hit", (Column("id", "INTEGER"),), is_view=True),
    ),
    (ForeignKey("song", ("singer_id",), "singer", ("id",)),),
)
