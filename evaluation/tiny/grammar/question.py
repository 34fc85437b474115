"""A question with its query, and what the rules share to make one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.tiny.domain import Column, Table
from evaluation.tiny.grammar.subject import Subject, draw_subject, either, filtered, plain
from evaluation.tiny.grammar.words import listed, plural, sentence
from evaluation.tiny.grammar.world import World


@dataclass(frozen=True)
class Question:
    """`kind` is one of `evaluation.tiny.grammar.KINDS`; `tables` counts the different tables that the query reads."""

    question: str
    sql: str
    kind: str
    tables: int


def ask(w: World, templates: Sequence[str], sql: str, kind: str, tables: int, **words: str) -> Question:
    """A question from one of the templates."""
    return Question(sentence(w.pick(templates).format(**words)), sql, kind, tables)


def some_table(w: World) -> Table:
    return w.pick(w.entities)


def some_subject(w: World, bare: float = 0.1) -> Subject | None:
    """A subject over `w.span` tables: `bare` of those over one table have no condition, some have two."""
    table = some_table(w)
    if w.span > 1:
        return draw_subject(w, table, w.span)
    if w.chance(bare):
        return plain(w, table)
    draw = w.rng.random()
    if draw < 0.15:
        return either(w, plain(w, table))
    return filtered(w, plain(w, table), 2 if draw < 0.45 else 1)


def steady_subject(w: World, bare: float = 0.4) -> Subject | None:
    """A subject whose rows the joins do not repeat, so that they can be summed and ordered."""
    subject = some_subject(w, bare)
    return None if subject is None or subject.repeats or len(subject.rows) < 2 else subject


def free_columns(w: World, subject: Subject, *kinds: str) -> list[Column]:
    """Columns of the subject of these kinds that no condition fixes and that hold no NULL in its rows."""
    fixed = {t.column for t in subject.tests if t.table == subject.table.name}
    columns = [c for c in w.columns(subject.table, *kinds) if c.name not in fixed]
    return [c for c in columns if None not in w.values(subject.table, c.name, subject.rows)]


def some(items: Sequence[Column], w: World) -> Column | None:
    return w.pick(items) if items else None


def headed(w: World, columns: Sequence[Column]) -> dict[str, str]:
    """The words {c} "name and age" and {cs} "names and ages" of the columns."""
    words = [w.word(c) for c in columns]
    return {"c": listed(words), "cs": listed([plural(word) for word in words])}


def selected(subject: Subject, columns: Sequence[Column]) -> str:
    return ", ".join(subject.ref(c.name) for c in columns)


def told_apart(values: Sequence[object], count: int | None, down: bool) -> bool:
    """Whether sorting these values settles the first `count` of them, or all, without a tie."""
    ranked = sorted(values, reverse=down)  # type: ignore[type-var]
    head = ranked if count is None else ranked[: count + 1]
    return len(set(head)) == len(head) and (count is None or len(ranked) > count)
