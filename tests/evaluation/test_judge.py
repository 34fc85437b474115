from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.benchmarks import Example
from evaluation.databases.sandbox import Limits
from evaluation.judge import Judge
from tests.bench.fuzz import make_victim
from tests.evaluation.test_sandbox import FOREVER


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    path: Path = tmp_path_factory.mktemp("judge") / "victim.sqlite"
    return Example("1", "victim", "How many?", "", "SELECT count(*) FROM t", make_victim(path), "")


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(Limits(deadline_s=1.0)) as judge:
        yield judge


def test_every_prediction_gets_its_status_in_order(judge: Judge, example: Example) -> None:
    empty = replace(example, gold_sql="SELECT name FROM t WHERE id = -1")
    broken = replace(example, gold_sql="SELECT nope FROM t")
    items = [
        (example, "SELECT count(id) FROM t"),
        (example, "SELECT count(*) FROM u"),
        (empty, "SELECT name FROM t WHERE id < -5"),
        (example, "  \n"),
        (example, "SELECT nope FROM t"),
        (example, "DROP TABLE t"),
        (example, FOREVER),
        (example, "SELECT a.id FROM t a, u b"),
        (broken, "SELECT nope FROM t"),
        (example, "SELECT 2001"),
    ]
    verdicts = judge.judge(items)
    expected = ["correct", "wrong", "empty_both", "no_sql", "error", "refused", "timeout", "too_large"]
    assert [verdict.status for verdict in verdicts] == [*expected, "gold_failed", "wrong"]
    assert [verdict.ex_strict for verdict in verdicts] == [True, False, True] + [False] * 7


def test_a_gold_gets_ten_times_the_deadline_of_a_prediction(example: Example) -> None:
    with Judge(Limits(deadline_s=0.05)) as judge:
        verdict = judge.judge([(replace(example, gold_sql=FOREVER), FOREVER)])[0]
        assert verdict.status == "gold_failed"
        assert verdict.execution and verdict.execution.status == "timeout"
        # stopped just before ten deadlines of 0.05 s
        assert judge.golds([replace(example, gold_sql=FOREVER)])[0].execution.seconds >= 0.45


def test_golds_held_in_memory_are_bounded(
    judge: Judge, example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluation.judge.KEPT_CELLS", 100)  # the 21 cells of each of four golds, not of five
    asked = [replace(example, gold_sql=f"SELECT count(*) + {n} FROM t") for n in range(5)]
    with Judge() as fresh:
        first, *_, last = fresh.golds(asked)
        assert fresh.golds(asked[-1:])[0] is last
        assert fresh.golds(asked[:1])[0] is not first
        assert fresh.golds(asked[:1])[0].execution.rows == first.execution.rows


def test_a_gold_of_chance_runs_again_with_each_batch(judge: Judge, example: Example) -> None:
    chance = replace(example, gold_sql="SELECT random() FROM t LIMIT 1")
    assert judge.golds([chance])[0].execution.rows != judge.golds([chance])[0].execution.rows
    assert judge.golds([example])[0] is judge.golds([example])[0]
