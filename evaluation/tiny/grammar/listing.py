"""Questions that list, count, sum up, order and rank the rows of a subject."""

from __future__ import annotations

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
    told_apart,
)
from evaluation.tiny.grammar.subject import Subject, filtered, named, plain, title_of
from evaluation.tiny.grammar.words import counted, plural
from evaluation.tiny.grammar.world import World
from evaluation.tiny.rows import primary_key

TITLES = (
    "List the {cs} of all {n}.", "What are the {cs} of the {n}?", "Show the {cs} of the {n}.",
    "Give me the {cs} of all {n}.", "Find the {cs} of {n}.", "List all {n}.", "Show me all {n}.", "Which {n} are there?",
    "Find all {n}.", "Show the {n}.", "Give the {cs} of {n}.", "Can you list the {n}?", "What are the {n}?",
    "Return the {c} of each {o}.", "Tell me the {cs} of the {n}.", "List the {n}.", "Name all {n}.",
    "I need a list of the {n}.", "Display the {cs} of {n}.", "I am looking for all {n}.", "Give me every {o}.",
)  # fmt: skip
COLUMNS = (
    "List the {cs} of all {n}.", "What are the {cs} of the {n}?", "Show the {c} of each {o}.",
    "For each {o}, show the {c}.", "Give the {c} of every {o}.", "Find the {cs} of the {n}.", "Show me the {cs} of {n}.",
    "Return the {c} for all {n}.", "Display the {cs} of the {n}.", "Tell me the {cs} of all {n}.",
)  # fmt: skip
SINGLE = (
    "What is the {c} of {the}?", "Give the {c} of {the}.", "Find the {c} of {the}.", "Show me the {c} of {the}.",
    "Tell me the {c} of {the}.", "Return the {c} of {the}.", "I want to know the {c} of {the}.",
)  # fmt: skip
WHICH_ONE = ("What is {the}?", "Which is {the}?", "Name {the}.", "Find {the}.", "Show {the}.",
             "Give the {c} of {the}.", "What is the {c} of {the}?")  # fmt: skip
