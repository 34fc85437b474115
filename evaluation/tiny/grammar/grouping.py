"""Questions with GROUP BY: per category, per parent, per side of a bridge, with HAVING and with the largest group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from evaluation.tiny.domain import Column, Link, Table
from evaluation.tiny.grammar.listing import AGGREGATES, NUMERALS
from evaluation.tiny.grammar.question import Question, ask, free_columns, headed, some, some_table, steady_subject
from evaluation.tiny.grammar.subject import Subject, filtered, named, plain, title_of
from evaluation.tiny.grammar.words import finite, plural, singular_verb, with_unit
from evaluation.tiny.grammar.world import Crossing, World
from evaluation.tiny.rows import literal, primary_key

PER_CATEGORY = (
    "How many {n} are there for each {c}?", "For each {c}, count the {n}.", "Show each {c} and the number of {n}.",
    "Count the {n} per {c}.", "What is the number of {n} for each {c}?", "List every {c} with the number of {n}.",
    "For every {c}, how many {n} are there?", "Give the number of {n} by {c}.", "How many {n} does each {c} have?",
)  # fmt: skip
PER_CATEGORY_OF = (
    "What is the {a} {m} of {n} for each {c}?", "For each {c}, find the {a} {m} of the {n}.",
    "Show each {c} and the {a} {m} of its {n}.", "Give the {a} {m} of {n} per {c}.", "For every {c}, what is the {a} {m} of {n}?",
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
PER_PARENT = (
    "For each {p}, show the {t} and the number of {n} {it}.", "Show the {t} of each {p} and the number of {n} {it}.",
    "What is the number of {n} {each}?", "Count the {n} {each}.", "List every {p} with the number of {n} {it}.",
    "For every {p}, give the {t} and the number of {n} {it}.", "Give the number of {n} {each}.",
)  # fmt: skip
PER_PARENT_OF = (
    "For each {p}, show the {t} and the {a} {m} of {n} {it}.", "What is the {a} {m} of {n} {each}?",
    "Show the {t} of each {p} and the {a} {m} of the {n} {it}.", "Find the {a} {m} of {n} {each}.",
)  # fmt: skip
PARENTS = (
    "List the {ps} {that}.", "What are the {ts} of the {ps} {that}?",
    "Find all {ps} {that}.", "Show the {ts} of {ps} {that}.", "Name the {ps} {that}.", "Give me the {ts} of all {ps} {that}.",
)  # fmt: skip
PARENT = (
    "Which is the {p} {that}?", "What is the {t} of the {p} {that}?", "Find the {p} {that}.", "Name the {p} {that}.",
    "Give the {t} of the {p} {that}.", "Show the {p} {that}.",
)  # fmt: skip
MOST = ("the most {n}", "the largest number of {n}", "the highest number of {n}")
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
    groups: dict[str, list] = {}
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
    sign, k = _bound(w, sizes)
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
    q = f"{w.pick(('above', 'over', 'greater than') if up else ('below', 'under', 'less than'))} {with_unit(number, m, bound)}"
    words = headed(w, [column]) | {"n": subject.many(), "a": w.pick(AGGREGATES["AVG"]), "m": m}
    words["a_"] = "an" if words["a"] == "average" else "a"
    return ask(w, HAVING_OF, sql, "having", subject.tables, **words, q=q)


def _bound(w: World, sizes: list[int]) -> tuple[str, int]:
    """A comparison that some but not all sizes pass; "" when there is none."""
    sign, k = w.pick((">", ">", ">=", ">=", "=")), w.pick(sizes)
    k = max(1, k - 1) if sign == ">" else k
    passed = sum(COMPARE[sign](size, k) for size in sizes)
    return (sign, k) if 0 < passed < len(sizes) and (k > 1 or sign != ">=") else ("", 0)


@dataclass(frozen=True)
class Family:
    """Parents with what is counted for each: children over a link, or the other side of a bridge.

    `joins`: from the parent to the counted rows. `that`: phrases that follow the parent, {} is the counted noun;
    `of`: phrases that follow the counted noun, {} is the parent. `sizes`: how many for each parent that has any.
    """

    parent: Table
    counted: Subject
    joins: str
    that: tuple[str, ...]
    of: tuple[str, ...]
    sizes: dict[int, int]
    tables: int
    link: Link | None = None

    def sql(self, select: str, tail: str) -> str:
        tests = " AND ".join(f"{t.table}.{t.column} {t.rest}" for t in self.counted.tests)
        where = f" WHERE {tests}" if tests else ""
        return f"SELECT {select} FROM {self.parent.name}{self.joins}{where} {tail}"

    @property
    def key(self) -> str:
        return f"{self.parent.name}.{primary_key(self.parent)}"


def draw_family(w: World) -> Family | None:
    """Parents by a link or a bridge; the counted rows sometimes under a condition. None when the draw came to nothing."""
    parent = some_table(w)
    ways: list[Link | Crossing] = [k for k in w.down[parent.name] if k.of_parent]
    ways += w.crossings[parent.name]
    if not ways or parent.title is None:
        return None
    way = w.pick(ways)
    table = w.domain.table(way.other if isinstance(way, Crossing) else way.child)
    every = plain(w, table)
    counted = every if w.chance(0.7) else filtered(w, every)
    if counted is None:
        return None
    return _by_bridge(w, parent, way, counted) if isinstance(way, Crossing) else _by_link(w, parent, way, counted)


def _by_link(w: World, parent: Table, link: Link, counted: Subject) -> Family:
    child = counted.table
    sizes = Counter(w.values(child, link.fk, counted.rows))
    joins = f" JOIN {child.name} ON {child.name}.{link.fk} = {parent.name}.{primary_key(parent)}"
    return Family(parent, counted, joins, link.has_child, link.of_parent, dict(sizes), 2, link)


def _by_bridge(w: World, parent: Table, way: Crossing, counted: Subject) -> Family:
    other, bridge = counted.table, way.bridge
    ids = set(w.ids(other, counted.rows))
    sizes = Counter(i for i, o in w.pairs(way) if o in ids)
    joins = f" JOIN {bridge.table} ON {bridge.table}.{way.key} = {parent.name}.{primary_key(parent)}"
    if counted.tests:
        joins += f" JOIN {other.name} ON {bridge.table}.{way.other_key} = {other.name}.{primary_key(other)}"
    of = bridge.right_verb if way.table == bridge.left else bridge.left_verb
    return Family(parent, counted, joins, way.verbs, of, dict(sizes), 3 if counted.tests else 2)


def _family_words(w: World, family: Family) -> dict[str, str]:
    parent, of = family.parent, w.pick(family.of)
    noun = 0 if w.chance(0.7) else int(w.rng.random() * len(parent.one))
    p, title = parent.one[noun], w.word(title_of(parent))
    return {"p": p, "ps": parent.many[noun], "t": title, "ts": plural(title), "n": family.counted.many(),
            "each": of.format(f"each {p}"), "it": of.format("them" if w.person[parent.name] else "it")}  # fmt: skip


def parents(w: World, that: str) -> tuple[str, ...]:
    """Templates for the parents {ps} with the clause {that}: "Which venues hosted ...?" where it holds a verb."""
    return (f"Which {{ps}} {finite(that)}?",) if finite(that) and w.chance(0.35) else PARENTS


def per_parent(w: World) -> Question | None:
    """For each parent its name and how many children it has, or an aggregate of theirs."""
    family = draw_family(w)
    if family is None or len(family.sizes) < 2 or (family.counted.after and family.counted.tests):
        return None
    title, words = f"{family.parent.name}.{title_of(family.parent).name}", _family_words(w, family)
    number = some(free_columns(w, family.counted, "number"), w)
    if family.link and number and w.chance(0.35):
        function = w.pick(("AVG", "AVG", "MAX", "MIN", "SUM"))
        sql = family.sql(f"{title}, {function}({family.counted.table.name}.{number.name})", f"GROUP BY {family.key}")
        words |= {"a": w.pick(AGGREGATES[function]), "m": w.word(number)}
        return ask(w, PER_PARENT_OF, sql, "group", family.tables, **words)
    sql = family.sql(f"{title}, COUNT(*)", f"GROUP BY {family.key}")
    return ask(w, PER_PARENT, sql, "group", family.tables, **words)


def parent_having(w: World) -> Question | None:
    """Parents with so many children: "venues that hosted at least 3 concerts"."""
    family = draw_family(w)
    if family is None or len(family.sizes) < 3:
        return None
    sign, k = _bound(w, list(family.sizes.values()))
    if not sign:
        return None
    noun = family.counted.one() if k == 1 and sign != ">=" else family.counted.many()
    number = NUMERALS.get(k, str(k)) if k > 1 and w.chance(0.4) else str(k)
    that = w.pick(family.that).format(f"{w.pick(QUANTITY[sign]).format(k=number)} {noun}")
    sql = family.sql(
        f"{family.parent.name}.{title_of(family.parent).name}", f"GROUP BY {family.key} HAVING COUNT(*) {sign} {k}"
    )
    return ask(w, parents(w, that), sql, "having", family.tables, that=that, **_family_words(w, family))


def parent_with_most(w: World) -> Question | None:
    """The parent with the most children, by its name or another column; or the first few."""
    family = draw_family(w)
    if family is None or len(family.sizes) < 3:
        return None
    k = 1 if w.chance(0.75) else w.pick((2, 3))
    sizes = sorted(family.sizes.values(), reverse=True)
    if len(set(sizes[: k + 1])) <= min(k, len(sizes) - 1):
        return None
    that = w.pick(family.that).format(w.pick(MOST).format(n=family.counted.many()))
    words, column = _family_words(w, family), title_of(family.parent)
    others = [c for c in w.columns(family.parent, "category", "number", "year") if not c.nullable]
    if k == 1 and others and w.chance(0.35):
        column = w.pick(others)
        words |= {"t": w.word(column)}
    verb = finite(singular_verb(that))
    templates = (
        (*PARENT, f"Which {{p}} {verb}?", f"Which {{p}} {verb}?") if verb and " were " not in f" {verb}" else PARENT
    )
    templates = (
        templates
        if column == family.parent.title
        else (
            "What is the {t} of the {p} {that}?",
            "Find the {t} of the {p} {that}.",
            "Give the {t} of the {p} {that}.",
        )
    )
    if k > 1:
        words["ps"] = f"{w.pick((NUMERALS[k], str(k)))} {words['ps']}"
        templates = PARENTS[:2]
    else:
        that = singular_verb(that)
    sql = family.sql(f"{family.parent.name}.{column.name}", f"GROUP BY {family.key} ORDER BY COUNT(*) DESC LIMIT {k}")
    return ask(w, templates, sql, "superlative" if k == 1 else "limit", family.tables, that=that, **words)


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


def bridge_measure(w: World) -> Question | None:
    """A number that the bridge itself holds: in all, for one row by name, or for each: "the average fee of each doctor"."""
    crossing = w.pick([c for side in w.crossings.values() for c in side] or [None])
    bridge = crossing and w.domain.table(crossing.bridge.table)
    number = bridge and some([c for c in w.columns(bridge, "number") if not c.nullable], w)
    if not crossing or not bridge or not number:
        return None
    function, parent = w.pick(("AVG", "AVG", "SUM", "MAX", "MIN")), w.domain.table(crossing.table)
    words = {"a": w.pick(AGGREGATES[function]), "m": w.word(number), "p": parent.one[0]}
    what, draw = f"{function}({bridge.name}.{number.name})", w.rng.random()
    if draw < 0.2 or parent.title is None:
        templates = ("What is the {a} {m}?", "Find the {a} {m} over all {b}.", "Give the {a} {m} of all {b}.")
        sql = f"SELECT {function}({number.name}) FROM {bridge.name}"
        return ask(w, templates, sql, "aggregate", 1, b=bridge.many[0], **words)
    if draw < 0.6:
        return _measure_of_one(w, crossing, parent, what, words)
    templates = ("For each {p}, show the {t} and the {a} {m}.", "Show the {t} of each {p} and their {a} {m}.",
                 "What is the {a} {m} of each {p}?")  # fmt: skip
    join = f"JOIN {bridge.name} ON {bridge.name}.{crossing.key} = {parent.name}.{primary_key(parent)}"
    group = f"GROUP BY {parent.name}.{primary_key(parent)}"
    sql = f"SELECT {parent.name}.{parent.title.name}, {what} FROM {parent.name} {join} {group}"
    return ask(w, templates, sql, "group", 2, t=w.word(parent.title), **words)


def _measure_of_one(w: World, way: Crossing, parent: Table, what: str, words: dict[str, str]) -> Question | None:
    one = named(w, parent)
    if one is None or w.ids(parent, one.rows)[0] not in {i for i, _ in w.pairs(way)}:
        return None
    templates = ("What is the {a} {m} of {the}?", "Find the {a} {m} of {the}.", "Give the {a} {m} for {the}.")
    bridge = way.bridge.table
    join = f"JOIN {parent.name} ON {bridge}.{way.key} = {parent.name}.{primary_key(parent)}"
    test = f"{parent.name}.{one.tests[0].column} {one.tests[0].rest}"
    return ask(
        w, templates, f"SELECT {what} FROM {bridge} {join} WHERE {test}", "aggregate", 2, the=one.the(w), **words
    )
