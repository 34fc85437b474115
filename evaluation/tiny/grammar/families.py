"""Questions that group by a parent or by a side of a bridge: "the venue that hosted the most concerts"."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from evaluation.tiny.domain import Link, Table
from evaluation.tiny.grammar.grouping import QUANTITY, bound_of
from evaluation.tiny.grammar.listing import AGGREGATES
from evaluation.tiny.grammar.question import Question, ask, free_columns, some, some_table
from evaluation.tiny.grammar.ranking import NUMERALS
from evaluation.tiny.grammar.subject import Subject, filtered, named, plain, title_of
from evaluation.tiny.grammar.words import finite, plural, singular_verb
from evaluation.tiny.grammar.world import Crossing, World
from evaluation.tiny.rows import primary_key

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
    "Find all {ps} {that}.", "Show the {ts} of {ps} {that}.", "Name the {ps} {that}.",
    "Give me the {ts} of all {ps} {that}.",
)  # fmt: skip
PARENT = (
    "Which is the {p} {that}?", "What is the {t} of the {p} {that}?", "Find the {p} {that}.", "Name the {p} {that}.",
    "Give the {t} of the {p} {that}.", "Show the {p} {that}.",
)  # fmt: skip
COLUMN_OF_PARENT = (
    "What is the {t} of the {p} {that}?", "Find the {t} of the {p} {that}.", "Give the {t} of the {p} {that}.",
)  # fmt: skip
MOST = ("the most {n}", "the largest number of {n}", "the highest number of {n}")


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
    """Parents by a link or a bridge, sometimes with a condition on what is counted; None when it came to nothing."""
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
    sign, k = bound_of(w, list(family.sizes.values()))
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
    templates = _parent(singular_verb(that)) if column == family.parent.title else COLUMN_OF_PARENT
    if k > 1:
        templates, words["ps"] = PARENTS[:2], f"{w.pick((NUMERALS[k], str(k)))} {words['ps']}"
    words["that"] = that if k > 1 else singular_verb(that)
    sql = family.sql(f"{family.parent.name}.{column.name}", f"GROUP BY {family.key} ORDER BY COUNT(*) DESC LIMIT {k}")
    return ask(w, templates, sql, "superlative" if k == 1 else "limit", family.tables, **words)


def _parent(that: str) -> tuple[str, ...]:
    """Templates for one parent; "Which venue hosted the most concerts?" where there is a verb."""
    verb = finite(that)
    return (
        PARENT if not verb or verb.startswith(("were ", "are ", "have ")) else (*PARENT, *2 * (f"Which {{p}} {verb}?",))
    )


def bridge_measure(w: World) -> Question | None:
    """A number that the bridge holds, over all, for one row by name, or for each: "the average fee of each doctor"."""
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
