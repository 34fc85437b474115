"""A database that nobody described, in words: its schema and first rows -> a `Domain` of the question grammar.

What the names, types and cells do not tell for certain is left out: no question is better than a wrong one. Tables and
columns go into the domain as SQL writes them, in quotes where they need some.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from evaluation.databases.sandbox import Limits, Sandbox
from evaluation.tiny.domain import Bridge, Column, Domain, Kind, Link, Table
from evaluation.tiny.grammar.words import plural
from evaluation.tiny.rows import Rows
from graph.build import joins
from graph.linearize import identifier
from graph.schema import ForeignKey, Schema
from graph.schema import Table as Described
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


def described(database: str, schema: Schema) -> tuple[Domain, Rows]:
    """The domain and the rows that its questions are made of. Views, and tables without rows, are left out."""
    cells = _sample(database, schema)
    tables = {name: table for name in cells if (table := schema.table(name))}
    keys = _keys(schema, tables, cells)
    bridges = {name: ends for name in tables if (ends := _bridge_ends(tables[name], keys))}
    links = [key for key in keys if key.table not in bridges]
    made = {name: _table(schema, tables[name], cells[name], keys, name in bridges) for name in tables}
    domain = Domain(
        schema.name,
        tuple(table for table, _ in made.values()),
        tuple(_link(key, tables) for key in links),
        tuple(_bridge(*ends) for ends in bridges.values()),
    )
    return domain, {table.name: rows for table, rows in made.values()}


def _sample(database: str, schema: Schema) -> dict[str, Cells]:
    """The first rows of each table, by column; nothing of one that has none or takes too long."""
    asked = [table for table in schema.tables if not table.is_view]
    queries = [
        f"SELECT * FROM (SELECT {_columns(table)} FROM {identifier(table.name)} LIMIT {SAMPLED})" for table in asked
    ]
    with Sandbox(Limits(deadline_s=5.0)) as sandbox:
        found = sandbox.execute([(database, query) for query in queries])
    return {
        table.name: dict(zip((c.name for c in table.columns), zip(*ran.rows, strict=True), strict=True))
        for table, ran in zip(asked, found, strict=True)
        if ran.rows
    }


def _columns(table: Described) -> str:
    return ", ".join(identifier(column.name) for column in table.columns)


def _key(table: Described) -> str | None:
    """The column that is the table's key, alone."""
    keys = [column.name for column in table.columns if column.primary_key]
    return keys[0] if len(keys) == 1 else None


def _keys(schema: Schema, tables: dict[str, Described], cells: dict[str, Cells]) -> list[ForeignKey]:
    """Joins of one column to the key of another table, one per column; declared ones first."""
    values = {
        (name, column): frozenset(str(cell) for cell in column_cells if cell is not None)
        for name, columns in cells.items()
        for column, column_cells in columns.items()
    }
    found: dict[tuple[str, str], ForeignKey] = {}
    for join in joins(schema, values=values):
        key = join.key
        if len(key.columns) == 1 and {key.table, key.parent} <= tables.keys() and key.table != key.parent:
            parent_key = _key(tables[key.parent])
            if parent_key == key.parent_columns[0] and key.columns[0] != _key(tables[key.table]):
                found.setdefault((key.table, key.columns[0]), key)
    return list(found.values())


def _parts_of_keys(table: Described, schema: Schema) -> set[str]:
    """Columns that point to rows, or number them together with others: nothing to sum up or to compare."""
    primary = [column.name for column in table.columns if column.primary_key]
    foreign = [name for key in schema.foreign_keys if key.table == table.name for name in key.columns]
    return {*foreign, *(primary if len(primary) > 1 else ())}


def _bridge_ends(table: Described, keys: list[ForeignKey]) -> tuple[ForeignKey, ForeignKey] | None:
    """The two keys of a table that has no key of its own and joins two others."""
    own = [key for key in keys if key.table == table.name]
    pointed_at = any(key.parent == table.name for key in keys)
    if _key(table) or pointed_at or len(own) != 2 or own[0].parent == own[1].parent:
        return None
    return own[0], own[1]


def _table(
    schema: Schema, table: Described, cells: Cells, keys: list[ForeignKey], bridge: bool
) -> tuple[Table, list[Any]]:
    """The table in words, and its rows in the order of its columns."""
    pointing = {key.columns[0] for key in keys if key.table == table.name}
    numbering = _parts_of_keys(table, schema)
    key, (one, many) = _key(table), _nouns(table.name)
    height = len(next(iter(cells.values())))
    columns, values = [Column(identifier(key or ROWID), "id")], [cells[key] if key else tuple(range(height))]
    if bridge:
        columns, values = [], []
    title = None if bridge else _title(table, cells)
    for name in (column.name for column in table.columns if column.name not in numbering or column.name in pointing):
        kind: Kind | None = "fk" if name in pointing else "name" if name == title else _kind(name, cells[name])
        if kind and (name != key or kind == "name"):
            columns.append(_column(name, kind, cells[name], table.name))
            values.append(cells[name])
    ordered = sorted(
        range(len(columns)), key=lambda i: ("id", "fk").index(k) if (k := columns[i].kind) in ("id", "fk") else 2
    )
    rows = list(zip(*(values[i] for i in ordered), strict=True)) if columns else []
    return Table(identifier(table.name), (one,), (many,), tuple(columns[i] for i in ordered), len(rows), bridge), rows


def _title(table: Described, cells: Cells) -> str | None:
    """The text column whose cells name the rows: all different, and no code, address or long text."""
    fitting: list[tuple[bool, int, str]] = []
    for name, column in cells.items():
        texts = [cell for cell in column if isinstance(cell, str)]
        distinct = len(set(texts))
        words = set(name_words(name))
        if len(texts) != len(column) or len(texts) < 3 or not all(map(_sayable, texts)) or words & _CODED:
            continue
        if any(_DATE.match(text) or "@" in text for text in texts):
            continue
        if distinct == len(texts) or (words & _NAMING and distinct >= 0.9 * len(texts)):
            fitting.append((not words & _NAMING, len(fitting), name))
    return min(fitting)[2] if fitting else None


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


def _link(key: ForeignKey, tables: dict[str, Described]) -> Link:
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
