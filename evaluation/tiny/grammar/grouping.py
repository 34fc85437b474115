"""Questions that group by a category, of the subject or of its parent, with HAVING and with the largest group."""

from __future__ import annotations

from collections.abc import Callable

from evaluation.tiny.domain import Column
from evaluation.tiny.grammar.listing import AGGREGATES
from evaluation.tiny.grammar.question import Question, ask, free_columns, headed, some, some_table, steady_subject
from evaluation.tiny.grammar.subject import Subject, plain
from evaluation.tiny.grammar.words import with_unit
from evaluation.tiny.grammar.world import World
from evaluation.tiny.rows import literal, primary_key

PER_CATEGORY = (
    "How many {n} are there for each {c}?", "For each {c}, count the {n}.", "Show each {c} and the number of {n}.",
    "Count the {n} per {c}.", "What is the number of {n} for each {c}?", "List every {c} with the number of {n}.",
    "For every {c}, how many {n} are there?", "Give the number of {n} by {c}.", "How many {n} does each {c} have?",
)  # fmt: skip
PER_CATEGORY_OF = (
    "What is the {a} {m} of {n} for each {c}?", "For each {c}, find the {a} {m} of the {n}.",
    "Show each {c} and the {a} {m} of its {n}.", "Give the {a} {m} of {n} per {c}.",
    "For every {c}, what is the {a} {m} of {n}?",
)  # fmt: skip
HAVING = (
    "Which {cs} have {q} {n}?", "List the {cs} with {q} {n}.", "Find the {cs} that have {q} {n}.",
    "What are the {cs} with {q} {n}?", "Show the {cs} shared by {q} {n}.",
)  # fmt: skip
HAVING_OF = (
    "Which {cs} have {n} with {a_} {a} {m} {q}?", "List the {cs} whose {n} have {a_} {a} {m} {q}.",
    "Find the {cs} where the {a} {m} of {n} is {q}.",
)  # fmt: skip
LARGEST = (
    "Which {c} has the most {n}?", "What is the {c} with the most {n}?", "What is the most common {c} of {n}?",
    "Find the {c} with the largest number of {n}.", "Which {c} is the most frequent among {n}?",
)  # fmt: skip
SMALLEST = (
    "Which {c} has the fewest {n}?", "What is the {c} with the fewest {n}?", "What is the least common {c} of {n}?",
    "Find the {c} with the smallest number of {n}.",
)  # fmt: skip
COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "=": lambda a, b: a == b,
}
QUANTITY = {
    ">": ("more than {k}", "over {k}"),
    ">=": ("at least {k}", "{k} or more", "no fewer than {k}"),
    "=": ("exactly {k}",),
}


def per_category(w: World) -> Question | None:
    """A count or an aggregate for each value of a category, of the subject or of its parent."""
    subject = steady_subject(w, 0.6)
    column = subject and some(free_columns(w, subject, "category"), w)
    if not subject or not column or len(set(w.values(subject.table, column.name, subject.rows))) < 2:
        return None
    key, words = subject.ref(column.name), headed(w, [column]) | {"n": subject.many()}
    number = some([c for c in free_columns(w, subject, "number") if c != column], w)
    if number and w.chance(0.4):
        function = w.pick(("AVG", "AVG", "MAX", "MIN", "SUM"))
        sql = subject.sql(f"{key}, {function}({subject.ref(number.name)})", f"GROUP BY {key}")
        words |= {"a": w.pick(AGGREGATES[function]), "m": w.word(number)}
        return ask(w, PER_CATEGORY_OF, sql, "group", subject.tables, **words)
    return ask(w, PER_CATEGORY, subject.sql(f"{key}, COUNT(*)", f"GROUP BY {key}"), "group", subject.tables, **words)


