"""Questions with a query inside a query, and with set operations between two queries."""

from __future__ import annotations

from dataclasses import replace

from evaluation.tiny.domain import Column, Link
from evaluation.tiny.grammar.conditions import OPERATORS, Test, draw_condition
from evaluation.tiny.grammar.grouping import parents
from evaluation.tiny.grammar.listing import COUNT, EXTREME, how_many, which
from evaluation.tiny.grammar.question import Question, ask, headed, some, some_table
from evaluation.tiny.grammar.subject import Subject, filtered, named, plain, title_of
from evaluation.tiny.grammar.words import plural, with_article
from evaluation.tiny.grammar.world import Crossing, World
from evaluation.tiny.rows import literal, primary_key

BOTH = ("Which {cs} have both {x} and {y}?", "What are the {cs} that have both {x} and {y}?",
        "Find the {cs} shared by {x} and {y}.", "List the {cs} that {x} and {y} have in common.")  # fmt: skip
BUT_NOT = ("Which {cs} have {x} but no {y}?", "Find the {cs} of {x} that no {y} have.",
           "List the {cs} that have {x} but not {y}.")  # fmt: skip
ANY = ("What are the different {cs} of {x} or {y}?", "Which {cs} have {x} or {y}?",
       "List the {cs} that occur among {x} or among {y}.")  # fmt: skip
TOGETHER = ("List the {s} of the {x} together with the {t} of the {y}.", "Show the {s} of all {x} and the {t} of all {y} in one list.",
            "Give the {s} of the {x} as well as the {t} of the {y}.")  # fmt: skip


def _answer(w: World, subject: Subject, kind: str, tables: int) -> Question | None:
    """The subject's names, or their count."""
    if subject.table.title is None or not subject.rows:
        return None
    words = {"n": subject.many(), "o": subject.one()} | headed(w, [title_of(subject.table)])
    if w.chance(0.3):
        return ask(w, how_many(w, subject), subject.sql("COUNT(*)"), kind, tables, **words)
    return ask(w, which(w, subject), subject.sql(subject.ref(title_of(subject.table).name)), kind, tables, **words)


def against_average(w: World) -> Question | None:
    """ "albums with a price above the average"."""
    table = some_table(w)
    column = some(w.columns(table, "number"), w)
    if column is None:
        return None
    up, word = w.chance(0.6), w.word(column)
    more, high = (column.more, "higher") if up else (column.less, "lower")
    said = [f"with {with_article(word)} {'above' if up else 'below'} the average",
            f"whose {word} is {high} than the average {word}", f"with {with_article(f'{high} {word}')} than average",
            f"whose {word} is {'above' if up else 'below'} average"]  # fmt: skip
    if more:
        said += [f"{m} than {x}" for m in more for x in ("average", "the average")]
    values = [v for v in w.values(table, column.name) if v is not None]
    mean, sign = sum(values) / len(values), ">" if up else "<"
    i = w.position[table.name][column.name]
    subject = plain(w, table)
    rows = tuple(r for r in subject.rows if r[i] is not None and OPERATORS[sign](r[i], mean))
    test = f"{column.name} {sign} (SELECT AVG({column.name}) FROM {table.name})"
    return _nested(w, subject, rows, test, w.pick(said), 1)


def _nested(w: World, subject: Subject, rows: tuple, test: str, after: str, tables: int) -> Question | None:
    """`subject`, a plain one, under a test with a query inside; sometimes under a condition before the noun too."""
    before = ""
    if w.chance(0.25) and rows:
        condition = draw_condition(w, subject.table, w.pick(rows))
        if condition is None or not condition.before or condition.tests[0].column == test.split()[0]:
            return None
        rows = tuple(r for r in rows if condition.keep(r))
        test = f"{condition.tests[0].column} {condition.tests[0].rest} AND {test}"
        before = condition.before
    column, _, rest = test.partition(" ")
    nested = replace(
        subject, rows=rows, before=before, after=after, tests=(Test(subject.table.name, column, rest),), pieces=1
    )
    return _answer(w, nested, "nested", tables)


