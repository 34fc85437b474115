"""ex_strict: whether two results are the same answer. Ours, and the reward.

Rows are a bag, a list where the outermost gold query orders; columns stand in gold's order; NULL, text, bytes and
numbers are distinct, 1 = 1.0, and floating noise (1e-9 of a number's size) is forgiven. A prediction must read a base
table. Two empty results agree when the prediction also has as many columns. Rows that gold's ORDER BY does not
tell apart may come in any order and, at the edge of a LIMIT, be any of the tied ones: see `ordering.py`.
ex_any is the same with the columns in any order: see `columns.py`.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from evaluation.columns import column_orders, covering_orders, reordered
from evaluation.databases.sandbox import Execution, executable
from evaluation.ordering import KeyedQuery, Ranking, is_ordered, tie_groups

Row = tuple[Any, ...]
Columns = Literal["given", "any"]  # whether columns must stand in gold's order
RELATIVE, ABSOLUTE = 1e-9, 1e-12
MATCHED_AT_MOST = 400  # rows alike but for their numbers that are matched one by one; more are compared in sorted order


def same_answer(
    gold_sql: str, gold: Execution, prediction: Execution, ranking: Ranking | None = None, columns: Columns = "given"
) -> bool:
    """ex_strict of a prediction, or with columns "any" ex_any. Both must have run ("ok"), else False.

    ranking: gold's rows before LIMIT with their sort keys, where known; without it an ordered gold is a plain list.
    """
    if gold.status != "ok" or not executable(prediction) or len(gold.columns) != len(prediction.columns):
        return False
    if len(gold.rows) != len(prediction.rows):
        return False
    if _same_rows(gold_sql, gold.rows, prediction.rows, ranking):
        return True
    return columns == "any" and any(
        _same_rows(gold_sql, gold.rows, reordered(prediction.rows, order), ranking)
        for order in _orders(gold_sql, gold.rows, prediction.rows, ranking)
    )


def _same_rows(gold_sql: str, gold: Sequence[Row], prediction: Sequence[Row], ranking: Ranking | None) -> bool:
    if ranking is not None:
        return same_ranking(ranking, prediction)
    if is_ordered(gold_sql):
        return all(map(same_row, gold, prediction))
    return same_bag(gold, prediction)


def _orders(
    gold_sql: str, gold: Sequence[Row], prediction: Sequence[Row], ranking: Ranking | None
) -> Iterator[tuple[int, ...]]:
    """Orders of the prediction's columns that may make it gold's answer."""
    if ranking is None:
        classes = list(range(len(gold))) if is_ordered(gold_sql) else [0] * len(gold)
        return column_orders(gold, prediction, classes, close)
    ties = [number for number, (first, last) in enumerate(tie_groups(ranking.keys)) for _ in range(first, last)]
    window = ties[ranking.start : ranking.start + len(gold)]
    pool = [place for place, tie in enumerate(ties) if tie in set(window)]
    if len(pool) == len(window):
        return column_orders([ranking.rows[place] for place in pool], prediction, window, close)
    rows, classes = [ranking.rows[place] for place in pool], [ties[place] for place in pool]
    return covering_orders(rows, prediction, (classes, window), same_cell)


def both_empty(gold: Execution, prediction: Execution) -> bool:
    return gold.status == prediction.status == "ok" and not gold.rows and not prediction.rows


def ranking_of(query: KeyedQuery, keyed: Execution, gold: Execution) -> Ranking | None:
    """The ranking that a keyed query's execution shows; None unless it explains the rows that gold returned."""
    width = len(gold.columns)
    if keyed.status != "ok" or len(keyed.columns) != width + query.added + 2:
        return None
    rows = tuple(row[:width] for row in keyed.rows)
    if query.distinct and len(set(rows)) < len(rows):
        return None
    ranking = Ranking(rows, tuple(row[-2:-1] for row in keyed.rows), keyed.rows[0][-1] if rows else 0)
    return ranking if same_ranking(ranking, gold.rows) else None


def is_tied(gold: Execution, ranking: Ranking | None) -> bool:
    """Whether the window of rows that gold returned begins or ends inside a run of rows with equal keys.

    Runs of one and the same row leave no choice.
    """
    if ranking is None:
        return False
    start, end = ranking.start, ranking.start + len(gold.rows)
    for first, last in tie_groups(ranking.keys):
        cut = first < start < last or first < end < last
        if cut and len(set(ranking.rows[first:last])) > 1:
            return True
    return False