COUNT = (
    "How many {n} are there?", "Count the {n}.", "What is the number of {n}?", "Give the number of {n}.",
    "How many {n} do we have?", "Tell me the number of {n}.", "What is the total number of {n}?",
    "Find the number of {n}.", "Show the count of {n}.", "Count all {n}.", "How many {n} can you find?",
)  # fmt: skip
AGGREGATES = {
    "AVG": ("average", "mean"),
    "SUM": ("total", "summed", "combined"),
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
DISTINCT = (
    "What are the different {cs} of {n}?", "List the distinct {cs} of the {n}.", "Show all different {cs} of {n}.",
    "Find the distinct {cs} of all {n}.", "Give the different {cs} among the {n}.", "Which different {cs} do {n} have?",
    "List each {c} of the {n} once.", "List the {cs} of {n} without duplicates.",
)  # fmt: skip
COUNT_DISTINCT = (
    "How many different {cs} do {n} have?", "Count the distinct {cs} of {n}.", "How many distinct {cs} are there among {n}?",
    "What is the number of different {cs} of the {n}?", "How many different {cs} are there for {n}?",
)  # fmt: skip
ORDERED = (
    "List the {cs} of {n} {by}.", "Show the {cs} of all {n} {by}.", "What are the {cs} of the {n}, {by}?",
    "Give the {cs} of the {n} {by}.", "List {n} {by}.", "Show all {n} {by}.", "Return the {cs} of {n} {by}.",
)  # fmt: skip
UP = ("sorted by {s}", "ordered by {s}", "in ascending order of {s}", "sorted by {s} from lowest to highest",
      "in increasing order of {s}", "ordered by {s} ascending", "sorted by {s} in ascending order")  # fmt: skip
DOWN = ("in descending order of {s}", "sorted by {s} from highest to lowest", "in decreasing order of {s}",
        "ordered by {s} descending", "sorted by {s} in descending order", "by descending {s}")  # fmt: skip
EXTREME = {"number": (("lowest", "smallest"), ("highest", "largest")), "year": (("earliest",), ("latest",)),
           "date": (("earliest",), ("latest", "most recent"))}  # fmt: skip
NUMERALS = {2: "two", 3: "three", 4: "four", 5: "five"}


def listing(w: World) -> Question | None:
    """Columns of the subject; its name column when the question says only the noun."""
    subject = some_subject(w, bare=0.25)
    if subject is None or subject.table.title is None:
        return None
    kind, title = "select" if subject.plain else "filter", title_of(subject.table)
    columns = [title] if w.chance(0.5) else _projection(w, subject)
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


def _projection(w: World, subject: Subject) -> list[Column]:
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
    """One aggregate of a number, two of them, or a count with an average."""
    subject = steady_subject(w, 0.3)
    column = subject and some(free_columns(w, subject, "number"), w)
    if not subject or not column:
        return None
    function, ref = w.pick(("AVG", "AVG", "SUM", "MIN", "MAX")), subject.ref(column.name)
    words = headed(w, [column]) | {"n": subject.many(), "k": counted(column)}
    draw = w.rng.random()
    if draw < 0.12:
        first, second = w.pick((("MIN", "MAX"), ("MAX", "MIN"), ("AVG", "MAX"), ("AVG", "MIN"), ("SUM", "AVG")))
        sql = subject.sql(f"{first}({ref}), {second}({ref})")
        said = f"{AGGREGATES[first][0]} and {AGGREGATES[second][0]}"
        return ask(w, AGGREGATE, sql, "aggregate", subject.tables, a=said, **words)
    if draw < 0.2:
        sql = subject.sql(f"COUNT(*), {function}({ref})")
        templates = ("How many {n} are there and what is their {a} {c}?", "Give the number of {n} and their {a} {c}.")
        return ask(w, templates, sql, "aggregate", subject.tables, a=w.pick(AGGREGATES[function]), **words)
    templates = AGGREGATE
    if function == "SUM":
        templates = w.pick((AGGREGATE, SUMMED, IN_TOTAL if words["k"] else SUMMED))
    elif function == "AVG" and words["k"]:
        templates = w.pick((AGGREGATE, ON_AVERAGE))
    sql = subject.sql(f"{function}({ref})")
    return ask(w, templates, sql, "aggregate", subject.tables, a=w.pick(AGGREGATES[function]), **words)


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


def ordered(w: World) -> Question | None:
    """The subject's names (and a column) by a measure or by name; never where a tie leaves the order open."""
    subject = steady_subject(w, 0.45)
    if subject is None or subject.table.title is None:
        return None
    title, down = title_of(subject.table), w.chance(0.5)
    if w.chance(0.15):
        by = (
            w.pick(("in reverse alphabetical order", "from Z to A"))
            if down
            else w.pick(("in alphabetical order", "alphabetically", "from A to Z"))
        )
        tail = f"ORDER BY {subject.ref(title.name)} {'DESC' if down else 'ASC'}"
        sql = subject.sql(subject.ref(title.name), tail)
        return ask(w, ORDERED[:4], sql, "order", subject.tables, n=subject.many(), by=by, **headed(w, [title]))
    column = some(free_columns(w, subject, "number", "year", "date"), w)
    if column is None or not told_apart(w.values(subject.table, column.name, subject.rows), None, down):
        return None
    columns = [title, column] if w.chance(0.3) else [title]
    sql = subject.sql(selected(subject, columns), f"ORDER BY {subject.ref(column.name)} {'DESC' if down else 'ASC'}")
    templates = ORDERED if len(columns) == 1 else ORDERED[:4]
    by = _direction(w, column, down)
    return ask(w, templates, sql, "order", subject.tables, n=subject.many(), by=by, **headed(w, columns))


def _direction(w: World, column: Column, down: bool) -> str:
    ends = (column.most, column.least) if down else (column.least, column.most)
    if all(ends) and w.chance(0.35):
        return w.pick(("from {0} to {1}", "from the {0} to the {1}", "starting with the {0}", "{0} first")).format(
            ends[0][0], ends[1][0]
        )
    by = w.pick(DOWN if down else UP).format(s=w.word(column))
    if column.kind == "number":
        return by
    return by.replace("from lowest to highest", "from earliest to latest").replace(
        "from highest to lowest", "from latest to earliest"
    )


def ranked(w: World) -> Question | None:
    """The first row or the first few by a measure: "the three cheapest jazz albums"."""
    subject = steady_subject(w, 0.4)
    column = subject and some(free_columns(w, subject, "number", "number", "year", "date"), w)
    if not subject or not column or subject.table.title is None:
        return None
    k, down = (1 if w.chance(0.55) else w.pick((2, 3, 3, 4, 5))), w.chance(0.55)
    if len(subject.rows) <= k or not told_apart(w.values(subject.table, column.name, subject.rows), k, down):
        return None
    title = title_of(subject.table)
    columns = [title] if w.chance(0.6) else [c for c in _projection(w, subject) if c != column] or [title]
    tail = f"ORDER BY {subject.ref(column.name)} {'DESC' if down else 'ASC'} LIMIT {k}"
    sql, words = subject.sql(selected(subject, columns), tail), headed(w, columns)
    kind = "superlative" if k == 1 else "limit"
    if _misread(w, subject) and not (column.most if down else column.least):
        return None
    the, templates = _extreme(w, subject, column, k, down), which_one(w, subject) if columns == [title] else SINGLE
    if k > 1:
        templates = _several(templates)
    return ask(w, templates, sql, kind, subject.tables, the=the, **words)


def _misread(w: World, subject: Subject) -> bool:
    """Whether "with the highest price" behind the noun phrase could belong to another noun in it."""
    titles = [t for t in subject.tests if t.column == getattr(w.domain.table(t.table).title, "name", "")]
    return bool(subject.joins) and not titles


def _several(templates: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        t.replace("{c}", "{cs}").replace("What is", "What are").replace("Which is", "Which are") for t in templates
    )


def _extreme(w: World, subject: Subject, column: Column, k: int, down: bool) -> str:
    """ "the cheapest album", "the 3 albums with the highest price", "the top 3 albums by price"."""
    number = "" if k == 1 else w.pick((NUMERALS[k], str(k)))
    noun = subject.one if k == 1 else subject.many
    words = column.most if down else column.least
    if words and (w.chance(0.6) or _misread(w, subject)):
        return noun(f"the {number} {w.pick(words)}")
    if k > 1 and down and column.kind == "number" and w.chance(0.25):
        return f"{noun(f'the top {number}')} by {w.word(column)}"
    extreme = w.pick(EXTREME[column.kind][down])
    return f"{noun(f'the {number}')} with the {extreme} {w.word(column)}"


def paired(w: World) -> Question | None:
    """Each child with its parent: "the title of each concert and the name of its venue"."""
    table = some_table(w)
    links = [k for k in w.up[table.name] if sum(o.parent == k.parent for o in w.up[table.name]) == 1]
    if not links or table.title is None:
        return None
    link = w.pick(links)
    parent, child = w.domain.table(link.parent), plain(w, table)
    if parent.title is None:
        return None
    subject = child if w.chance(0.35) else filtered(w, child)
    if subject is None:
        return None
    theirs = (
        parent.title if w.chance(0.65) else w.pick(w.columns(parent, "category", "number", "year") or [parent.title])
    )
    join = f" JOIN {parent.name} ON {table.name}.{link.fk} = {parent.name}.{primary_key(parent)}"
    wide = " AND ".join(f"{t.table}.{t.column} {t.rest}" for t in subject.tests)
    sql = f"SELECT {table.name}.{table.title.name}, {parent.name}.{theirs.name} FROM {table.name}{join}" + (
        f" WHERE {wide}" if wide else ""
    )
    templates = (
        "Show the {c} of each {o} and the {d} of {its} {p}.", "For each {o}, give the {c} and the {d} of {its} {p}.",
        "List the {cs} of {n} with the {d} of the {p} of each.", "What are the {cs} of the {n} and the {ds} of their {ps}?",
        "List all {n} together with the {d} of their {p}.", "Return the {cs} of the {n} and the {ds} of their {ps}.",
    )  # fmt: skip
    d = w.word(theirs)
    return ask(w, templates, sql, "select" if subject.plain else "filter", 2, n=subject.many(), o=subject.one(), d=d, its="their" if w.person[table.name] else "its",
               ds=plural(d), p=parent.one[0], ps=parent.many[0], **headed(w, [table.title]))  # fmt: skip
