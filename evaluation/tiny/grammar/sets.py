"""Questions with a set operation between two queries: both … and …, … but not …, … or …."""

from __future__ import annotations

from dataclasses import replace

from evaluation.tiny.domain import Column, Link, Table
from evaluation.tiny.grammar.conditions import draw_condition
from evaluation.tiny.grammar.families import parents
from evaluation.tiny.grammar.question import Question, ask, headed, some, some_table
from evaluation.tiny.grammar.subject import Subject, filtered, named, plain, restricted, unlike
from evaluation.tiny.grammar.words import plural
from evaluation.tiny.grammar.world import Crossing, World

BOTH = ("Which {cs} have both {x} and {y}?", "What are the {cs} that have both {x} and {y}?",
        "Find the {cs} shared by {x} and {y}.", "List the {cs} that {x} and {y} have in common.")  # fmt: skip
BUT_NOT = ("Which {cs} have {x} but no {y}?", "Find the {cs} of {x} that no {y} have.",
           "List the {cs} that have {x} but no {y}.")  # fmt: skip
ANY = ("What are the different {cs} of {x} or {y}?", "Which {cs} have {x} or {y}?",
       "List the {cs} that occur among {x} or among {y}.")  # fmt: skip
TOGETHER = ("List the {s} of the {x} together with the {t} of the {y}.",
            "Show the {s} of all {x} and the {t} of all {y} in one list.",
            "Give the {s} of the {x} as well as the {t} of the {y}.")  # fmt: skip


def category_sets(w: World) -> Question | None:
    """Values of a category that two sets of rows share, that only one of them has, or that either has."""
    table = some_table(w)
    column = some([c for c in w.columns(table, "category") if not c.nullable], w)
    if column is None:
        return None
    x, y = _filtered_but(w, table, column), _filtered_but(w, table, column)
    if x is None or y is None or not unlike(x.tests[0], y.tests[0]):
        return None
    left, right = (set(w.values(table, column.name, side.rows)) for side in (x, y))
    word, templates, found = w.pick(
        (("INTERSECT", BOTH, left & right), ("EXCEPT", BUT_NOT, left - right), ("UNION", ANY, left | right))
    )
    if not found or found in (left, right) or len(found) == len(set(w.values(table, column.name))):
        return None
    sql = f"{x.sql(column.name)} {word} {y.sql(column.name)}"
    y = replace(y, noun=x.noun)
    return ask(w, templates, sql, "set", 1, x=x.many(), y=y.many(), **headed(w, [column]))


def _filtered_but(w: World, table: Table, column: Column) -> Subject | None:
    """Rows under one condition, on another column than this."""
    subject = plain(w, table)
    condition = draw_condition(w, table, w.pick(subject.rows), (column.name,))
    if condition is None:
        return None
    rows = tuple(row for row in subject.rows if condition.keep(row))
    return replace(subject, rows=rows, tests=condition.tests, before=condition.before, after=condition.after)


def child_sets(w: World) -> Question | None:
    """ "venues that hosted both jazz concerts and rock concerts", "... jazz concerts but no rock concerts"."""
    table = some_table(w)
    if not w.down[table.name]:
        return None
    way = w.pick(w.down[table.name])
    children = plain(w, w.domain.table(way.child))
    x, y = filtered(w, children), filtered(w, children)
    return _two_sided(w, table, way, x, y, way.has_child) if x and y else None


def bridge_sets(w: World) -> Question | None:
    """ "artists who performed in both Echoes and Encore", "... in Echoes but not Encore"."""
    table = some_table(w)
    if not w.crossings[table.name]:
        return None
    way = w.pick(w.crossings[table.name])
    far = w.domain.table(way.other)
    x, y = named(w, far), named(w, far)
    return _two_sided(w, table, way, x, y, way.verbs) if x and y else None


def _two_sided(
    w: World, table: Table, way: Link | Crossing, x: Subject, y: Subject, verbs: tuple[str, ...]
) -> Question | None:
    """Rows that hang together with both, or with x and not with y; only where that takes both halves to tell."""
    subject, both = plain(w, table), w.chance(0.5)
    left, right = restricted(w, subject, way, x), restricted(w, subject, way, y)
    if left is None or right is None or table.title is None or not unlike(x.tests[0], y.tests[0]):
        return None
    common = set(left.rows) & set(right.rows)
    if not common or common in (set(left.rows), set(right.rows)):
        return None
    word = "INTERSECT" if both else "EXCEPT"
    title = left.ref(table.title.name)
    first, second = (x.named, y.named) if x.named else (x.many(), y.many())
    said = f"both {first} and {second}" if both else f"{first} but {'not' if x.named else 'no'} {second}"
    words = {"that": w.pick(verbs).format(said), "ps": subject.many(), "ts": plural(w.word(table.title))}
    sql = f"{left.sql(title)} {word} {right.sql(title)}"
    return ask(w, parents(w, words["that"]), sql, "set", left.tables, **words)


def names_together(w: World) -> Question | None:
    """The names of rows of two tables in one list."""
    first, second = some_table(w), some_table(w)
    if first == second or first.title is None or second.title is None:
        return None
    x = filtered(w, plain(w, first)) if w.chance(0.7) else plain(w, first)
    y = filtered(w, plain(w, second)) if w.chance(0.5) else plain(w, second)
    if x is None or y is None:
        return None
    sql = f"{x.sql(first.title.name)} UNION {y.sql(second.title.name)}"
    s, t = plural(w.word(first.title)), plural(w.word(second.title))
    return ask(w, TOGETHER, sql, "set", 2, s=s, t=t, x=x.many(), y=y.many())
