"""What kind of mistake a prediction makes, from what happened to it and from the two syntax trees."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache

from sqlglot import exp

from evaluation.judge import Verdict
from evaluation.ordering import parse

NONE = ""
_MESSAGES = (  # of SQLite, and of our own sandbox
    ("no such table", "missing_table"),
    ("no such column", "missing_column"),
    ("ambiguous column", "ambiguous_column"),
    ("no such function", "missing_function"),
    ("misuse of aggregate", "wrong_aggregate"),
    ("syntax error", "parse_error"),
    ("unrecognized token", "parse_error"),
    ("incomplete input", "parse_error"),
    ("lone surrogates", "parse_error"),
)


def error_class(gold_sql: str, prediction_sql: str, verdict: Verdict) -> str:
    """ "" for a right answer, else the first that holds, most basic first.

    no_sql, gold_failed, refused, timeout, too_large, crashed, reordered; parse_error, missing_table, missing_column,
    ambiguous_column, missing_function, other_error; no_table (a constant); wrong_set_operation, wrong_nesting,
    wrong_tables, wrong_join, wrong_filter, wrong_group, wrong_having, wrong_aggregate, wrong_columns, wrong_distinct,
    wrong_order, wrong_limit, wrong_other.
    """
    if verdict.ex_strict:
        return NONE
    if verdict.status == "error":
        return message_class(verdict.execution.error if verdict.execution else "")
    if verdict.status != "wrong":
        return verdict.status
    if verdict.execution and not verdict.execution.tables_read:
        return "no_table"
    return first_difference(gold_sql, prediction_sql)


def message_class(message: str) -> str:
    return next((name for text, name in _MESSAGES if text in message), "other_error")


def first_difference(gold_sql: str, prediction_sql: str) -> str:
    """The first part, in the order of the table below, in which two readable queries differ.

    >>> first_difference("SELECT a FROM t WHERE b > 1", "SELECT t.a FROM t WHERE t.b > 2")
    'wrong_filter'
    """
    gold, prediction = parts(gold_sql), parts(prediction_sql)
    if gold is None or prediction is None:
        return "wrong_other"
    return next((name for name in _PARTS if gold[name] != prediction[name]), "wrong_other")


@lru_cache(maxsize=20_000)
def parts(sql: str) -> dict[str, Counter[str]] | None:
    """The parts of a query by the class of mistake in them, without aliases and case; None if it cannot be read."""
    tree = parse(sql)
    if tree is None:
        return None
    plain = _without_aliases(tree.copy())
    return {name: Counter(find(plain)) for name, find in _PARTS.items()}


def _without_aliases(tree: exp.Expr) -> exp.Expr:
    """Column names alone, in lower case: a query over few tables names them with a table or without."""
    for column in list(tree.find_all(exp.Column)):
        column.set("table", None)
    for name in list(tree.find_all(exp.Identifier)):
        name.replace(exp.to_identifier(name.this.lower()))
    return tree


def _set_operations(tree: exp.Expr) -> Iterable[str]:
    return (type(node).__name__ for node in tree.find_all(exp.SetOperation))


def _nesting(tree: exp.Expr) -> Iterable[str]:
    return ("select" for _ in tree.find_all(exp.Select))


def _tables(tree: exp.Expr) -> Iterable[str]:
    defined = {cte.alias for cte in tree.find_all(exp.CTE)}
    return (table.name for table in tree.find_all(exp.Table) if table.name not in defined)


def _joins(tree: exp.Expr) -> Iterable[str]:
    for join in tree.find_all(exp.Join):
        yield f"{join.side} {sorted(_texts(_conditions(join.args.get('on'))))} {join.args.get('using') or ''}"


def _filters(tree: exp.Expr) -> Iterable[str]:
    return (text for where in tree.find_all(exp.Where) for text in _texts(_conditions(where.this)))


def _having(tree: exp.Expr) -> Iterable[str]:
    return (text for having in tree.find_all(exp.Having) for text in _texts(_conditions(having.this)))


def _groups(tree: exp.Expr) -> Iterable[str]:
    return (text for group in tree.find_all(exp.Group) for text in _texts(group.expressions))


def _aggregates(tree: exp.Expr) -> Iterable[str]:
    outputs = (output for select in tree.find_all(exp.Select) for output in select.expressions)
    return (type(node).__name__ for output in outputs for node in output.find_all(exp.AggFunc))


def _outputs(tree: exp.Expr) -> Iterable[str]:
    for select in tree.find_all(exp.Select):
        yield re.sub(r"\bDISTINCT\b ?", "", " | ".join(_texts(output.unalias() for output in select.expressions)))


def _distinct(tree: exp.Expr) -> Iterable[str]:
    return ("distinct" for _ in tree.find_all(exp.Distinct))


def _orders(tree: exp.Expr) -> Iterable[str]:
    for order in tree.find_all(exp.Order):
        keys = ((key.this.sql("sqlite"), bool(key.args.get("desc"))) for key in order.expressions)
        yield str(list(keys))


def _limits(tree: exp.Expr) -> Iterable[str]:
    return _texts(tree.find_all(exp.Limit, exp.Offset))


_PARTS: dict[str, Callable[[exp.Expr], Iterable[str]]] = {
    "wrong_set_operation": _set_operations,
    "wrong_nesting": _nesting,
    "wrong_tables": _tables,
    "wrong_join": _joins,
    "wrong_filter": _filters,
    "wrong_group": _groups,
    "wrong_having": _having,
    "wrong_aggregate": _aggregates,
    "wrong_columns": _outputs,
    "wrong_distinct": _distinct,
    "wrong_order": _orders,
    "wrong_limit": _limits,
}


def _conditions(condition: exp.Expr | None) -> list[exp.Expr]:
    """The parts of a conjunction; both sides of an equation in one order."""
    if condition is None:
        return []
    found = list(condition.flatten()) if isinstance(condition, exp.And) else [condition]
    return [_sorted_sides(part) for part in found]


def _sorted_sides(part: exp.Expr) -> exp.Expr:
    if isinstance(part, exp.EQ) and part.left.sql() > part.right.sql():
        return exp.EQ(this=part.right.copy(), expression=part.left.copy())
    return part


def _texts(nodes: Iterable[exp.Expr]) -> list[str]:
    return [node.sql("sqlite") for node in nodes]