def against_row(w: World) -> Question | None:
    """ "albums cheaper than Abbey Road"."""
    table = some_table(w)
    column, other = some(w.columns(table, "number", "year"), w), named(w, table)
    if column is None or other is None:
        return None
    i = w.position[table.name][column.name]
    value, up, word = other.rows[0][i], w.chance(0.5), w.word(column)
    if value is None:
        return None
    high = {True: "higher", False: "lower"}[up] if column.kind == "number" else {True: "later", False: "earlier"}[up]
    words, sign = column.more if up else column.less, ">" if up else "<"
    said = [
        f"with {with_article(f'{high} {word}')} than {other.named}",
        f"whose {word} is {high} than that of {other.named}",
    ]
    said += [f"{m} than {other.named}" for m in words] * 2
    rows = tuple(r for r in w.rows[table.name] if r[i] is not None and OPERATORS[sign](r[i], value))
    title = title_of(table).name
    test = f"{column.name} {sign} (SELECT {column.name} FROM {table.name} WHERE {title} = {literal(other.named)})"
    return _nested(w, plain(w, table), rows, test, w.pick(said), 1)


def at_extreme(w: World) -> Question | None:
    """All rows at the maximum or minimum: "albums whose price equals the highest price of all"."""
    table = some_table(w)
    column = some(w.columns(table, "number", "year"), w)
    if column is None:
        return None
    values = [v for v in w.values(table, column.name) if v is not None]
    down, word, i = w.chance(0.5), w.word(column), w.position[table.name][column.name]
    best, extreme = (max(values) if down else min(values)), w.pick(EXTREME[column.kind][down])
    said = (
        f"whose {word} equals the {extreme} {word}",
        f"whose {word} is the {extreme} of all",
        f"that share the {extreme} {word}",
    )
    rows = tuple(r for r in w.rows[table.name] if r[i] == best)
    test = f"{column.name} = (SELECT {'MAX' if down else 'MIN'}({column.name}) FROM {table.name})"
    subject = plain(w, table)
    nested = _nested(w, subject, rows, test, w.pick(said), 1)
    return nested


def without_children(w: World) -> Question | None:
    """ "venues that hosted no concerts", also "... no jazz concerts", over a link or a bridge."""
    table = some_table(w)
    ways: list[Link | Crossing] = [*w.down[table.name], *w.crossings[table.name]]
    if not ways:
        return None
    way = w.pick(ways)
    crossing = isinstance(way, Crossing)
    other = plain(w, w.domain.table(way.other if isinstance(way, Crossing) else way.child))
    narrowed = other if w.chance(0.55) else filtered(w, other)
    if narrowed is None:
        return None
    key, far = primary_key(table), narrowed.table
    if isinstance(way, Crossing):
        near = set(w.ids(far, narrowed.rows))
        having = {i for i, o in w.pairs(way) if o in near}
        bridge = way.bridge.table
        if narrowed.tests:
            test = narrowed.tests[0]
            inner = (f"SELECT {bridge}.{way.key} FROM {bridge} JOIN {far.name} ON {bridge}.{way.other_key} = "
                     f"{far.name}.{primary_key(far)} WHERE {far.name}.{test.column} {test.rest}")  # fmt: skip
        else:
            inner = f"SELECT {way.key} FROM {bridge}"
    else:
        having = set(w.values(far, way.fk, narrowed.rows))
        inner = narrowed.sql(way.fk)
    verbs = way.verbs if isinstance(way, Crossing) else way.has_child
    i = w.position[table.name][key]
    rows = tuple(r for r in w.rows[table.name] if r[i] not in having)
    after = w.pick(verbs).format(f"no {narrowed.many()}")
    tables = 2 + (crossing and bool(narrowed.tests))
    return _nested(w, plain(w, table), rows, f"{key} NOT IN ({inner})", after, tables)


def with_children(w: World) -> Question | None:
    """ "venues that hosted at least one concert"."""
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
    join = f" FROM {table.name} JOIN {near} ON {near}.{fk} = {table.name}.{key}"
    subject, title = plain(w, table), title_of(table)
    if w.chance(0.35):
        n = f"{subject.many()} {that}"
        return ask(w, COUNT, f"SELECT COUNT(DISTINCT {table.name}.{key}){join}", "count", 2, n=n)
    words = {"ps": subject.many(), "ts": plural(w.word(title))}
    return ask(w, parents(w, that), f"SELECT DISTINCT {table.name}.{title.name}{join}", "filter", 2, that=that, **words)


