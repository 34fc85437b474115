"""Questions that list, count and sum up the rows of a subject."""

from __future__ import annotations

from dataclasses import replace

from evaluation.tiny.domain import Column
from evaluation.tiny.grammar.question import (
    Question,
    ask,
    free_columns,
    headed,
    selected,
    some,
    some_subject,
    some_table,
    steady_subject,
)
from evaluation.tiny.grammar.subject import Subject, filtered, named, plain, title_of
from evaluation.tiny.grammar.words import counted, plural
from evaluation.tiny.grammar.world import World
from evaluation.tiny.rows import primary_key

TITLES = (
    "List the {cs} of all {n}.", "What are the {cs} of the {n}?", "Show the {cs} of the {n}.",
    "Give me the {cs} of all {n}.", "Find the {cs} of {n}.", "List all {n}.", "Show me all {n}.",
    "Which {n} are there?",
    "Find all {n}.", "Show the {n}.", "Give the {cs} of {n}.", "Can you list the {n}?", "What are the {n}?",
    "Return the {c} of each {o}.", "Tell me the {cs} of the {n}.", "List the {n}.", "Name all {n}.",
    "I need a list of the {n}.", "Display the {cs} of {n}.", "I am looking for all {n}.", "Give me every {o}.",
)  # fmt: skip
COLUMNS = (
    "List the {cs} of all {n}.", "What are the {cs} of the {n}?", "Show the {c} of each {o}.",
    "For each {o}, show the {c}.", "Give the {c} of every {o}.", "Find the {cs} of the {n}.",
    "Show me the {cs} of {n}.",
    "Return the {c} for all {n}.", "Display the {cs} of the {n}.", "Tell me the {cs} of all {n}.",
)  # fmt: skip
SINGLE = (
    "What is the {c} of {the}?", "Give the {c} of {the}.", "Find the {c} of {the}.", "Show me the {c} of {the}.",
    "Tell me the {c} of {the}.", "Return the {c} of {the}.", "I want to know the {c} of {the}.",
)  # fmt: skip
WHICH_ONE = ("What is {the}?", "Which is {the}?", "Name {the}.", "Find {the}.", "Show {the}.",
             "Give the {c} of {the}.", "What is the {c} of {the}?")  # fmt: skip
PAIRED = (
    "Show the {c} of each {o} and the {d} of {its} {p}.", "For each {o}, give the {c} and the {d} of {its} {p}.",
    "List the {cs} of {n} with the {d} of the {p} of each.", "List all {n} together with the {d} of their {p}.",
    "What are the {cs} of the {n} and the {ds} of their {ps}?",
    "Return the {cs} of the {n} and the {ds} of their {ps}.",
)  # fmt: skip
COUNT = (
    "How many {n} are there?", "Count the {n}.", "What is the number of {n}?", "Give the number of {n}.",
    "How many {n} do we have?", "Tell me the number of {n}.", "What is the total number of {n}?",
    "Find the number of {n}.", "Show the count of {n}.", "Count all {n}.", "How many {n} can you find?",
)  # fmt: skip
AGGREGATES = {
    "AVG": ("average", "mean"),
    "SUM": ("total", "combined", "overall"),
    "MIN": ("minimum", "lowest", "smallest"),
    "MAX": ("maximum", "highest", "largest"),
}
AGGREGATE = (
    "What is the {a} {c} of {n}?", "What is the {a} {c} of all {n}?", "Find the {a} {c} of the {n}.",
    "Give the {a} {c} of {n}.", "Compute the {a} {c} of all {n}.", "Show the {a} {c} of the {n}.",
    "What is the {a} {c} among {n}?", "Tell me the {a} {c} of {n}.", "Return the {a} {c} across all {n}.",
)  # fmt: skip
SUMMED = ("What is the sum of the {cs} of {n}?", "Add up the {cs} of all {n}.", "Find the sum of the {cs} of the {n}.")
IN_TOTAL = ("How many {k} do {n} have in total?", "How many {k} do the {n} have altogether?")
ON_AVERAGE = ("How many {k} do {n} have on average?", "On average, how many {k} do the {n} have?")
COUNT_AND = ("How many {n} are there and what is their {a} {c}?", "Give the number of {n} and their {a} {c}.")
DISTINCT = (
    "What are the different {cs} of {n}?", "List the distinct {cs} of the {n}.", "Show all different {cs} of {n}.",
    "Find the distinct {cs} of all {n}.", "Give the different {cs} among the {n}.", "Which different {cs} do {n} have?",
    "List each {c} of the {n} once.", "List the {cs} of {n} without duplicates.",
)  # fmt: skip
COUNT_DISTINCT = (
    "How many different {cs} do {n} have?", "Count the distinct {cs} of {n}.",
    "How many distinct {cs} are there among {n}?",
    "What is the number of different {cs} of the {n}?", "How many different {cs} are there for {n}?",
)  # fmt: skip


