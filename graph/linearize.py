"""A schema as the text that the model reads. Every base style is a function (Schema, Labels) -> str in STYLES.

Names come from files of strangers: they are quoted where SQL needs it and can neither end a line nor carry a token of
a chat template (see `plain`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from graph.schema import Column, ForeignKey, Schema, Table

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NUMBER = re.compile(r"-?\d+(\.\d+)?\Z")
# What SQLite refuses as a bare name.
_RESERVED_WORDS = """
    add all alter and as autoincrement between by case check collate commit constraint create current_date
    current_time current_timestamp default deferrable delete distinct drop else end escape except exists foreign
    from full group having if in index inner insert intersect into is isnull join left limit natural not nothing
    notnull null offset on or order outer primary references right select set table then to transaction union
    unique update using values view when where window with
"""
_RESERVED = frozenset(_RESERVED_WORDS.split())
# "<|im_start|>", its full-width sisters, "<s>", "<end_of_turn>", "[INST]", "<<SYS>>"
_CHAT_TOKEN = re.compile(
    r"<(?=[|\uff5c]|/?\w+>|<)|[|\uff5c](?=>)|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_\w+)\])"
)


@dataclass(frozen=True)
class Labels:
    """The words that introduce example values, joins and paths; training varies them (`sft.augment`)."""

    examples: str = "e.g."
    joins: str = "Joins:"
    paths: str = "Paths:"


def compact(schema: Schema, labels: Labels = Labels()) -> str:
    """One line per table, then one line per declared foreign key; no types.

    >>> city = Table("city", (Column("id", "INTEGER", True), Column("Home Town", "TEXT")))
    >>> print(compact(Schema("geo", (city,), (ForeignKey("city", ("Home Town",), "city", ("id",)),))))
    city(id, "Home Town")
    city."Home Town" = city.id
    """
    lines = [f"{identifier(t.name)}({', '.join(identifier(c.name) for c in t.columns)})" for t in schema.tables]
    return "\n".join(lines + [join_condition(key) for key in schema.foreign_keys])


def ddl(schema: Schema, labels: Labels = Labels()) -> str:
    """A CREATE TABLE statement per table, with types and keys; views are written as tables, marked."""
    return "\n".join(_create_table(schema, table) for table in schema.tables)


def mschema(schema: Schema, labels: Labels = Labels()) -> str:
    """A line per column with its type, primary key and example values; then one line per declared foreign key.

    After M-Schema (Gao et al., arXiv 2411.08599), with fewer words.

    >>> town = Column("Home Town", "TEXT", examples=("York", "O'Fallon"))
    >>> print(mschema(Schema("geo", (Table("city", (Column("id", "INTEGER", True), town)),))))
    table city
      id INTEGER primary key
      "Home Town" TEXT e.g. 'York', 'O''Fallon'
    """
    lines = [line for table in schema.tables for line in _described(table, labels)]
    return "\n".join(lines + [join_condition(key) for key in schema.foreign_keys])


STYLES: dict[str, Callable[[Schema, Labels], str]] = {"compact": compact, "ddl": ddl, "mschema": mschema}


def identifier(name: str) -> str:
    """The name as it stands in SQL, double-quoted where SQLite needs it.

    >>> identifier("order"), identifier("age")
    ('"order"', 'age')
    """
    name = plain(name)
    if _BARE.match(name) and name.lower() not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def join_condition(key: ForeignKey) -> str:
    """concert.stadium_id = stadium.stadium_id; a composite key joins its pairs with AND."""
    child, parent = identifier(key.table), identifier(key.parent)
    pairs = zip(key.columns, key.parent_columns, strict=True)
    return " AND ".join(f"{child}.{identifier(left)} = {parent}.{identifier(right)}" for left, right in pairs)


def plain(text: str) -> str:
    """Text of a stranger on one line: control characters become spaces, tokens of chat templates are broken by one.

    >>> plain("a\\nb <|im_end|>")
    'a b < |im_end| >'
    """
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    text = text.encode("utf-8", "replace").decode("utf-8")  # lone surrogates
    return _CHAT_TOKEN.sub(lambda match: f"{match[0]} ", text)


def _described(table: Table, labels: Labels) -> list[str]:
    lines = [f"table {identifier(table.name)}{' (view)' if table.is_view else ''}"]
    for column in table.columns:
        words = [identifier(column.name), *plain(column.type).split(), *["primary key"] * column.primary_key]
        examples = [_literal(example, column.type) for example in column.examples]
        lines.append("  " + " ".join(words + [f"{labels.examples} {', '.join(examples)}"] * bool(examples)))
    return lines


def _literal(example: str, declared: str) -> str:
    """As SQL would write the value: numbers bare, texts in single quotes. `example` is safe (`graph.values`)."""
    if _NUMBER.match(example) and not re.search("CHAR|CLOB|TEXT", declared):
        return example
    return "'" + example.replace("'", "''") + "'"


def _create_table(schema: Schema, table: Table) -> str:
    keys = [column for column in table.columns if column.primary_key]
    lines = [_column_definition(column, inline_key=len(keys) == 1) for column in table.columns]
    if len(keys) > 1:
        lines.append(f"PRIMARY KEY ({', '.join(identifier(column.name) for column in keys)})")
    lines += [_reference(key) for key in schema.foreign_keys if key.table == table.name]
    note = " -- view" if table.is_view else ""
    return f"CREATE TABLE {identifier(table.name)} ({note}\n  " + ",\n  ".join(lines) + "\n);"


def _column_definition(column: Column, inline_key: bool) -> str:
    words = [identifier(column.name), *plain(column.type).split()]
    return " ".join(words + ["PRIMARY KEY"] * (column.primary_key and inline_key))


def _reference(key: ForeignKey) -> str:
    columns = ", ".join(map(identifier, key.columns))
    targets = ", ".join(map(identifier, key.parent_columns))
    return f"FOREIGN KEY ({columns}) REFERENCES {identifier(key.parent)} ({targets})"
