import pytest

from evaluation.bird import Row, ex_bird, soft_f1
from evaluation.sandbox import Execution


def ran(*rows: Row) -> Execution:
    return Execution("ok", rows)


def test_rows_are_a_set_and_columns_have_their_place() -> None:
    assert ex_bird(ran((1,), (1,), (2,)), ran((2,), (1,)))
    assert not ex_bird(ran((1, "a")), ran(("a", 1)))
    assert ex_bird(ran(), ran())
    assert not ex_bird(Execution("error"), Execution("error"))
    assert not ex_bird(ran(("a\udcff",)), ran(("a\udcff",)))  # not UTF-8: the official tool fails on both


@pytest.mark.parametrize(
    ("gold", "prediction", "f1"),
    [
        ([(1, "a")], [("a", 1)], 1.0),
        ([], [], 1.0),
        ([(1,)], [], 0.0),
        # first rows agree in one of two cells, the second row is missed: tp 1/2, fp 1/2, fn 1/2 + 1; 2(1/2)(1/4)/(3/4)
        ([(1, "a"), (2, "b")], [(1, "x")], 1 / 3),
        # by place, the rows 1-2 and 2-1 have nothing in common, though the answer is right
        ([(1,), (2,)], [(2,), (1,)], 0.0),
        ([(1,), (1,), (2,)], [(1,), (2,), (2,)], 1.0),
    ],
)
def test_soft_f1_compares_row_by_row_after_duplicates_are_dropped(
    gold: list[Row], prediction: list[Row], f1: float
) -> None:
    assert soft_f1(ran(*gold), ran(*prediction)) == pytest.approx(f1)
