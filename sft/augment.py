"""Other faces of the same schema for training: order, tables, columns, example values and labels vary by chance.

Whatever the level, the gold query means the same on the result: the tables and columns that it uses, primary keys,
both ends of joins between the tables that stay, and bridge tables are neither dropped nor renamed. Gold SQL is only
read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from typing import TypeVar

import networkx
from sqlglot import exp

from evaluation.benchmarks import Example
from evaluation.errors import UserError
from evaluation.ordering import parse
from graph.build import schema_graph
from graph.linearize import Labels
from graph.paths import connecting_tables
from graph.schema import Column, ForeignKey, Schema, Table, fold
from graph.values import Values, with_examples

Item = TypeVar("Item")
End = tuple[str, str]  # (table, column), both folded


@dataclass(frozen=True)
class Strength:
    """Chances between 0 and 1 that a thing changes; most_added is a number of tables."""

    shuffle_tables: float = 0.0  # once per schema
    shuffle_columns: float = 0.0  # per table
    shuffle_keys: float = 0.0  # once per schema
    drop_tables: float = 0.0  # per table that may go
    drop_columns: float = 0.0  # per column that may go
    add_tables: float = 0.0  # once per schema: 1 to most_added tables of other schemas come in
    most_added: int = 0
    resample: float = 0.0  # per column with examples
    relabel: float = 0.0  # once per prompt


LEVELS = {
    "none": Strength(),
    "light": Strength(0.25, 0.15, 0.25, 0.15, 0.10, 0.15, 1, 0.2, 0.10),
    "moderate": Strength(0.50, 0.40, 0.50, 0.35, 0.25, 0.35, 2, 0.5, 0.25),
    "heavy": Strength(0.90, 0.75, 0.90, 0.60, 0.50, 0.60, 3, 0.9, 0.50),
}
_OTHER_LABELS = {
    "examples": ("Examples:", "Value examples:", "values:", "such as"),
    "joins": ("Foreign keys:", "Relations:", "Tables join on:"),
    "paths": ("Join paths:", "Routes:", "Ways to join:"),
}


def augmented(
    schema: Schema,
    gold_sql: str,
    level: str,
    rng: Random,
    values: Values | None = None,
    others: Sequence[Schema] = (),
) -> Schema:
    """The schema as one training prompt shows it; at level "none" the very same object.

    values: cells of the schema's columns, from which examples are drawn anew. others: schemas that lend distractor
    tables; give them examples where `schema` has them, or the distractors stand out. UserError: no such level.
    """
    strength = _strength(level)
    if strength == LEVELS["none"]:
        return schema
    gold = _gold(schema, gold_sql)
    kept = _without_tables(schema, _needed_tables(schema, gold), strength.drop_tables, rng)
    thin = _without_columns(kept, gold.columns | _join_ends(schema, kept), strength.drop_columns, rng)
    fresh = _with_other_examples(thin, values or {}, gold.literals, strength.resample, rng)
    taken = {fold(table.name) for table in schema.tables}
    return _shuffled(_with_distractors(fresh, taken, strength, rng, others), strength, rng)


def labels(level: str, rng: Random) -> Labels:
    """The words that introduce examples, joins and paths in one training prompt. UserError: no such level."""
    if rng.random() >= _strength(level).relabel:
        return Labels()
    return Labels(**{part: rng.choice(words) for part, words in _OTHER_LABELS.items()})


class Faces:
    """Draws a face of its own for each training example that it is called with, in the order of the calls.

    schema, values: what the prompts show of a database; databases: those that may lend distractor tables.
    """

    def __init__(
        self,
        schema: Callable[[str], Schema],
        values: Callable[[str], Values],
        databases: Iterable[str],
        level: str,
        rng: Random,
    ) -> None:
        self._schema, self._values, self._level, self._rng = schema, values, level, rng
        self._others = {path: schema(path) for path in dict.fromkeys(databases)}

    def __call__(self, example: Example) -> tuple[Schema, Labels]:
        own = self._schema(example.database)
        others = [schema for path, schema in self._others.items() if path != example.database]
        values = self._values(example.database)
        face = augmented(own, example.gold_sql, self._level, self._rng, values, others)
        return face, labels(self._level, self._rng)


def multiplied(items: Sequence[Item], multiplier: float, rng: Random) -> list[tuple[Item, int]]:
    """Each item with the number of the copy that it is, from 0; all first copies, in order, then all second ones, …

    A fraction of a copy goes to that share of the items, drawn by `rng`. UserError: a multiplier below 1.

    >>> multiplied("ab", 2.5, Random(0))
    [('a', 0), ('b', 0), ('a', 1), ('b', 1), ('b', 2)]
    """
    if not 1 <= multiplier < math.inf:
        raise UserError(f"the multiplier of the training questions must be a number from 1 on, got {multiplier}")
    whole = math.floor(multiplier)
    drawn = sorted(rng.sample(range(len(items)), round((multiplier - whole) * len(items))))
    copies = [(item, copy) for copy in range(whole) for item in items]
    return copies + [(items[place], whole) for place in drawn]


def _strength(level: str) -> Strength:
    if level not in LEVELS:
        raise UserError(f"the level of schema augmentation must be one of {', '.join(LEVELS)}, got {level!r}")
    return LEVELS[level]


@dataclass(frozen=True)
class _Gold:
    """What the gold query may refer to, in case of doubt too much. Names and literals are folded."""

    tables: frozenset[str]
    columns: frozenset[End]
    literals: frozenset[str] = frozenset()


@lru_cache(maxsize=20_000)
def _gold(schema: Schema, sql: str) -> _Gold:
    """All of the schema when the query cannot be parsed, or names no table of it."""
    tree = parse(sql)
    sources = _sources(tree) if tree else {}
    named = {name for names in sources.values() for name in names}
    columns = {fold(t.name): {fold(c.name) for c in t.columns} for t in schema.tables if fold(t.name) in named}
    if tree is None or not columns:
        everything = frozenset((fold(t.name), fold(c.name)) for t in schema.tables for c in t.columns)
        return _Gold(frozenset(fold(t.name) for t in schema.tables), everything)
    ends = {(table, column) for table, names in columns.items() for column in names}
    if not _takes_all_columns(tree):
        used = _column_names(tree)
        # Unknown qualifiers are those of subqueries; SQLite may find an unqualified name in any table.
        ends = {end for end in ends if any(end[1] == c and end[0] in sources.get(q, columns) for q, c in used)}
    return _Gold(frozenset(columns), frozenset(ends), _literals(tree))


def _sources(tree: exp.Query) -> dict[str, set[str]]:
    """Name or alias -> the tables that it stands for, in any of the subqueries."""
    found: dict[str, set[str]] = {}
    for table in tree.find_all(exp.Table):
        found.setdefault(fold(table.alias_or_name), set()).add(fold(table.name))
    for test in tree.find_all(exp.In):  # x IN some_table
        if test.args.get("field"):
            name = fold(test.args["field"].name)
            found.setdefault(name, set()).add(name)
    found.pop("", None)  # of a function that gives a table
    return found


def _takes_all_columns(tree: exp.Query) -> bool:
    stars = any(not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star))
    fields = any(test.args.get("field") for test in tree.find_all(exp.In))
    return stars or fields or any(join.method == "NATURAL" for join in tree.find_all(exp.Join))


def _column_names(tree: exp.Query) -> set[tuple[str, str]]:
    """(qualifier or "", column) of every column that is named; a quoted text may be one of them."""
    used = {(fold(column.table), fold(column.name)) for column in tree.find_all(exp.Column)}
    shared = (column for join in tree.find_all(exp.Join) for column in join.args.get("using") or ())
    return used | {("", fold(column.name)) for column in shared}


def _literals(tree: exp.Query) -> frozenset[str]:
    """What a cell can be compared with; SQLite reads a quoted name that it does not know as a text."""
    return frozenset(fold(node.name.strip("%")) for node in tree.find_all(exp.Literal, exp.Column))


@lru_cache(maxsize=2_000)
def _graph(schema: Schema) -> networkx.MultiGraph:
    return schema_graph(schema)


def _needed_tables(schema: Schema, gold: _Gold) -> set[str]:
    """The gold's tables and those on the join paths between them."""
    wanted = [table.name for table in schema.tables if fold(table.name) in gold.tables]
    return {fold(name) for name in connecting_tables(_graph(schema), wanted)}


