"""How a designer of schemas spells identifiers: release_year, ReleaseYear, Song_release_year, rele_yr."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

ABBREVIATIONS: dict[str, str] = {
    "account": "acct", "address": "addr", "amount": "amt", "average": "avg", "category": "cat", "code": "cd",
    "company": "comp", "country": "ctry", "customer": "cust", "date": "dt", "department": "dept", "description": "desc",
    "employee": "emp", "first": "f", "height": "hgt", "identifier": "id", "last": "l", "length": "len",
    "location": "loc",
    "manager": "mgr", "maximum": "max", "minimum": "min", "month": "mon", "name": "name", "number": "num",
    "organisation": "org", "percentage": "pct", "population": "pop", "position": "pos", "price": "price",
    "product": "prod", "professor": "prof", "quantity": "qty", "reference": "ref", "registration": "reg",
    "student": "stu", "temperature": "temp", "university": "univ", "weight": "wgt", "year": "yr",
}  # fmt: skip

# words that SQL keeps for itself, met when words are abbreviated or put in the plural
_SQL = """
    add all as asc by case cast cross desc end from full group in index join key left like match natural not of on or
    order right select set table then to union values when where with
"""
RESERVED = frozenset(_SQL.split())


def abbreviate(word: str) -> str:
    """The usual short form of a word, or its first letters: "department" -> "dept", "membership" -> "memb"."""
    return ABBREVIATIONS.get(word, word if len(word) <= 5 else word[:4])


def snake(words: str) -> str:
    return words.lower().replace(" ", "_")


def camel(words: str) -> str:
    return "".join(word.capitalize() for word in words.split())


def lower_camel(words: str) -> str:
    return words.split()[0].lower() + camel(" ".join(words.split()[1:]))


def title_snake(words: str) -> str:
    return "_".join(word.capitalize() for word in words.split())


def first_upper(words: str) -> str:
    return snake(words).capitalize()


def shouting(words: str) -> str:
    return snake(words).upper()


def flat(words: str) -> str:
    return words.lower().replace(" ", "")


def short_snake(words: str) -> str:
    return snake(" ".join(abbreviate(word) for word in words.split()))


def short_camel(words: str) -> str:
    return camel(" ".join(abbreviate(word) for word in words.split()))


Spelling = Callable[[str], str]  # lower-case words with spaces -> identifier


@dataclass(frozen=True)
class Naming:
    """One designer's habits. Weight: how often to draw it.

    table, column: spellings. plural_tables: tables are "pets", not "pet". key: the words of an id column, "{}" is the
    entity ("id", "{} id", "{} code"). parent_key: the words of a fk column that refers to the entity. prefixed: columns
    carry the entity ("song name").
    """

    name: str
    table: Spelling
    column: Spelling
    key: str = "{} id"
    parent_key: str = "{} id"
    plural_tables: bool = False
    prefixed: bool = False
    weight: float = 1.0


NAMINGS: tuple[Naming, ...] = (
    Naming("snake", snake, snake, weight=5),
    Naming("snake, plural tables", snake, snake, plural_tables=True, weight=2),
    Naming("snake, plain id", snake, snake, key="id", weight=2),
    Naming("snake, plural tables, plain id", snake, snake, key="id", plural_tables=True, weight=2),
    Naming("title", title_snake, title_snake, weight=1.5),
    Naming("title columns", snake, title_snake, weight=2),
    Naming("title columns, plain id", snake, title_snake, key="id"),
    Naming("first letter", snake, first_upper, weight=1.5),
    Naming("first letter, prefixed", snake, first_upper, prefixed=True),
    Naming("snake, prefixed", snake, snake, prefixed=True),
    Naming("camel", camel, camel, weight=1.5),
    Naming("camel columns, plural tables", snake, camel, plural_tables=True),
    Naming("lower camel", lower_camel, lower_camel, weight=1.5),
    Naming("lower camel, plain id", lower_camel, lower_camel, key="id"),
    Naming("shouting", shouting, shouting, weight=0.5),
    Naming("flat", flat, flat),
    Naming("flat, codes", flat, flat, key="{} code", parent_key="{} code", weight=0.5),
    Naming("short snake", snake, short_snake),
    Naming("short camel", camel, short_camel),
    Naming("same key, no suffix", snake, snake, key="id", parent_key="{}", weight=0.5),
)


def table_name(naming: Naming, one: str, many: str) -> str:
    """The table for an entity: its plural or singular noun in the naming's spelling."""
    return _safe(naming.table(many if naming.plural_tables else one))


def column_name(naming: Naming, column: str, entity: str) -> str:
    """The identifier of a snake_case column of an entity, other than its keys."""
    words = column.replace("_", " ")
    if naming.prefixed and not words.startswith(entity):
        words = f"{entity} {words}"
    return _safe(naming.column(words))


def key_name(naming: Naming, entity: str) -> str:
    return _safe(naming.column(naming.key.format(entity)))


def parent_key_name(naming: Naming, entity: str, role: str = "") -> str:
    """The fk column to an entity; with a role ("home"), one of several to the same parent."""
    return _safe(naming.column(naming.parent_key.format(f"{role} {entity}".strip())))


def _safe(identifier: str) -> str:
    return identifier + "_name" if identifier.lower() in RESERVED else identifier
