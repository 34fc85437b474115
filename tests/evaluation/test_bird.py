from pathlib import Path

import pytest

from evaluation.databases.sandbox import Execution
from evaluation.rulers.bird import Row, ex_bird, soft_f1
from evaluation.rulers.efficiency import Stopwatch, mean_without_outliers, reward
from tests.bench.fuzz import make_victim


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


def test_the_reward_for_speed_goes_by_steps_and_leaves_outliers_out() -> None:
    assert [reward(ratio) for ratio in (2.0, 1.99, 0.99, 0.49, 0.24)] == [1.25, 1.0, 0.75, 0.5, 0.25]
    # 30 times 1 and once 100: mean 4.19, deviation 17.5, so 100 is out
    assert mean_without_outliers([1.0] * 30 + [100.0]) == 1.0
    assert mean_without_outliers([0.5, 0.5]) == 0.5


def test_only_right_answers_are_timed(tmp_path: Path) -> None:
    database = make_victim(tmp_path / "victim.sqlite")
    stopwatch = Stopwatch(repeats=2)
    slow = "SELECT count(*) FROM t WHERE (SELECT count(*) FROM u AS a, u AS b WHERE a.v < 20 AND b.v >= 0) > 0"
    assert stopwatch.r_ves(database, "SELECT count(*) FROM t", "SELECT count(*) FROM u") == 0.0
    assert stopwatch.r_ves(database, "SELECT count(*) FROM t", slow) == 0.5  # sqrt(0.25)
    assert stopwatch.r_ves(database, slow, "SELECT count(*) FROM t") == 1.25**0.5
    stopwatch.close()
