"""What a question is about: rows of one table, as a noun phrase, as FROM and WHERE, and as the rows themselves.

A subject is drawn outwards from its table: a condition on its own columns, or a restriction by a neighbour (the parent,
the children, the other side of a bridge), which is a subject again: "jazz albums by artists signed to a British label".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from evaluation.tiny.domain import Column, Link, Table
from evaluation.tiny.grammar.conditions import Condition, Test, draw_condition
from evaluation.tiny.grammar.words import a_or_an, finite, singular_verb
from evaluation.tiny.grammar.world import Crossing, World
from evaluation.tiny.rows import Row, literal, primary_key

NARROWS = 0.9  # a condition must leave at most this share of the rows: an answer shall tell whether it was heeded


@dataclass(frozen=True)
class Subject:
    """`rows`: the rows of `table` it holds. `joins`: one JOIN clause per further table, outwards. `tests`: its WHERE.
    `before`, `after`: the words round the noun. `named`: the value when it is one row given by name, else "".
    `single`: one row by what the question says. `repeats`: the joins give a row more than once. `noun`: which synonym.
    `reach`: the tables of the query. `pieces`: how many phrases `after` is made of.
    """

    table: Table
    rows: tuple[Row, ...]
    noun: int = 0
    joins: tuple[str, ...] = ()
    tests: tuple[Test, ...] = ()
    connective: str = "AND"
    before: str = ""
    after: str = ""
    named: str = ""
    single: bool = False
    repeats: bool = False
    reach: frozenset[str] = frozenset()
    pieces: int = 0

    def one(self, head: str = "") -> str:
        return " ".join(f"{head} {self.before} {self.table.one[self.noun]} {singular_verb(self.after)}".split())

    def many(self, head: str = "") -> str:
        return " ".join(f"{head} {self.before} {self.table.many[self.noun]} {self.after}".split())

    def clause(self) -> str:
        """ "jazz albums were released after 2010", to follow "which" or "how many"; "" where that is not English."""
        verb = finite(self.after) if self.pieces == 1 else ""
        return " ".join(f"{self.before} {self.table.many[self.noun]} {verb}".split()) if verb else ""

    def the(self, w: World) -> str:
        """One row: by its bare name, or "the album Abbey Road"."""
        bare = self.named and self.after in (self.named, f"'{self.named}'")
        return self.after if bare and w.chance(0.6) else self.one("the")

    @property
    def tables(self) -> int:
        return 1 + len(self.joins)

    @property
    def plain(self) -> bool:
        return not self.tests and not self.joins

    def ref(self, column: str, table: str = "") -> str:
        """The column as the query writes it: qualified when there are joins."""
        return f"{table or self.table.name}.{column}" if self.joins else column

    def where(self) -> str:
        tests = [f"{self.ref(t.column, t.table)} {t.rest}" for t in self.tests]
        return f" WHERE {f' {self.connective} '.join(tests)}" if tests else ""

    def sql(self, select: str, tail: str = "") -> str:
        """SELECT … FROM … JOIN … WHERE …, then `tail` (GROUP BY, ORDER BY, …)."""
        joins = "".join(f" {join}" for join in self.joins)
        return f"SELECT {select} FROM {self.table.name}{joins}{self.where()}{f' {tail}' if tail else ''}"


def plain(w: World, table: Table) -> Subject:
    """All rows of the table."""
    noun = 0 if w.chance(0.6) else int(w.rng.random() * len(table.one))
    return Subject(table, tuple(w.rows[table.name]), noun, reach=frozenset((table.name,)))


def named(w: World, table: Table) -> Subject | None:
    """One row, by its name. None for a table without names."""
    if table.title is None:
        return None
    row = w.pick(w.rows[table.name])
    name = row[w.position[table.name][table.title.name]]
    after = w.pick(("{n}", "{n}", "named {n}", "called {n}", "'{n}'")).format(n=name)
    if table.title.words and table.title.words[0] == "title":
        after = after.replace("named", "titled").replace("called", "with the title")
    test = Test(table.name, table.title.name, f"= {literal(name)}")
    base = plain(w, table)
    return replace(base, rows=(row,), tests=(test,), after=after, named=str(name), single=True)


def having(w: World, subject: Subject, condition: Condition) -> Subject | None:
    """The rows that satisfy the condition as well; None when these are none, or nearly all (it would say nothing)."""
    rows = tuple(row for row in subject.rows if condition.keep(row))
    if not rows or len(rows) > NARROWS * len(subject.rows):
        return None
    before = " ".join(filter(None, (condition.before, subject.before)))
    said = condition.after
    if w.person[subject.table.name] and said.startswith("that "):
        said = f"who {said.removeprefix('that ')}"
    if subject.after and said.startswith(("that have ", "who have ")):
        said = f"with {said.split(' ', 2)[2]}"
    linker = " and " if subject.after and not subject.joins else " "
    after, pieces = linker.join(filter(None, (subject.after, said))), subject.pieces + bool(said)
    tests = condition.tests + subject.tests if condition.before else subject.tests + condition.tests
    return replace(subject, rows=rows, before=before, after=after, tests=tests, pieces=pieces)


def filtered(w: World, subject: Subject, count: int = 1) -> Subject | None:
    """`subject` under `count` conditions on different columns of its own."""
    row, used = w.pick(subject.rows), tuple(t.column for t in subject.tests)
    for _ in range(count):
        condition = draw_condition(w, subject.table, row, used)
        narrowed = condition and having(w, subject, condition)
        if not condition or not narrowed:
            return None
        subject, used = narrowed, (*used, condition.tests[0].column)
    return subject


def either(w: World, subject: Subject) -> Subject | None:
    """`subject` (plain) under one condition or another: "whose genre is jazz or whose price is above 20"."""
    first = draw_condition(w, subject.table, w.pick(subject.rows))
    second = draw_condition(w, subject.table, w.pick(subject.rows))
    if not first or not second or first.before or second.before or not unlike(first.tests[0], second.tests[0]):
        return None
    rows = tuple(r for r in subject.rows if first.keep(r) or second.keep(r))
    parts = [sum(map(keep, subject.rows)) for keep in (first.keep, second.keep)]
    if len(rows) > NARROWS * len(subject.rows) or len(rows) in parts:
        return None
    head = w.pick(("", "", "either "))
    after = f"{head}{first.after} or {second.after}"
    return replace(subject, rows=rows, after=after, tests=first.tests + second.tests, connective="OR")


def unlike(first: Test, second: Test) -> bool:
    """Whether the tests make sense side by side: of different columns, or two values of one."""
    if first.column != second.column:
        return True
    return first.rest != second.rest and first.rest.startswith("= ") and second.rest.startswith("= ")


def draw_subject(w: World, table: Table, tables: int, seen: frozenset[str] = frozenset()) -> Subject | None:
    """A subject of `table` that spans `tables` tables, none of them in `seen`; None when the draw came to nothing."""
    if tables == 1:
        return filtered(w, plain(w, table))
    ways = _ways(w, table, tables, seen | {table.name})
    if not ways:
        return None
    way = w.pick(ways)
    other_name, cost = (way.other, 2) if isinstance(way, Crossing) else (_far(way, table), 1)
    other = _neighbour(w, w.domain.table(other_name), tables - cost, seen | {table.name})
    if other is None:
        return None
    subject = restricted(w, plain(w, table), way, other)
    if subject and w.chance(0.25):
        return _narrowed(w, subject, other)
    return subject


def _far(link: Link, table: Table) -> str:
    return link.parent if link.child == table.name else link.child


def _ways(w: World, table: Table, tables: int, seen: frozenset[str]) -> list[Link | Crossing]:
    links = [k for k in (*w.up[table.name], *w.down[table.name]) if _far(k, table) not in seen]
    crossings = [c for c in w.crossings[table.name] if c.other not in seen and c.bridge.table not in seen]
    ways: list[Link | Crossing] = [*links] if tables == 2 or crossings == [] else [*links, *crossings, *crossings]
    return ways


def _neighbour(w: World, table: Table, tables: int, seen: frozenset[str]) -> Subject | None:
    """What restricts a subject: a row by name, a filtered set, or a longer path."""
    if tables > 1:
        return draw_subject(w, table, tables, seen)
    return named(w, table) if w.chance(0.5) else filtered(w, plain(w, table))


def restricted(w: World, subject: Subject, way: Link | Crossing, other: Subject) -> Subject | None:
    """`subject`, a plain one, narrowed to the rows that hang together with `other`; None when none or nearly all do."""
    table, far, near = subject.table, other.table, set(w.ids(other.table, other.rows))
    key, far_key = primary_key(table), primary_key(far)
    repeats, single, column, reach = not other.single or other.repeats, False, key, frozenset((far.name,))
    joins: tuple[str, ...]
    if isinstance(way, Crossing):
        ids, verbs, bridge = {i for i, o in w.pairs(way) if o in near}, way.verbs, way.bridge.table
        joins = (f"JOIN {bridge} ON {bridge}.{way.key} = {table.name}.{key}",
                 f"JOIN {far.name} ON {bridge}.{way.other_key} = {far.name}.{far_key}")  # fmt: skip
        reach |= {bridge}
    elif way.child == table.name:
        ids, verbs, column, repeats = near, way.of_parent, way.fk, other.repeats
        joins = (f"JOIN {far.name} ON {table.name}.{way.fk} = {far.name}.{far_key}",)
    else:
        ids, verbs, single = set(w.values(far, way.fk, other.rows)), way.has_child, other.single
        joins = (f"JOIN {far.name} ON {far.name}.{way.fk} = {table.name}.{key}",)
    rows = tuple(row for row in subject.rows if row[w.position[table.name][column]] in ids)
    if not rows or len(rows) > NARROWS * len(subject.rows):
        return None
    after, reach = w.pick(verbs).format(_said(w, other, way)), reach | subject.reach | other.reach
    return replace(subject, rows=rows, joins=joins + other.joins, tests=other.tests, after=after, pieces=1,
                   repeats=repeats, single=single, reach=reach)  # fmt: skip


def _said(w: World, other: Subject, way: Link | Crossing) -> str:
    """The neighbour inside the phrase: its name, "the album Abbey Road", "a jazz concert" or "jazz concerts"."""
    if other.single:
        return other.the(w)
    down = isinstance(way, Link) and way.parent != other.table.name
    if not down and w.chance(0.4):
        return a_or_an(other.one())
    return other.many()


def _narrowed(w: World, subject: Subject, other: Subject) -> Subject | None:
    """A condition of the subject's own on top of a restriction; after the noun only where it cannot be misread."""
    condition = draw_condition(w, subject.table, w.pick(subject.rows))
    if condition is None or len(subject.rows) < 2:
        return None
    if condition.after and not (other.named and _distinct_words(w, subject, condition)):
        return None
    return having(w, subject, condition)


def _distinct_words(w: World, subject: Subject, condition: Condition) -> bool:
    """Whether no other table of the subject has a column that is called like the condition's."""
    column = subject.table.column(condition.tests[0].column)
    others = [w.domain.table(name) for name in subject.reach - {subject.table.name}]
    theirs = {(c.kind, word) for t in others for c in t.columns for word in c.words}
    kinds = {c.kind for t in others for c in t.columns}
    return column.kind not in kinds - {"category"} and not any((column.kind, x) in theirs for x in column.words)


def title_of(table: Table) -> Column:
    """The name column; only for tables that have one."""
    assert table.title is not None, table.name
    return table.title