def category_sets(w: World) -> Question | None:
    """Values of a category that two sets of rows share, or that only one of them has."""
    table = some_table(w)
    column = some([c for c in w.columns(table, "category") if not c.nullable], w)
    if column is None:
        return None
    x, y = _filtered_but(w, plain(w, table), column), _filtered_but(w, plain(w, table), column)
    if x is None or y is None or x.tests == y.tests:
        return None
    y = replace(y, noun=x.noun)
    left, right = (set(w.values(table, column.name, s.rows)) for s in (x, y))
    word, templates, found = w.pick(
        (("INTERSECT", BOTH, left & right), ("EXCEPT", BUT_NOT, left - right), ("UNION", ANY, left | right))
    )
    if not found or found == left | right and word != "UNION":
        return None
    sql = f"{x.sql(column.name)} {word} {y.sql(column.name)}"
    return ask(w, templates, sql, "set", 1, x=x.many(), y=y.many(), **headed(w, [column]))


def _filtered_but(w: World, subject: Subject, column: Column) -> Subject | None:
    condition = draw_condition(w, subject.table, w.pick(subject.rows), (column.name,))
    if condition is None:
        return None
    rows = tuple(r for r in subject.rows if condition.keep(r))
    return replace(subject, rows=rows, tests=condition.tests, before=condition.before, after=condition.after)


def child_sets(w: World) -> Question | None:
    """ "venues that hosted both jazz concerts and rock concerts", "... jazz concerts but no rock concerts"."""
    table = some_table(w)
    if table.title is None or not w.down[table.name]:
        return None
    link = w.pick(w.down[table.name])
    child = plain(w, w.domain.table(link.child))
    x, y = filtered(w, child), filtered(w, child)
    if x is None or y is None or x.tests[0] == y.tests[0]:
        return None
    return _two_sided(w, table, f"JOIN {child.table.name} ON {child.table.name}.{link.fk} = {table.name}.{primary_key(table)}",
                      (set(w.values(child.table, link.fk, x.rows)), set(w.values(child.table, link.fk, y.rows))),
                      x, y, link.has_child, 2)  # fmt: skip


def bridge_sets(w: World) -> Question | None:
    """ "artists who performed in both Echoes and Encore", "... in Echoes but not Encore"."""
    table = some_table(w)
    if table.title is None or not w.crossings[table.name]:
        return None
    way = w.pick(w.crossings[table.name])
    far = w.domain.table(way.other)
    x, y = named(w, far), named(w, far)
    if x is None or y is None or x.named == y.named:
        return None
    joins = (f"JOIN {way.bridge.table} ON {way.bridge.table}.{way.key} = {table.name}.{primary_key(table)} "
             f"JOIN {far.name} ON {way.bridge.table}.{way.other_key} = {far.name}.{primary_key(far)}")  # fmt: skip
    near = [{i for i, o in w.pairs(way) if o == w.ids(far, s.rows)[0]} for s in (x, y)]
    return _two_sided(w, table, joins, (near[0], near[1]), x, y, way.verbs, 3)


def _two_sided(
    w: World,
    table: object,
    joins: str,
    ids: tuple[set, set],
    x: Subject,
    y: Subject,
    verbs: tuple[str, ...],
    tables: int,
) -> Question | None:
    subject = plain(w, table)  # type: ignore[arg-type]
    both = w.chance(0.5)
    if not (ids[0] & ids[1] if both else ids[0] - ids[1]) or (not both and not ids[0] & ids[1]):
        return None
    title = title_of(subject.table)
    halves = []
    for side in (x, y):
        test = side.tests[0]
        halves.append(
            f"SELECT {subject.table.name}.{title.name} FROM {subject.table.name} {joins} WHERE {test.table}.{test.column} {test.rest}"
        )
    if x.named:
        said = f"both {x.named} and {y.named}" if both else f"{x.named} but not {y.named}"
    else:
        said = f"both {x.many()} and {y.many()}" if both else f"{x.many()} but no {y.many()}"
    that = w.pick(verbs).format(said)
    sql = f" {'INTERSECT' if both else 'EXCEPT'} ".join(halves)
    return ask(w, parents(w, that), sql, "set", tables, that=that, ps=subject.many(), ts=plural(w.word(title)))


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