def listing(w: World) -> Question | None:
    """Columns of the subject; its name column when the question says only the noun."""
    subject = some_subject(w, bare=0.25)
    if subject is None or subject.table.title is None:
        return None
    kind, title = "select" if subject.plain else "filter", title_of(subject.table)
    columns = [title] if w.chance(0.5) else projection(w, subject)
    if subject.repeats and title not in columns:
        columns = [title, *columns[:1]]
    sql = subject.sql(("DISTINCT " if subject.repeats else "") + selected(subject, columns))
    words = headed(w, columns)
    if subject.single:
        templates = which_one(w, subject) if columns == [title] else SINGLE
        return ask(w, templates, sql, kind, subject.tables, the=subject.one("the"), **words)
    templates = which(w, subject) if columns == [title] else COLUMNS
    return ask(w, templates, sql, kind, subject.tables, n=subject.many(), o=subject.one(), **words)


def which(w: World, subject: Subject) -> tuple[str, ...]:
    """Templates that ask for the names of a subject: "Which albums were released after 2010?" where there is a verb."""
    clause = subject.clause()
    if clause and w.chance(0.3):
        return (
            f"Which {clause}?",
            f"Which {clause}?",
            f"What {clause}?" if not w.person[subject.table.name] else f"Which {clause}?",
        )
    return (
        tuple(t.replace("What are the {n}", "Who are the {n}") for t in TITLES)
        if w.person[subject.table.name]
        else TITLES
    )


def which_one(w: World, subject: Subject) -> tuple[str, ...]:
    if not w.person[subject.table.name]:
        return WHICH_ONE
    return tuple(
        t.replace("What is {the}", "Who is {the}").replace("Which is {the}", "Who is {the}") for t in WHICH_ONE
    )


def how_many(w: World, subject: Subject) -> tuple[str, ...]:
    """Templates that count a subject: "How many albums were released after 2010?" where there is a verb."""
    clause = subject.clause()
    return (f"How many {clause}?",) if clause and w.chance(0.35) else COUNT


def projection(w: World, subject: Subject) -> list[Column]:
    """One to three columns in any order, the name first more often than not."""
    fixed = {t.column for t in subject.tests if t.rest.startswith(("=", "IS ")) and t.table == subject.table.name}
    columns = [c for c in w.columns(subject.table, "category", "number", "year", "date") if c.name not in fixed]
    picked = w.rng.sample(columns, min(len(columns), w.pick((1, 1, 2))))
    if w.chance(0.45) or not picked:
        return [title_of(subject.table), *picked]
    return picked if w.chance(0.85) else [*picked, title_of(subject.table)]


def lookup(w: World) -> Question | None:
    """A column or two of one row, given by name."""
    table = some_table(w)
    subject = named(w, table)
    if subject is None:
        return None
    columns = free_columns(w, subject, "category", "number", "year", "date")
    if not columns:
        return None
    picked = w.rng.sample(columns, min(len(columns), w.pick((1, 1, 2))))
    sql = subject.sql(selected(subject, picked))
    return ask(w, SINGLE, sql, "filter", 1, the=subject.the(w), **headed(w, picked))


