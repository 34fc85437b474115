"""Train and dev without a shared query: questions whose queries differ in their values only stay together."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import sqlglot
from sqlglot import exp

from evaluation.benchmarks import Example
from graph.schema import Schema, fold
from graph.spelling import canonical

DEV_SHARE = 0.2  # of the query structures
_LITERAL = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b")


def structure(sql: str, schema: Schema) -> str:
    """The query without its values, its spelling and the names of its aliases.

    >>> from graph.schema import Column, Table
    >>> shop = Schema("shop", (Table("item", (Column("name", "TEXT"), Column("price", "REAL"))),))
    >>> structure("SELECT i.name FROM item AS i WHERE i.price > 3", shop)
    'SELECT a0.name FROM item AS a0 WHERE a0.price > ?'
    >>> structure("select T1.NAME from Item T1 where T1.price>4.5;", shop)
    'SELECT a0.name FROM item AS a0 WHERE a0.price > ?'
    """
    spelled = canonical(sql, schema)
    try:
        tree = sqlglot.parse_one(spelled, read="sqlite")
    except (sqlglot.errors.SqlglotError, RecursionError):
        return fold(" ".join(_LITERAL.sub("?", spelled).split()).strip("; "))
    for literal in list(tree.find_all(exp.Literal)):
        literal.replace(exp.Placeholder())
    _rename_aliases(tree)
    return tree.sql(dialect="sqlite", comments=False)


def _rename_aliases(tree: exp.Expr) -> None:
    """a0, a1, … in the order in which they are introduced, at the tables and wherever their columns are named."""
    named = [alias.this for alias in tree.find_all(exp.TableAlias) if alias.this]
    names = {fold(name): f"a{i}" for i, name in enumerate(dict.fromkeys(fold(name.name) for name in named))}
    for identifier in named:
        identifier.replace(exp.to_identifier(names[fold(identifier.name)]))
    for column in tree.find_all(exp.Column):
        if fold(column.table) in names:
            column.set("table", exp.to_identifier(names[fold(column.table)]))


def split(examples: Sequence[Example], schema: Schema) -> tuple[list[Example], list[Example]]:
    """(train, dev) in the given order; which structure is in dev, its own digest decides, whatever else is there.

    So a question stays where it is when others are added. Neither is empty where there are two structures or more.
    """
    structures = [structure(example.gold_sql, schema) for example in examples]
    digests = {text: _digest(text) for text in dict.fromkeys(structures)}
    dev = {text for text, digest in digests.items() if digest < DEV_SHARE}
    if len(digests) > 1 and len(dev) in (0, len(digests)):
        ranked = sorted(digests, key=lambda text: digests[text])
        dev = {ranked[0]} if not dev else set(ranked[:-1])
    sides: tuple[list[Example], list[Example]] = ([], [])
    for example, text in zip(examples, structures, strict=True):
        sides[text in dev].append(example)
    return sides


def _digest(text: str) -> float:
    """Evenly in 0 … 1."""
    return int(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8], 16) / 2**32