def category_having(w: World) -> Question | None:
    """The values of a category with at least so many rows, with the most, or with an average above a bound."""
    subject = steady_subject(w, 0.6)
    column = subject and some(free_columns(w, subject, "category"), w)
    if not subject or not column:
        return None
    groups: dict[object, list] = {}
    for row in subject.rows:
        groups.setdefault(row[w.position[subject.table.name][column.name]], []).append(row)
    if len(groups) < 2:
        return None
    key, words = subject.ref(column.name), headed(w, [column]) | {"n": subject.many()}
    number = some(free_columns(w, subject, "number"), w)
    if number and w.chance(0.3):
        means = [sum(w.values(subject.table, number.name, rows)) / len(rows) for rows in groups.values()]
        return _mean_having(w, subject, column, number, means)
    sizes = [len(rows) for rows in groups.values()]
    if w.chance(0.4):
        return _extreme_group(w, subject, key, sizes, words)
    sign, k = bound_of(w, sizes)
    if not sign:
        return None
    sql = subject.sql(key, f"GROUP BY {key} HAVING COUNT(*) {sign} {k}")
    return ask(w, HAVING, sql, "having", subject.tables, **words, q=w.pick(QUANTITY[sign]).format(k=k))


def _extreme_group(w: World, subject: Subject, key: str, sizes: list[int], words: dict[str, str]) -> Question | None:
    down = w.chance(0.65)
    if sizes.count(max(sizes) if down else min(sizes)) > 1:
        return None
    sql = subject.sql(key, f"GROUP BY {key} ORDER BY COUNT(*) {'DESC' if down else 'ASC'} LIMIT 1")
    return ask(w, LARGEST if down else SMALLEST, sql, "group", subject.tables, **words)


def _mean_having(w: World, subject: Subject, column: Column, number: Column, means: list[float]) -> Question | None:
    cut = w.pick(sorted(means)[:-1])
    bound, up, key = round(cut) if cut > 3 else round(cut, 1), w.chance(0.6), subject.ref(column.name)
    if all((m > bound) == up for m in means) or not any((m > bound) == up for m in means) or bound in means:
        return None
    sql = subject.sql(
        key, f"GROUP BY {key} HAVING AVG({subject.ref(number.name)}) {'>' if up else '<'} {literal(bound)}"
    )
    m = w.word(number)
    beyond = w.pick(("above", "over", "greater than") if up else ("below", "under", "less than"))
    q = f"{beyond} {with_unit(number, m, bound)}"
    words = headed(w, [column]) | {"n": subject.many(), "a": w.pick(AGGREGATES["AVG"]), "m": m}
    words["a_"] = "an" if words["a"] == "average" else "a"
    return ask(w, HAVING_OF, sql, "having", subject.tables, **words, q=q)


def bound_of(w: World, sizes: list[int]) -> tuple[str, int]:
    """A comparison that some but not all sizes pass; "" when there is none."""
    sign, k = w.pick((">", ">", ">=", ">=", "=")), w.pick(sizes)
    k = max(1, k - 1) if sign == ">" else k
    passed = sum(COMPARE[sign](size, k) for size in sizes)
    return (sign, k) if 0 < passed < len(sizes) and (k > 1 or sign != ">=") else ("", 0)


def parents_by_category(w: World) -> Question | None:
    """Children counted, or averaged, per category of their parent: "concerts for each region of the city"."""
    table = some_table(w)
    links = [k for k in w.up[table.name] if sum(o.parent == k.parent for o in w.up[table.name]) == 1]
    if not links:
        return None
    link, subject = w.pick(links), plain(w, table)
    parent = w.domain.table(link.parent)
    column = some([c for c in w.columns(parent, "category") if not c.nullable], w)
    if column is None:
        return None
    key, c, p = f"{parent.name}.{column.name}", w.word(column), parent.one[0]
    join = f"FROM {table.name} JOIN {parent.name} ON {table.name}.{link.fk} = {parent.name}.{primary_key(parent)}"
    words = {"c": f"{p} {c}", "n": subject.many()}
    number = some([c for c in w.columns(table, "number") if not c.nullable], w)
    if number and w.chance(0.4):
        function = w.pick(("AVG", "AVG", "MAX", "MIN", "SUM"))
        words |= {"a": w.pick(AGGREGATES[function]), "m": w.word(number)}
        sql = f"SELECT {key}, {function}({table.name}.{number.name}) {join} GROUP BY {key}"
        return ask(w, PER_CATEGORY_OF[:2], sql, "group", 2, **words)
    return ask(w, PER_CATEGORY[:6], f"SELECT {key}, COUNT(*) {join} GROUP BY {key}", "group", 2, **words)
