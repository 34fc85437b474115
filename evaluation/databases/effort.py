"""What a query costs SQLite, the same on every machine: steps of its virtual machine, and the burden of its plan.

The burden is 1 and 1 more for each thing of EXPLAIN QUERY PLAN that grows with a table: one that is scanned, a B-tree
or an index that is built for this query alone, a subquery that runs again for every row.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from typing import Protocol

from graph.database import PROGRESS_OPS
from graph.guard import Clock

FINE_OPS = 10
EXACT_BELOW = 100_000
"""Steps up to which a query is run once more and counted by FINE_OPS; beyond, PROGRESS_OPS are exact enough."""
_HEAVY = re.compile(r"^SCAN |^CORRELATED |^USE TEMP B-TREE|USING TEMP B-TREE$| USING AUTOMATIC ")


class Effort(Protocol):
    """As an `Execution` has it."""

    @property
    def steps(self) -> int: ...
    @property
    def burden(self) -> int: ...


def efficiency(gold: Effort, own: Effort) -> float:
    """0 to 1 for a right answer: the geometric mean of gold's steps over its own and gold's burden over its own, each
    at most 1; so 1 for one that costs no more than gold. 0 where either was not measured."""
    if not (gold.burden and own.burden):
        return 0.0
    steps = min(1.0, max(gold.steps, FINE_OPS) / max(own.steps, FINE_OPS))
    return (steps * min(1.0, gold.burden / own.burden)) ** 0.5


def burden(plan: Iterable[str]) -> int:
    """Of the lines of a plan.

    >>> burden(["SCAN t", "SEARCH u USING AUTOMATIC COVERING INDEX (b=?)", "USE TEMP B-TREE FOR ORDER BY"])
    4
    """
    return 1 + sum(_HEAVY.search(line) is not None for line in plan)


def measure(connection: sqlite3.Connection, sql: str, clock: Clock, looks: int) -> tuple[int, int]:
    """(steps, burden) of a query that has run whole while the clock was looked at so often."""
    steps = PROGRESS_OPS * looks
    cost = burden(row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + sql))
    if steps < EXACT_BELOW:
        clock.looks = 0
        connection.set_progress_handler(clock, FINE_OPS)
        try:
            for _ in connection.execute(sql):
                pass
            steps = FINE_OPS * clock.looks
        except sqlite3.OperationalError:  # out of time: then it is known more or less
            pass
    return steps, cost
