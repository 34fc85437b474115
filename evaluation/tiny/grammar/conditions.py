"""Conditions on a column: the English, the SQL and the test in Python of "released after 2010", "jazz", ...

A condition is drawn to hold for a given row, so that a query made of it has an answer.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evaluation.tiny.domain import Column, Table
from evaluation.tiny.grammar.words import agreed, counted, participle, said, with_article, with_unit
from evaluation.tiny.grammar.world import MEASURES, World
from evaluation.tiny.rows import Row, literal

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "=": operator.eq,
    "!=": operator.ne,
}
# {a} is "a price" or "an age", {w} "price", {v} the value, {n} what is counted ("pages")
NUMBER = {
    ">": ("with {a} above {v}", "with {a} over {v}", "with {a} of more than {v}", "whose {w} is greater than {v}",
          "whose {w} is above {v}", "whose {w} is more than {v}", "whose {w} exceeds {v}"),
    "<": ("with {a} below {v}", "with {a} under {v}", "with {a} of less than {v}", "whose {w} is less than {v}",
          "whose {w} is below {v}", "whose {w} is under {v}", "whose {w} is smaller than {v}"),
    ">=": ("with {a} of at least {v}", "whose {w} is at least {v}", "with {a} of {v} or more",
           "whose {w} is {v} or more", "with {a} of no less than {v}"),
    "<=": ("with {a} of at most {v}", "whose {w} is at most {v}", "with {a} of {v} or less",
           "whose {w} is {v} or less", "with {a} of no more than {v}"),
    "=": ("with {a} of {v}", "whose {w} is {v}", "with {a} of exactly {v}", "whose {w} equals {v}"),
    "BETWEEN": ("with {a} between {v} and {u}", "whose {w} is between {v} and {u}", "with {a} from {v} to {u}",
                "whose {w} lies between {v} and {u}"),
}  # fmt: skip
COUNTED = {
    ">": ("with more than {v} {n}", "that have more than {v} {n}", "with over {v} {n}"),
    "<": ("with fewer than {v} {n}", "that have less than {v} {n}", "with under {v} {n}"),
    ">=": ("with at least {v} {n}", "that have at least {v} {n}", "with {v} or more {n}"),
    "<=": ("with at most {v} {n}", "that have no more than {v} {n}", "with {v} or fewer {n}"),
    "=": ("with exactly {v} {n}", "that have exactly {v} {n}"),
    "BETWEEN": ("with {v} to {u} {n}", "that have between {v} and {u} {n}"),
}
WHEN = {
    ">": ("{p} after {v}", "{p} later than {v}"),
    "<": ("{p} before {v}", "{p} earlier than {v}"),
    ">=": ("{p} in {v} or later", "{p} since {v}"),
    "<=": ("{p} in {v} or earlier", "{p} in or before {v}"),
    "=": ("{p} in {v}", "{p} in the year {v}"),
    "BETWEEN": ("{p} between {v} and {u}", "{p} from {v} to {u}"),
}
MOMENT = {
    ">": ("with {a} after {v}", "whose {w} is after {v}", "whose {w} is later than {v}"),
    "<": ("with {a} before {v}", "whose {w} is before {v}", "whose {w} is earlier than {v}"),
    ">=": ("whose {w} is {v} or later", "with {a} of {v} or later"),
    "<=": ("whose {w} is {v} or earlier", "with {a} of {v} or earlier"),
    "=": ("with {w} {v}", "whose {w} is {v}"),
    "BETWEEN": ("with {a} between {v} and {u}", "whose {w} is between {v} and {u}"),
}
IN_YEAR = ("with {a} in {v}", "whose {w} is in {v}", "whose {w} falls in {v}", "with {a} in the year {v}")
EQUAL = ("with {w} {v}", "whose {w} is {v}", "with the {w} {v}", "that have the {w} {v}", "with {v} as {w}")
FROM = ("country", "home country", "nation", "origin", "country of origin", "hometown", "home town")
IN = ("city", "town", "district", "location", "campus", "building", "neighbourhood", "continent")
UNEQUAL = ("whose {w} is not {v}", "with {a} other than {v}", "whose {w} is anything but {v}")
MISSING = ("with no {w}", "whose {w} is missing", "whose {w} is unknown", "without {a}", "with no known {w}")
PRESENT = ("whose {w} is known", "with a known {w}", "whose {w} is not missing", "with a recorded {w}")


@dataclass(frozen=True)
class Test:
    """`column` of `table`, then the rest of a comparison: "> 20", "= 'jazz'", "IS NULL"."""

    table: str
    column: str
    rest: str


@dataclass(frozen=True)
class Condition:
    """`before` or `after` is said before or after the noun, the other is ""; `keep` tells whether a row holds it."""

    tests: tuple[Test, ...]
    keep: Callable[[Row], bool]
    before: str = ""
    after: str = ""


def draw_condition(w: World, table: Table, row: Row, skip: tuple[str, ...] = ()) -> Condition | None:
    """A condition on a column of `table` (none of `skip`) that holds for `row`; None when the draw came to nothing."""
    columns = [c for c in table.columns if c.kind in ("category", "flag", *MEASURES) and c.name not in skip]
    if not columns:
        return None
    column = w.pick(columns)
    value = row[w.position[table.name][column.name]]
    if value is None:
        return null_check(w, table, column, True)
    if column.nullable and w.chance(0.12):
        return null_check(w, table, column, False)
    if column.kind == "category":
        return category(w, table, column, str(value))
    if column.kind == "flag":
        return flag(w, table, column, str(value))
    return measure(w, table, column, value)


def _condition(w: World, table: Table, column: Column, sign: str, right: Any, before: str, after: str) -> Condition:
    i, compare = w.position[table.name][column.name], OPERATORS[sign]
    test = Test(table.name, column.name, f"{sign} {literal(right)}")
    return Condition((test,), lambda row: row[i] is not None and compare(row[i], right), before, after)


def null_check(w: World, table: Table, column: Column, missing: bool) -> Condition:
    i, word = w.position[table.name][column.name], w.word(column)
    after = w.pick(MISSING if missing else PRESENT).format(w=word, a=with_article(word))
    test = Test(table.name, column.name, "IS NULL" if missing else "IS NOT NULL")
    return Condition((test,), lambda row: (row[i] is None) == missing, "", after)


def category(w: World, table: Table, column: Column, value: str) -> Condition:
    """Holds for the value; or, seldom, for all others ("whose genre is not rock")."""
    word = w.word(column)
    if not column.nullable and w.chance(0.08):
        other = w.pick(column.pool)
        if other != value:
            after = w.pick(UNEQUAL).format(w=word, a=with_article(word), v=other)
            return _condition(w, table, column, "!=", other, "", after)
    if column.adjective and w.chance(0.65):
        return _condition(w, table, column, "=", value, column.adjective.format(value), "")
    place = "from" if column.words[0] in FROM else "in" if column.words[0] in IN else ""
    if place and w.chance(0.4):
        return _condition(w, table, column, "=", value, "", f"{place} {value}")
    return _condition(w, table, column, "=", value, "", w.pick(EQUAL).format(w=word, v=value))


def flag(w: World, table: Table, column: Column, value: str) -> Condition:
    """With an adjective "retired authors", "authors who are not retired"; without one "with parking"."""
    if not column.adjective:
        word = w.word(column)
        after = w.pick(("with {}", "that have {}") if value == "yes" else ("without {}", "with no {}")).format(word)
        return _condition(w, table, column, "=", value, "", after)
    adjective, who = column.adjective.replace("{}", "").strip(), "who" if w.person[table.name] else "that"
    if value == "yes" and w.chance(0.6):
        return _condition(w, table, column, "=", value, adjective, "")
    after = f"{who} are {'' if value == 'yes' else 'not '}{adjective}"
    return _condition(w, table, column, "=", value, "", after)


def measure(w: World, table: Table, column: Column, value: Any) -> Condition | None:
    """A comparison of a number, year or date that holds for `value`; its bound is a row's value or a round one."""
    sign = w.pick((">", ">", "<", "<", ">=", "<=", "BETWEEN", "=" if column.kind != "number" else ">"))
    if sign == "=" and column.kind == "date":
        return _in_year(w, table, column, str(value))
    others = [v for v in w.values(table, column.name) if v is not None]
    if sign == "BETWEEN":
        return _between(w, table, column, value, others)
    bounds = [v for v in others if OPERATORS[sign](value, v)]
    if not bounds:
        return None
    bound = w.pick(bounds)
    if sign in "<>" and column.kind == "number" and w.chance(0.5):
        rounded = round_off(bound)
        bound = rounded if OPERATORS[sign](value, rounded) else bound
    return _condition(w, table, column, sign, bound, "", say_measure(w, table, column, sign, bound))