def all_tied(ranking: Ranking, gold: Execution) -> list[Row]:
    """The rows that gold returned, and those that tie with the first or the last of them."""
    start, end = ranking.start, ranking.start + len(gold.rows)
    groups = [group for group in tie_groups(ranking.keys) if group[0] < end and group[1] > start]
    return [row for first, last in groups for row in ranking.rows[first:last]]


def same_ranking(ranking: Ranking, rows: Sequence[Row]) -> bool:
    """Whether each run of rows with equal keys holds rows of that run; the edges of the window may hold any of them."""
    end = ranking.start + len(rows)
    for first, last in tie_groups(ranking.keys):
        low, high = max(first, ranking.start), min(last, end)
        if low < high and not covers(ranking.rows[first:last], rows[low - ranking.start : high - ranking.start]):
            return False
    return end <= len(ranking.rows)


def same_bag(left: Sequence[Row], right: Sequence[Row]) -> bool:
    """Whether the rows can be paired off, each with an equal one."""
    return len(left) == len(right) and covers(left, right)


def covers(many: Sequence[Row], few: Sequence[Row]) -> bool:
    """Whether every row of `few` has an equal row of its own in `many`. Polynomial time."""
    left = Counter(many)
    left.subtract(few)
    lacking = [row for row, count in left.items() for _ in range(-count)]
    if not lacking:
        return True
    if not any(isinstance(cell, float) for row in many for cell in row) and not _has_float(few):
        return False
    spare = [row for row, count in left.items() for _ in range(count)]
    return _covers_nearly(spare, lacking)


def same_row(left: Row, right: Row) -> bool:
    return len(left) == len(right) and all(map(same_cell, left, right))


def same_cell(left: Any, right: Any) -> bool:
    """Equal values of one kind; numbers also where the noise of floating sums explains the difference: `noisy`."""
    if not (_is_number(left) and _is_number(right)):
        return type(left) is type(right) and left == right
    return left == right or (noisy(left, right) and close(left, right))


def close(left: float, right: float) -> bool:
    return math.isclose(left, right, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def noisy(left: float, right: float) -> bool:
    """Whether one of two numbers bears the digits that floating arithmetic leaves: more than the 15 of any decimal.

    Two decimals, as data holds them, are what they are; and so are whole numbers of which one is an integer.

    >>> noisy(0.1 + 0.2, 0.3), noisy(0.3, 0.3000000001)
    (True, False)
    """
    if isinstance(left, int) or isinstance(right, int):
        whole = float(right if isinstance(left, int) else left).is_integer()
        return not (whole or (_is_decimal(left) and _is_decimal(right)))
    return not (_is_decimal(left) and _is_decimal(right))


def _is_decimal(number: float) -> bool:
    return isinstance(number, int) or float(f"{number:.15g}") == number


def _covers_nearly(many: Sequence[Row], few: Sequence[Row]) -> bool:
    """As `covers`, with tolerance: rows are grouped by all that is not a number, then matched by their numbers."""
    groups: dict[Row, tuple[list[Row], list[Row]]] = defaultdict(lambda: ([], []))
    for side, rows in enumerate((many, few)):
        for row in rows:
            groups[tuple(0 if _is_number(cell) else (type(cell).__name__, cell) for cell in row)][side].append(row)
    return all(_match(candidates, wanted) for candidates, wanted in groups.values())


def _match(candidates: list[Row], wanted: list[Row]) -> bool:
    if len(wanted) > len(candidates):
        return False
    candidates, wanted = sorted(candidates, key=_rounded), sorted(wanted, key=_rounded)
    if len(wanted) == len(candidates) and all(map(same_row, candidates, wanted)):
        return True
    return len(candidates) <= MATCHED_AT_MOST and _pair_off(candidates, wanted)


def _pair_off(candidates: list[Row], wanted: list[Row]) -> bool:
    """Bipartite matching by augmenting paths: near equality is not transitive, so sorting alone can miss a pairing."""
    edges = [[place for place, candidate in enumerate(candidates) if same_row(candidate, row)] for row in wanted]
    taken: dict[int, int] = {}
    return all(_augment(row, edges, taken, set()) for row in range(len(wanted)))


def _augment(row: int, edges: list[list[int]], taken: dict[int, int], seen: set[int]) -> bool:
    for place in edges[row]:
        if place not in seen:
            seen.add(place)
            if place not in taken or _augment(taken[place], edges, taken, seen):
                taken[place] = row
                return True
    return False


def _rounded(row: Row) -> list[float]:
    return [float(f"{cell:.9g}") for cell in row if _is_number(cell)]


def _is_number(cell: Any) -> bool:
    return isinstance(cell, (int, float))


def _has_float(rows: Sequence[Row]) -> bool:
    return any(isinstance(cell, float) for row in rows for cell in row)
