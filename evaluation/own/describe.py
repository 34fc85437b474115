"""A database that nobody described, in words: its schema and first rows -> a `Domain` of the question grammar.

What the names, types and cells do not tell for certain is left out: no question is better than a wrong one. Tables and
columns go into the domain as SQL writes them, in quotes where they need some.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.databases.sandbox import Limits, Sandbox
from evaluation.tiny.domain import Bridge, Column, Domain, Kind, Link, Table
from evaluation.tiny.grammar.words import plural
from evaluation.tiny.rows import Rows
from graph.build import joins
from graph.linearize import identifier
from graph.schema import ForeignKey, Schema
from graph.targets import name_words, singular

SAMPLED = 300  # rows of a table, the first: enough to draw values from
ROWID = "rowid"  # stands in for a key that is not there; questions whose query names it are passed over
_MOST_CATEGORIES = 40
_LONGEST_TEXT = 60  # characters of a cell that a question may quote
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_NAMING = {"name", "title", "label", "company", "caption"}
_CODED = {"id", "code", "key", "no", "number", "nr", "zip", "postcode", "phone", "fax", "hash", "url", "uuid"}
_UNITS = re.compile(r"\(([^()]*)\)")

Cells = dict[str, tuple[Any, ...]]  # column as the schema spells it -> its cells in the order of the rows


@dataclass(frozen=True)
class _Found:
    """What is known of the tables that have rows. primary: a key of one column; keys: joins to such keys."""

    schema: Schema
    cells: dict[str, Cells]
    primary: dict[str, str]
    keys: tuple[ForeignKey, ...]

    def pointing(self, table: str) -> dict[str, ForeignKey]:
        """The table's columns that are such joins."""
        return {key.columns[0]: key for key in self.keys if key.table == table}

    def unasked(self, table: str) -> set[str]:
        """Columns that point to rows, or number them together with others: nothing to sum up or to compare."""
        described = self.schema.table(table)
        primary = [column.name for column in described.columns if column.primary_key]
        foreign = [name for key in self.schema.foreign_keys if key.table == described.name for name in key.columns]
        return {*foreign, *(primary if len(primary) > 1 else ())}

    def bridge(self, table: str) -> tuple[ForeignKey, ...]:
        """The two joins of a table without a key of its own that hangs two others together; () for any other."""
        own = tuple(self.pointing(table).values())
        two = len(own) == 2 and own[0].parent != own[1].parent
        return own if two and table not in self.primary and all(key.parent != table for key in self.keys) else ()


def described(database: str, schema: Schema) -> tuple[Domain, Rows]:
    """The domain and the rows that its questions are made of. Views, and tables without rows, are left out."""
    found = _found(schema, _sample(database, schema))
    bridges = {name: ends for name in found.cells if (ends := found.bridge(name))}
    made = [_table(found, name, name in bridges) for name in found.cells]
    links = tuple(_link(key) for key in found.keys if key.table not in bridges)
    domain = Domain(schema.name, tuple(table for table, _ in made), links, tuple(_bridge(*e) for e in bridges.values()))
    return domain, {table.name: rows for table, rows in made}


def _sample(database: str, schema: Schema) -> dict[str, Cells]:
    """The first rows of each table, by column; nothing of one that has none or takes too long."""
    asked = [table for table in schema.tables if not table.is_view]
    columns = [", ".join(identifier(column.name) for column in table.columns) for table in asked]
    queries = [f"SELECT {c} FROM {identifier(t.name)} LIMIT {SAMPLED}" for t, c in zip(asked, columns, strict=True)]
    with Sandbox(Limits(deadline_s=5.0)) as sandbox:
        answers = sandbox.execute([(database, query) for query in queries])
    return {
        table.name: dict(zip((c.name for c in table.columns), zip(*answer.rows, strict=True), strict=True))
        for table, answer in zip(asked, answers, strict=True)
        if answer.rows
    }


def _found(schema: Schema, cells: dict[str, Cells]) -> _Found:
    """Declared keys and joins, then those that names and cells suggest; one join per column, none to its own table."""
    texts = {
        (table, column): frozenset(str(cell) for cell in column_cells if cell is not None)
        for table, columns in cells.items()
        for column, column_cells in columns.items()
    }
    primary: dict[str, str] = {}
    for table in (schema.table(name) for name in cells):
        names = [column.name for column in table.columns if column.primary_key]
        primary |= {table.name: names[0]} if len(names) == 1 else {}
    keys: dict[tuple[str, str], ForeignKey] = {}
    for key in (join.key for join in joins(schema, values=texts)):
        if len(key.columns) > 1 or not {key.table, key.parent} <= cells.keys() or key.table == key.parent:
            continue
        (column,), (target,) = key.columns, key.parent_columns
        if key.parent not in primary and _tells_rows(cells[key.parent][target]):
            primary[key.parent] = target
        if primary.get(key.parent) == target and primary.get(key.table) != column:
            keys.setdefault((key.table, column), key)
    return _Found(schema, cells, primary, tuple(keys.values()))


def _tells_rows(cells: Sequence[Any]) -> bool:
    return None not in cells and len(set(cells)) == len(cells)