def _between(w: World, table: Table, column: Column, value: Any, others: list) -> Condition | None:
    low, high = w.pick([v for v in others if v <= value]), w.pick([v for v in others if v >= value])
    if low == high:
        return None
    i, after = w.position[table.name][column.name], say_measure(w, table, column, "BETWEEN", low, high)
    test = Test(table.name, column.name, f"BETWEEN {literal(low)} AND {literal(high)}")
    return Condition((test,), lambda row: row[i] is not None and low <= row[i] <= high, "", after)


def _in_year(w: World, table: Table, column: Column, value: str) -> Condition:
    year, word, p = value[:4], w.word(column), participle(column)
    i = w.position[table.name][column.name]
    after = w.pick((*WHEN["="], *IN_YEAR) if p else IN_YEAR).format(p=p, v=year, w=word, a=with_article(word))
    test = Test(table.name, column.name, f"LIKE '{year}%'")
    return Condition((test,), lambda row: str(row[i]).startswith(year), "", after)


def say_measure(w: World, table: Table, column: Column, sign: str, low: Any, high: Any = None) -> str:
    """ "with a price above 20 dollars": a phrase that follows the noun."""
    word, n, p = w.word(column), counted(column), participle(column)
    if column.kind != "number":
        templates = WHEN[sign] if p and (w.chance(0.6)) else MOMENT[sign]
        if p and column.kind == "date":
            templates = tuple(t.replace(" in {v}", " on {v}") for t in templates)
        return w.pick(templates).format(p=p, w=word, a=with_article(word), v=said(low), u=said(high or ""))
    more = {">": column.more, "<": column.less}.get(sign)
    if more and column.unit and not n and w.chance(0.2):
        return f"{w.pick(more)} than {with_unit(column, '', low)}"
    if n and w.chance(0.6):
        template = w.pick(COUNTED[sign])
        single = low == 1 and high is None and " or " not in template and n.endswith("s")
        return template.format(v=said(low), u=said(high or 0), n=n[:-1] if single else n)
    last = low if high is None else high
    v, u = (with_unit(column, word, last), "") if high is None else (said(low), with_unit(column, word, high))
    return agreed(w.pick(NUMBER[sign]).format(w=word, a=with_article(word), v=v, u=u), word)


def round_off(value: int | float) -> int | float:
    """The value at one or two leading digits.

    >>> round_off(1234), round_off(37), round_off(7.25)
    (1200, 40, 7)
    """
    digits = len(str(int(value)))
    return int(round(value, 1 - digits if digits < 3 else 2 - digits)) if value >= 1 else value
