"""Questions that order the rows of a subject, or ask for the first of them: "the three cheapest jazz albums"."""

from __future__ import annotations

import re

from evaluation.tiny.domain import Column
from evaluation.tiny.grammar.listing import SINGLE, projection, which_one
from evaluation.tiny.grammar.question import (
    Question,
    ask,
    free_columns,
    headed,
    selected,
    some,
    steady_subject,
    told_apart,
)
from evaluation.tiny.grammar.subject import Subject
from evaluation.tiny.grammar.world import World

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
ALPHABETICAL = (
    ("in alphabetical order", "alphabetically", "from A to Z"),
    ("in reverse alphabetical order", "from Z to A"),
)
BY_ENDS = ("from {0} to {1}", "from the {0} to the {1}", "starting with the {0}", "{0} first")
NUMERALS = {2: "two", 3: "three", 4: "four", 5: "five"}


def ordered(w: World) -> Question | None:
    """The subject's names (and a column) by a measure or by name; never where a tie leaves the order open."""
    subject = steady_subject(w, 0.45)
    if subject is None or subject.table.title is None:
        return None
    title, down = subject.table.title, w.chance(0.5)
    column = title if w.chance(0.15) else some(free_columns(w, subject, "number", "year", "date"), w)
    if column is None or not told_apart(w.values(subject.table, column.name, subject.rows), None, down):
        return None
    columns = [title, column] if w.chance(0.3) and column != title else [title]
    by = w.pick(ALPHABETICAL[down]) if column == title else _direction(w, column, down)
    sql = subject.sql(selected(subject, columns), f"ORDER BY {subject.ref(column.name)} {'DESC' if down else 'ASC'}")
    templates = ORDERED if len(columns) == 1 else ORDERED[:4]
    return ask(w, templates, sql, "order", subject.tables, n=subject.many(), by=by, **headed(w, columns))


def _direction(w: World, column: Column, down: bool) -> str:
    """ "from cheapest to most expensive", "by descending price"."""
    ends = (column.most, column.least) if down else (column.least, column.most)
    if all(ends) and w.chance(0.35):
        return w.pick(BY_ENDS).format(ends[0][0], ends[1][0])
    by = w.pick(DOWN if down else UP).format(s=w.word(column))
    return by if column.kind == "number" else by.replace("lowest", "earliest").replace("highest", "latest")


def ranked(w: World) -> Question | None:
    """The first row or the first few by a measure: "the three cheapest jazz albums"."""
    subject = steady_subject(w, 0.4)
    column = subject and some(free_columns(w, subject, "number", "number", "year", "date"), w)
    if not subject or not column or subject.table.title is None:
        return None
    k, down = (1 if w.chance(0.55) else w.pick((2, 3, 3, 4, 5))), w.chance(0.55)
    if not told_apart(w.values(subject.table, column.name, subject.rows), k, down):
        return None
    if _misread(w, subject) and not (column.most if down else column.least):
        return None
    title = subject.table.title
    columns = [title] if w.chance(0.6) else [c for c in projection(w, subject) if c != column] or [title]
    tail = f"ORDER BY {subject.ref(column.name)} {'DESC' if down else 'ASC'} LIMIT {k}"
    templates = which_one(w, subject) if columns == [title] else SINGLE
    words = headed(w, columns) | {"the": _extreme(w, subject, column, k, down)}
    kind, templates = ("superlative", templates) if k == 1 else ("limit", _several(templates))
    return ask(w, templates, subject.sql(selected(subject, columns), tail), kind, subject.tables, **words)


def _misread(w: World, subject: Subject) -> bool:
    """Whether "with the highest price" behind the noun phrase could belong to another noun in it."""
    titles = [t for t in subject.tests if t.column == getattr(w.domain.table(t.table).title, "name", "")]
    return bool(subject.joins) and not titles


def _several(templates: tuple[str, ...]) -> tuple[str, ...]:
    """Templates about one row, about several."""
    return tuple(re.sub("^(What|Which|Who) is", r"\1 are", t).replace("{c}", "{cs}") for t in templates)


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