def _join_ends(schema: Schema, kept: Schema) -> set[End]:
    """Both ends of every join of the schema, declared or inferred, whose tables are kept."""
    present = {fold(table.name) for table in kept.tables}
    keys = (join.key for _, _, join in _graph(schema).edges(keys=True) if join)
    between = (key for key in keys if {fold(key.table), fold(key.parent)} <= present)
    return {end for key in between for end in _ends(key)}


def _ends(key: ForeignKey) -> set[End]:
    child = {(fold(key.table), fold(column)) for column in key.columns}
    return child | {(fold(key.parent), fold(column)) for column in key.parent_columns}


def _with_tables(schema: Schema, tables: Sequence[Table]) -> Schema:
    """The schema with these tables alone, and the foreign keys that find all their columns in them."""
    present = {(fold(table.name), fold(column.name)) for table in tables for column in table.columns}
    keys = tuple(key for key in schema.foreign_keys if _ends(key) <= present)
    return replace(schema, tables=tuple(tables), foreign_keys=keys)


def _without_tables(schema: Schema, needed: set[str], chance: float, rng: Random) -> Schema:
    kept = [table for table in schema.tables if fold(table.name) in needed or rng.random() >= chance]
    return _with_tables(schema, kept)


def _without_columns(schema: Schema, needed: set[End] | frozenset[End], chance: float, rng: Random) -> Schema:
    """A table keeps at least one column."""

    def thinned(table: Table) -> Table:
        name = fold(table.name)
        kept = [c for c in table.columns if c.primary_key or (name, fold(c.name)) in needed or rng.random() >= chance]
        return replace(table, columns=tuple(kept or [rng.choice(table.columns)]))

    return _with_tables(schema, [thinned(table) for table in schema.tables])