def _table(found: _Found, name: str, bridge: bool) -> tuple[Table, list[Any]]:
    """The table in words, and its rows in the order of its columns: key, joins, the rest."""
    cells, key, pointing = found.cells[name], found.primary.get(name), found.pointing(name)
    height = len(next(iter(cells.values())))
    columns = [] if bridge else [(Column(identifier(key or ROWID), "id"), cells[key] if key else tuple(range(height)))]
    columns += [(_column(column, "fk", cells[column], name), cells[column]) for column in pointing]
    title = None if bridge else _title(cells)
    for column in (column for column in cells if column not in found.unasked(name) | pointing.keys()):
        kind: Kind | None = "name" if column == title else None if column == key else _kind(column, cells[column])
        if kind:
            columns.append((_column(column, kind, cells[column], name), cells[column]))
    rows = list(zip(*(values for _, values in columns), strict=True))
    one, many = _nouns(name)
    return Table(identifier(name), (one,), (many,), tuple(c for c, _ in columns), len(rows), bridge), rows


def _title(cells: Cells) -> str | None:
    """The text column that names the rows best: mostly different, called a name; no code, address or long text."""
    fitting: list[tuple[bool, bool, int, str]] = []
    for place, (name, column) in enumerate(cells.items()):
        texts, words = [cell for cell in column if isinstance(cell, str)], set(name_words(name))
        if len(texts) < max(3, len(column)) or words & _CODED or not all(map(_sayable, texts)):
            continue
        distinct = len(set(texts)) / len(texts)
        if distinct >= 0.5 and not any(_DATE.match(text) or "@" in text for text in texts):
            fitting.append((distinct < 0.9, not words & _NAMING, place, name))
    return min(fitting)[-1] if fitting else None


def _sayable(cell: str) -> bool:
    """Whether a question can hold it and mean it: one line, not long, no blank at an end."""
    return cell.isprintable() and 0 < len(cell) <= _LONGEST_TEXT and cell == cell.strip() and not cell.isdigit()


def _kind(name: str, cells: Sequence[Any]) -> Kind | None:
    """What a column of these cells is; None when it is not to be asked for."""
    there = [cell for cell in cells if cell is not None]
    words = set(name_words(name))
    if not there or words & _CODED:
        return None
    if all(isinstance(cell, int | float) for cell in there):
        return _number_kind(there, words)
    if not all(isinstance(cell, str) and _sayable(cell) for cell in there):
        return None
    if all(_DATE.fullmatch(cell) for cell in there):
        return "date"
    distinct = set(there)
    if distinct <= {"yes", "no"} and len(there) == len(cells):
        return "flag"
    return "category" if 1 < len(distinct) <= min(_MOST_CATEGORIES, max(3, len(there) // 3)) else None


def _number_kind(cells: Sequence[Any], words: set[str]) -> Kind | None:
    if set(cells) <= {0, 1} or any(cell != cell or abs(cell) == float("inf") for cell in cells):
        return None
    if "year" in words and all(isinstance(cell, int) and 1000 <= cell <= 2200 for cell in cells):
        return "year"
    return "number"


def _column(name: str, kind: Kind, cells: Sequence[Any], table: str) -> Column:
    there = [cell for cell in cells if cell is not None]
    nulls = (len(cells) - len(there)) / len(cells)
    low, high = (min(there), max(there)) if kind in ("number", "year") else (0, 0)
    step = 1 if all(isinstance(cell, int) for cell in there) else 0.01
    pool = tuple(sorted(set(there))) if kind == "category" else ()
    unit = _UNITS.search(name)
    return Column(identifier(name), kind, _words(name, kind, table), pool, low, high, step,
                  unit=unit[1].strip() if unit else "", nullable=nulls)  # fmt: skip


def _words(name: str, kind: Kind, table: str) -> tuple[str, ...]:
    """English for a column: "order date" for ordered_on, "weight" for "Weight (g)"."""
    words = name_words(_UNITS.sub(" ", name)) or name_words(name) or [name]
    if kind == "date":
        words = words[:-1] if words[-1] in ("on", "at", "when") else words
        words = words if {"date", "day"} & set(words) else [*words, "date"]
    noun = _nouns(table)[0].split()
    if words[: len(noun)] == noun and len(words) > len(noun):
        return " ".join(words[len(noun) :]), " ".join(words)
    return (" ".join(words),)


def _nouns(table: str) -> tuple[str, str]:
    """One of its rows and many of them: ("order line", "order lines")."""
    words = name_words(table) or [table]
    one = " ".join([*words[:-1], singular(words[-1])])
    return one, plural(one)


def _link(key: ForeignKey) -> Link:
    """Said by the parent alone where the column is named after it, by the column's own word elsewhere."""
    words = [word for word in name_words(key.columns[0]) if word not in ("id", "code", "key", "sku")]
    role = " ".join(words)
    named = not role or role in _nouns(key.parent) or set(words) <= set(name_words(key.parent))
    of = ("of {}", "that belong to {}") if named else (f"whose {role} is {{}}",)
    has = ("with {}", "that have {}") if named else (f"that are the {role} of {{}}",)
    return Link(identifier(key.table), identifier(key.columns[0]), identifier(key.parent), of, has)


def _bridge(left: ForeignKey, right: ForeignKey) -> Bridge:
    return Bridge(
        identifier(left.table),
        identifier(left.parent),
        identifier(left.columns[0]),
        identifier(right.parent),
        identifier(right.columns[0]),
        left_verb=("with {}", "that have {}"),
        right_verb=("with {}", "that are in {}"),
    )
