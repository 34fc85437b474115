"""A grammar of questions: from a `Domain` and its rows to an English question and the query that answers it.

world      the domain with its rows, indexed
words      English: plurals, articles, units
conditions "released after 2010" and the like, with SQL and a test in Python
subject    sets of rows of one table, restricted over links and bridges
question   a question and how one is made
listing, ranking, grouping, families, nesting, sets   the kinds of questions
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from evaluation.tiny.domain import Domain
from evaluation.tiny.grammar import families, grouping, listing, nesting, ranking, sets
from evaluation.tiny.grammar.question import Question
from evaluation.tiny.grammar.world import World
from evaluation.tiny.rows import Rows

__all__ = ["KINDS", "Question", "generate", "questions"]

Rule = Callable[[World], Question | None]
RULES: tuple[tuple[Rule, float], ...] = (
    (listing.listing, 22),
    (listing.lookup, 3),
    (listing.paired, 5),
    (listing.count, 11),
    (listing.aggregate, 10),
    (listing.distinct, 5),
    (ranking.ordered, 6),
    (ranking.ranked, 12),
    (grouping.per_category, 5),
    (grouping.parents_by_category, 3),
    (grouping.category_having, 5),
    (families.per_parent, 5),
    (families.parent_having, 5),
    (families.parent_with_most, 5),
    (families.bridge_measure, 1.5),
    (nesting.against_average, 4),
    (nesting.against_row, 3),
    (nesting.at_extreme, 1),
    (nesting.without_children, 5),
    (nesting.with_children, 2),
    (sets.category_sets, 3),
    (sets.child_sets, 2),
    (sets.bridge_sets, 1.5),
    (sets.names_together, 1),
)
KINDS = ("select", "filter", "count", "aggregate", "distinct", "order", "limit", "superlative", "group", "having",
         "nested", "set")  # fmt: skip
_FUNCTIONS = tuple(rule for rule, _ in RULES)
_WEIGHTS = tuple(weight for _, weight in RULES)
SPANS = ((1, 50), (2, 26), (3, 16), (4, 8))  # tables of a subject, and how often
_TRIES = 120


def questions(domain: Domain, rows: Rows, rng: random.Random) -> Iterator[Question]:
    """Questions without end, duplicates among them. Ends early only when a domain is too poor for any question."""
    world = World(domain, rows, rng)
    while True:
        rule = rng.choices(_FUNCTIONS, _WEIGHTS)[0]
        world.span = rng.choices([n for n, _ in SPANS], [share for _, share in SPANS])[0]
        made = _tried(world, rule)
        if made is None:
            world.span = 1
            made = _tried(world, listing.listing) or _tried(world, listing.count)
        if made is None:
            return
        yield made


def _tried(world: World, rule: Rule) -> Question | None:
    """What the rule makes; None when it keeps coming to nothing, as rules over four tables do in a domain of two."""
    return next((q for q in (rule(world) for _ in range(_TRIES)) if q), None)


def generate(domain: Domain, rows: Rows, rng: random.Random) -> Question:
    """One random question. ValueError when the domain has nothing to ask for."""
    for question in questions(domain, rows, rng):
        return question
    raise ValueError(f"domain {domain.name} must have a table with a name column and other columns")
