"""Questions with a query inside a query: above the average, cheaper than a named row, without children."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from evaluation.tiny.domain import Column, Link, Table
from evaluation.tiny.grammar.conditions import OPERATORS, Test, draw_condition
from evaluation.tiny.grammar.families import parents
from evaluation.tiny.grammar.listing import COUNT, how_many, which
from evaluation.tiny.grammar.question import Question, ask, headed, some, some_table
from evaluation.tiny.grammar.ranking import EXTREME
from evaluation.tiny.grammar.subject import Subject, filtered, named, plain, title_of
from evaluation.tiny.grammar.words import agreed, plural, with_article
from evaluation.tiny.grammar.world import Crossing, World
from evaluation.tiny.rows import Row, literal, primary_key


def nested(w: World, table: Table, test: Test, keep: Callable[[Row], bool], after: str, span: int) -> Question | None:
    """The rows under a test with a query inside, sometimes under a condition before the noun too: names or count."""
    subject = plain(w, table)
    rows = tuple(row for row in subject.rows if keep(row))
    if not rows or len(rows) == len(subject.rows) or table.title is None:
        return None
    subject = replace(subject, rows=rows, after=after, pieces=1, tests=(test,))
    if w.chance(0.25):
        condition = draw_condition(w, table, w.pick(rows))
        if condition is None or not condition.before or condition.tests[0].column == test.column:
            return None
        subject = replace(subject, before=condition.before, tests=(*condition.tests, test))
    words = {"n": subject.many(), "o": subject.one()} | headed(w, [table.title])
    if w.chance(0.3):
        return ask(w, how_many(w, subject), subject.sql("COUNT(*)"), "nested", span, **words)
    return ask(w, which(w, subject), subject.sql(table.title.name), "nested", span, **words)


def _beyond(w: World, table: Table, column: Column, sign: str, value: Any) -> Callable[[Row], bool]:
    i = w.position[table.name][column.name]
    return lambda row: row[i] is not None and OPERATORS[sign](row[i], value)


def against_average(w: World) -> Question | None:
    """ "albums with a price above the average"."""
    table = some_table(w)
    column = some(w.columns(table, "number"), w)
    if column is None:
        return None
    sign, word = w.pick((">", ">", "<")), w.word(column)
    words, high, above = (column.more, "higher", "above") if sign == ">" else (column.less, "lower", "below")
    said = [f"with {with_article(word)} {above} the average", f"with {with_article(f'{high} {word}')} than average",
            agreed(f"whose {word} is {high} than the average {word}", word),
            agreed(f"whose {word} is {above} average", word),
            *(f"{more} than {average}" for more in words for average in ("average", "the average"))]  # fmt: skip
    values = [v for v in w.values(table, column.name) if v is not None]
    keep = _beyond(w, table, column, sign, sum(values) / len(values))
    test = Test(table.name, column.name, f"{sign} (SELECT AVG({column.name}) FROM {table.name})")
    return nested(w, table, test, keep, w.pick(said), 1)


def against_row(w: World) -> Question | None:
    """ "albums cheaper than Abbey Road"."""
    table = some_table(w)
    column, other = some(w.columns(table, "number", "year"), w), named(w, table)
    if column is None or other is None:
        return None
    value, word = w.values(table, column.name, other.rows)[0], w.word(column)
    if value is None:
        return None
    sign = w.pick(("<", ">"))
    words, place = (column.more, 1) if sign == ">" else (column.less, 0)
    high = (("lower", "higher") if column.kind == "number" else ("earlier", "later"))[place]
    said = [f"with {with_article(f'{high} {word}')} than {other.named}",
            agreed(f"whose {word} is {high} than that of {other.named}", word),
            *(f"{more} than {other.named}" for more in (*words, *words))]  # fmt: skip
    inner = f"SELECT {column.name} FROM {table.name} WHERE {title_of(table).name} = {literal(other.named)}"
    test = Test(table.name, column.name, f"{sign} ({inner})")
    return nested(w, table, test, _beyond(w, table, column, sign, value), w.pick(said), 1)


def at_extreme(w: World) -> Question | None:
    """All rows at the maximum or minimum: "albums whose price equals the highest price"."""
    table = some_table(w)
    column = some(w.columns(table, "number", "year"), w)
    if column is None:
        return None
    values = [v for v in w.values(table, column.name) if v is not None]
    down, word = w.chance(0.5), w.word(column)
    extreme = w.pick(EXTREME[column.kind][down])
    said = (agreed(f"whose {word} equals the {extreme} {word}", word),
            agreed(f"whose {word} is the {extreme} of all", word), f"that share the {extreme} {word}")  # fmt: skip
    test = Test(table.name, column.name, f"= (SELECT {'MAX' if down else 'MIN'}({column.name}) FROM {table.name})")
    keep = _beyond(w, table, column, "=", max(values) if down else min(values))
    return nested(w, table, test, keep, w.pick(said), 1)


def without_children(w: World) -> Question | None:
    """ "venues that hosted no concerts", also "... no jazz concerts", over a link or a bridge."""
    table = some_table(w)
    ways: list[Link | Crossing] = [*w.down[table.name], *w.crossings[table.name]]
    if not ways:
        return None
    way = w.pick(ways)
    other = plain(w, w.domain.table(way.other if isinstance(way, Crossing) else way.child))
    narrowed = other if w.chance(0.55) else filtered(w, other)
    if narrowed is None:
        return None
    i, (taken, inner, span) = w.position[table.name][primary_key(table)], _children(w, way, narrowed)
    verbs = way.verbs if isinstance(way, Crossing) else way.has_child
    test = Test(table.name, primary_key(table), f"NOT IN ({inner})")
    return nested(w, table, test, lambda row: row[i] not in taken, w.pick(verbs).format(f"no {narrowed.many()}"), span)


def _children(w: World, way: Link | Crossing, children: Subject) -> tuple[set, str, int]:
    """The ids that have such children, the query that finds them, and how many tables it makes with the outer one."""
    far = children.table
    if isinstance(way, Link):
        return set(w.values(far, way.fk, children.rows)), children.sql(way.fk), 2
    near, bridge = set(w.ids(far, children.rows)), plain(w, w.domain.table(way.bridge.table))
    if children.tests:
        join = f"JOIN {far.name} ON {bridge.table.name}.{way.other_key} = {far.name}.{primary_key(far)}"
        bridge = replace(bridge, joins=(join,), tests=children.tests)
    return {i for i, o in w.pairs(way) if o in near}, bridge.sql(bridge.ref(way.key)), 1 + bridge.tables


def with_children(w: World) -> Question | None:
    """ "venues that hosted at least one concert": a join, no query inside, but the counterpart of the rule above."""
    table = some_table(w)
    ways: list[Link | Crossing] = [*w.down[table.name], *w.crossings[table.name]]
    if not ways or table.title is None:
        return None
    way, key = w.pick(ways), primary_key(table)
    if isinstance(way, Crossing):
        near, other, fk, verbs = way.bridge.table, w.domain.table(way.other), way.key, way.verbs
    else:
        near, other, fk, verbs = way.child, w.domain.table(way.child), way.fk, way.has_child
    that = w.pick(verbs).format(f"at least one {other.one[0]}")
    subject = replace(plain(w, table), joins=(f"JOIN {near} ON {near}.{fk} = {table.name}.{key}",))
    if w.chance(0.35):
        n = f"{subject.many()} {that}"
        return ask(w, COUNT, subject.sql(f"COUNT(DISTINCT {subject.ref(key)})"), "count", 2, n=n)
    words = {"ps": subject.many(), "ts": plural(w.word(table.title))}
    sql = subject.sql(f"DISTINCT {subject.ref(table.title.name)}")
    return ask(w, parents(w, that), sql, "filter", 2, that=that, **words)
