"""A database schema as plain values: the type that crosses from introspection to prompts and rewards."""

from __future__ import annotations

from dataclasses import dataclass


class SchemaError(ValueError):
    """A database that cannot be described: missing, not SQLite, or without a table. The text is for the user."""


@dataclass(frozen=True)
class Column:
    """name as declared; type as declared, upper case, "" when none; examples: a few short, escaped cell values."""

    name: str
    type: str
    primary_key: bool = False
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class ForeignKey:
    """table(columns) references parent(parent_columns); composite keys hold several columns, in order."""

    table: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    name: str
    columns: tuple[Column, ...]
    is_view: bool = False


@dataclass(frozen=True)
class Schema:
    """The schema of one database; tables in declaration order.

    >>> Schema("shop", (Table("item", (Column("id", "INTEGER", True), Column("price", "REAL"))),)).table("ITEM").name
    'item'
    """

    name: str
    tables: tuple[Table, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()

    def table(self, name: str) -> Table:
        """The table of this name, matched without case. KeyError when there is none."""
        for table in self.tables:
            if table.name.lower() == name.lower():
                return table
        raise KeyError(f"{self.name} has no table {name!r}; it has {', '.join(t.name for t in self.tables)}")


def fold(name: str) -> str:
    """The name as SQLite compares it: it ignores the case of ASCII letters only."""
    return "".join(char.lower() if char.isascii() else char for char in name)