def _with_distractors(
    schema: Schema, taken: set[str], strength: Strength, rng: Random, others: Sequence[Schema]
) -> Schema:
    """Tables of other schemas, at random places, none with a name that is taken."""
    wanted = rng.randint(1, strength.most_added) if rng.random() < strength.add_tables else 0
    tables, keys, names = list(schema.tables), schema.foreign_keys, set(taken)
    for other in rng.sample(others, len(others) if wanted else 0):
        free = [table for table in other.tables if fold(table.name) not in names]
        lent = _with_tables(other, rng.sample(free, min(wanted, len(free))))
        lent = _without_columns(lent, _join_ends(other, lent), strength.drop_columns, rng)
        for table in lent.tables:
            tables.insert(rng.randint(0, len(tables)), table)
        keys += lent.foreign_keys
        names |= {fold(table.name) for table in lent.tables}
        wanted -= len(lent.tables)
        if not wanted:
            break
    return replace(schema, tables=tuple(tables), foreign_keys=keys)


def _with_other_examples(
    schema: Schema, values: Values, literals: frozenset[str], chance: float, rng: Random
) -> Schema:
    """Examples drawn anew, per column by chance; one that the gold query compares with stays."""

    def redrawn(table: Table, column: Column) -> Column:
        cells = values.get((table.name, column.name), ())
        if not (column.examples and cells) or rng.random() >= chance:
            return column
        count = len(column.examples)
        shuffled = {(table.name, column.name): tuple(rng.sample(cells, min(len(cells), 20 * count)))}
        single = Schema(schema.name, (Table(table.name, (column,)),))
        found = with_examples(single, shuffled, count).tables[0].columns[0].examples
        kept = [example for example in column.examples if fold(example) in literals]
        return replace(column, examples=tuple(dict.fromkeys([*kept, *found]))[:count])

    tables = [replace(table, columns=tuple(redrawn(table, c) for c in table.columns)) for table in schema.tables]
    return replace(schema, tables=tuple(tables))


def _shuffled(schema: Schema, strength: Strength, rng: Random) -> Schema:
    """Keys follow the order of their tables, as introspection gives them, unless they are shuffled themselves."""
    tables = _perhaps_shuffled(schema.tables, strength.shuffle_tables, rng)
    tables = [replace(t, columns=tuple(_perhaps_shuffled(t.columns, strength.shuffle_columns, rng))) for t in tables]
    place = {fold(table.name): number for number, table in enumerate(tables)}
    keys = sorted(schema.foreign_keys, key=lambda key: place[fold(key.table)])
    keys = _perhaps_shuffled(keys, strength.shuffle_keys, rng)
    return replace(schema, tables=tuple(tables), foreign_keys=tuple(keys))


def _perhaps_shuffled(items: Sequence[Item], chance: float, rng: Random) -> list[Item]:
    return rng.sample(items, len(items)) if rng.random() < chance else list(items)
