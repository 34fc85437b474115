"""One spelling for all gold queries, so that a model learns what they mean and not how somebody typed them.

Published golds mix `T1.Name  =  "x"`, `name='x'` and `count ( * )`; a model copies all of it, at a cost in tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.generators.sqlite import SQLiteGenerator

from graph import linearize
from graph.schema import Schema, fold

_JOIN_ALIAS = re.compile(r"t\d+", re.ASCII)  # t1, t2 beside T1, T2


class _Writer(SQLiteGenerator):
    TRANSFORMS: ClassVar[dict[Any, Any]] = {
        **SQLiteGenerator.TRANSFORMS,
        exp.NEQ: lambda self, node: self.binary(node, "!="),
    }


def canonical(sql: str, schema: Schema) -> str:
    """The query with one blank between words, keywords in capitals, names as the schema spells them, and texts in
    single quotes. What cannot be parsed comes back as it is.

    >>> from graph.schema import Column, Table
    >>> shop = Schema("shop", (Table("Item", (Column("Price", "REAL"),)),))
    >>> canonical('select  price from item where price  =  "x"  limit 1 ;', shop)
    "SELECT Price FROM Item WHERE Price = 'x' LIMIT 1"
    """
    try:
        tree = sqlglot.parse_one(sql, read="sqlite")
    except (sqlglot.errors.SqlglotError, RecursionError):
        return sql
    names = {fold(name): name for name in _names(schema)}
    names |= {fold(alias): _as_alias(alias) for alias in _aliases(tree) if fold(alias) not in names}
    for column in list(tree.find_all(exp.Column)):
        if not column.table and column.this.quoted and fold(column.name) not in names:
            column.replace(exp.Literal.string(column.name))  # SQLite takes "x" for a text where no name fits
    for identifier in tree.find_all(exp.Identifier):
        name = names.get(fold(identifier.name), identifier.name)
        identifier.set("this", name)
        identifier.set("quoted", linearize.identifier(name) != name)
    return _Writer(comments=False).generate(tree)


def _names(schema: Schema) -> Iterator[str]:
    """Columns before tables: where both fold alike, the table's spelling counts."""
    for table in schema.tables:
        yield from (column.name for column in table.columns)
    yield from (table.name for table in schema.tables)


def _aliases(tree: exp.Expr) -> Iterator[str]:
    for node in tree.find_all(exp.Alias, exp.TableAlias):
        if name := node.alias or node.name * isinstance(node, exp.TableAlias):
            yield name


def _as_alias(name: str) -> str:
    return name.upper() if _JOIN_ALIAS.fullmatch(name) else name