def count(w: World) -> Question | None:
    subject = some_subject(w)
    if subject is None or subject.single:
        return None
    what = f"DISTINCT {subject.ref(primary_key(subject.table))}" if subject.repeats else "*"
    return ask(w, how_many(w, subject), subject.sql(f"COUNT({what})"), "count", subject.tables, n=subject.many())


def aggregate(w: World) -> Question | None:
    """One aggregate of a number, two of them, or a count with an aggregate."""
    subject = steady_subject(w, 0.3)
    column = subject and some(free_columns(w, subject, "number"), w)
    if not subject or not column:
        return None
    function, ref, draw = w.pick(("AVG", "AVG", "SUM", "MIN", "MAX")), subject.ref(column.name), w.rng.random()
    words = headed(w, [column]) | {"n": subject.many(), "k": counted(column), "a": w.pick(AGGREGATES[function])}
    select, templates = f"{function}({ref})", _ways_to_ask(w, function, bool(words["k"]))
    if draw < 0.12:
        pair = w.pick((("MIN", "MAX"), ("MAX", "MIN"), ("AVG", "MAX"), ("AVG", "MIN"), ("SUM", "AVG")))
        select, templates = ", ".join(f"{one}({ref})" for one in pair), AGGREGATE
        words["a"] = " and ".join(AGGREGATES[one][0] for one in pair)
    elif draw < 0.2:
        select, templates = f"COUNT(*), {select}", COUNT_AND
    return ask(w, templates, subject.sql(select), "aggregate", subject.tables, **words)


def _ways_to_ask(w: World, function: str, countable: bool) -> tuple[str, ...]:
    if function == "SUM":
        return w.pick((AGGREGATE, SUMMED, IN_TOTAL if countable else SUMMED))
    return w.pick((AGGREGATE, ON_AVERAGE)) if function == "AVG" and countable else AGGREGATE


def distinct(w: World) -> Question | None:
    """The different values of a category, or how many there are."""
    subject = some_subject(w, bare=0.4)
    column = subject and some(free_columns(w, subject, "category"), w)
    if not subject or not column or subject.single or len(subject.rows) < 2:
        return None
    words = headed(w, [column]) | {"n": subject.many()}
    if w.chance(0.45):
        sql = subject.sql(f"COUNT(DISTINCT {subject.ref(column.name)})")
        return ask(w, COUNT_DISTINCT, sql, "distinct", subject.tables, **words)
    return ask(w, DISTINCT, subject.sql(f"DISTINCT {subject.ref(column.name)}"), "distinct", subject.tables, **words)


def paired(w: World) -> Question | None:
    """Each child with its parent: "the title of each concert and the name of its venue"."""
    table = some_table(w)
    links = [k for k in w.up[table.name] if sum(o.parent == k.parent for o in w.up[table.name]) == 1]
    child = plain(w, table) if w.chance(0.35) else filtered(w, plain(w, table))
    if not links or table.title is None or child is None:
        return None
    link = w.pick(links)
    parent = w.domain.table(link.parent)
    theirs = parent.title if w.chance(0.65) else some(w.columns(parent, "category", "number", "year"), w)
    if theirs is None:
        return None
    join = f"JOIN {parent.name} ON {table.name}.{link.fk} = {parent.name}.{primary_key(parent)}"
    subject, d = replace(child, joins=(join,)), w.word(theirs)
    sql = subject.sql(f"{subject.ref(table.title.name)}, {subject.ref(theirs.name, parent.name)}")
    words = headed(w, [table.title]) | {"d": d, "ds": plural(d), "p": parent.one[0], "ps": parent.many[0]}
    words |= {"n": child.many(), "o": child.one(), "its": "their" if w.person[table.name] else "its"}
    return ask(w, PAIRED, sql, "select" if child.plain else "filter", 2, **words)
