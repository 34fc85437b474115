"""ex_any: rows agree when the prediction's columns are put in some order, and the search for it is bounded."""

import random
from time import process_time

import pytest

from evaluation.columns import column_orders
from evaluation.compare import Row, same_answer
from evaluation.databases.sandbox import Execution
from evaluation.ordering import Ranking
from evaluation.rulers.spider_execution import same_denotation

UNORDERED, ORDERED = "SELECT * FROM t", "SELECT * FROM t ORDER BY 1"


def ran(rows: list[Row]) -> Execution:
    return Execution("ok", tuple(rows), tuple("c" * len(rows[0])), ("t",))


def same(gold: list[Row], prediction: list[Row], sql: str = UNORDERED, ranking: Ranking | None = None) -> bool:
    return same_answer(sql, ran(gold), ran(prediction), ranking, "any")


def shuffled(rows: list[Row], seed: int = 0) -> list[Row]:
    """The rows in another order, and the columns in another."""
    rng = random.Random(seed)
    order = rng.sample(range(len(rows[0])), len(rows[0]))
    return [tuple(row[place] for place in order) for row in rng.sample(rows, len(rows))]


def bits(rows: int, columns: int) -> list[Row]:
    rng = random.Random(1)
    return [tuple(rng.randint(0, 1) for _ in range(columns)) for _ in range(rows)]


def test_columns_may_stand_in_any_order_but_rows_stay_together() -> None:
    gold: list[Row] = [(1, "a"), (2, "b")]
    assert same(gold, [("b", 2), ("a", 1)])
    assert not same(gold, [("b", 1), ("a", 2)])
    assert not same_answer(UNORDERED, ran(gold), ran([("a", 1), ("b", 2)]))
    assert not same([(1, 1), (2, 2)], [(1, 1), (1, 2)])
    # each column and each row holds the same values, and yet no order of columns makes the rows agree
    assert not same([(1, 1, 0), (0, 1, 1), (0, 0, 0)], [(1, 1, 0), (0, 0, 1), (1, 0, 0)])


def test_an_order_of_rows_still_counts() -> None:
    gold: list[Row] = [(1, "a"), (2, "b")]
    assert same(gold, [("a", 1), ("b", 2)], ORDERED)
    assert not same(gold, [("b", 2), ("a", 1)], ORDERED)


def test_numbers_agree_as_nearly_as_in_the_given_order() -> None:
    assert same([(0.1 + 0.2, 5, "x"), (0.7, 6, "y")], [("y", 6, 0.7), ("x", 5, 0.3)])
    assert not same([(0.3, 5), (0.7, 6)], [(5, 0.31), (6, 0.7)])
    assert not same([(10**9, "x")], [("x", 10**9 + 1)])


def test_tied_rows_at_the_edge_of_a_limit_may_be_any_of_them() -> None:
    pool = (("a", 1), ("b", 1), ("c", 2), ("d", 2))
    ranking = Ranking(pool, ((1,), (1,), (2,), (2,)))
    gold = list(pool[:3])
    assert same(gold, [(1, "b"), (1, "a"), (2, "d")], ORDERED, ranking)
    assert not same(gold, [(1, "b"), (1, "b"), (2, "d")], ORDERED, ranking)
    assert not same(gold, [(1, "a"), (2, "c"), (2, "d")], ORDERED, ranking)


def near(n: int, step: int) -> list[Row]:
    """The n × n matrix of a ring in which each is next to the one `step` further."""
    return [tuple(int((column - row) % n in (0, step)) for column in range(n)) for row in range(n)]


@pytest.mark.parametrize(
    ("rows", "equal"),
    [
        (bits(1000, 50), True),
        ([tuple([row % 2] * 20) for row in range(2000)], True),
        ([tuple(int(row == column) for column in range(60)) for row in range(60)], True),
        (near(40, 1), True),
        ([tuple(cell + 1e-13 * row for cell in line) for row, line in enumerate(bits(500, 20))], True),
        ([tuple(range(2000))], True),
    ],
)
def test_many_columns_that_look_alike_take_no_time(rows: list[Row], equal: bool) -> None:
    began = process_time()
    assert same(rows, shuffled(rows)) is equal
    spoiled = [list(row) for row in shuffled(rows)]
    spoiled[0][0] += 1
    assert not same(rows, [tuple(row) for row in spoiled])
    assert process_time() - began < 5


def test_a_large_table_is_told_by_a_part_of_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluation.columns.ENOUGH_CELLS", 3000)
    rows = bits(400, 20)
    assert same(rows, shuffled(rows))
    assert same_denotation(rows, shuffled(rows), ordered=False)


def test_the_search_for_a_needle_ends_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    one = near(20, 1)
    two = [row + (0,) * 10 for row in near(10, 1)] + [(0,) * 10 + row for row in near(10, 1)]  # two rings of half size
    assert not same(one, two)
    rows = near(10, 1)
    assert list(column_orders(rows, shuffled(rows), [0] * 10, None))
    monkeypatch.setattr("evaluation.columns.CELLS", 100)
    assert not same(rows, shuffled(rows))
