"""What right answers cost SQLite: the same numbers every time, and nothing for wrong ones."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.benchmarks import Example
from evaluation.databases.effort import efficiency
from evaluation.databases.sandbox import Execution, Limits, Sandbox
from evaluation.judge import Judge
from evaluation.score import main
from rl.reward import RewardConfig, RewardWorker, group_rewards

ROWS = 1000
GOLD = "SELECT name FROM item WHERE id = 7"
DEAR = "SELECT x.name FROM item AS x, item AS y WHERE x.id = 7 AND y.id = 7 + 0 * y.price"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("shop") / "shop.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price INTEGER)")
        database.executemany("INSERT INTO item (name, price) VALUES (?, ?)", [(f"n{i}", i % 10) for i in range(ROWS)])
        database.execute("INSERT INTO item (id, name, price) VALUES (5000, CAST(X'ff41' AS TEXT), 1)")
        database.commit()
    return str(path)


@pytest.fixture(scope="module")
def measured() -> Iterator[Sandbox]:
    with Sandbox(Limits(effort=True, cache_bytes=0)) as sandbox:
        yield sandbox


def cost(measured: Sandbox, shop: str, sql: str) -> tuple[int, int]:
    (found,) = measured.execute([(shop, sql)])
    assert found.status == "ok", found.error
    return found.steps, found.burden


def test_a_scan_takes_three_steps_a_row_every_time_and_a_lookup_next_to_none(measured: Sandbox, shop: str) -> None:
    # Column, ResultRow and Next for each of 1,001 rows, and a few around them
    scans = {cost(measured, shop, "SELECT price FROM item") for _ in range(3)}
    assert len(scans) == 1 and scans.pop() == (pytest.approx(3 * (ROWS + 1), abs=20), 2)
    steps, burden = cost(measured, shop, GOLD)
    assert steps <= 20 and burden == 1


@pytest.mark.parametrize(("sql", "burden"), [
    ("SELECT count(*) FROM item", 2),
    ("SELECT name FROM item ORDER BY price", 3),  # scan, sort
    ("SELECT x.name FROM item AS x JOIN item AS y ON x.price = y.price", 3),  # scan, automatic index
    ("SELECT name FROM item AS x WHERE price < (SELECT avg(price) FROM item AS y WHERE y.id = x.id)", 3),
    ("SELECT price FROM item UNION SELECT id FROM item", 4),  # two scans, one temporary B-tree
])  # fmt: skip
def test_the_burden_is_what_the_plan_scans_builds_and_repeats(
    measured: Sandbox, shop: str, sql: str, burden: int
) -> None:
    assert cost(measured, shop, sql)[1] == burden


def test_a_long_query_runs_once_and_text_that_is_not_utf8_is_counted_once(measured: Sandbox, shop: str) -> None:
    steps, _ = cost(measured, shop, "SELECT count(*) FROM item AS x, item AS y WHERE x.price + y.price = 3")
    assert steps % 4000 == 0 and steps > 4 * ROWS**2
    odd = cost(measured, shop, "SELECT name FROM item ORDER BY id")[0]
    assert odd == pytest.approx(cost(measured, shop, "SELECT price FROM item ORDER BY id")[0], abs=20)


def test_what_reads_no_table_or_fails_has_no_cost_and_answers_are_as_without(measured: Sandbox, shop: str) -> None:
    queries = ["SELECT 1", "SELECT nam FROM item", f"EXPLAIN {GOLD}", GOLD, f"{GOLD} -- done"]
    queries += ["WITH item AS (SELECT 1) SELECT count(*) FROM item", "SELECT name, count(*) FROM item GROUP BY price"]
    with Sandbox(Limits()) as plain:
        for sql, one, other in zip(
            queries, *(s.execute([(shop, sql) for sql in queries]) for s in (measured, plain)), strict=True
        ):
            assert replace(one, seconds=0, steps=0, burden=0) == replace(other, seconds=0), sql
            assert bool(one.burden) == bool(one.tables_read) and not other.burden and not other.steps


def of(steps: int, burden: int) -> Execution:
    return Execution("ok", steps=steps, burden=burden)


def test_efficiency_by_hand() -> None:
    gold = of(1000, 2)
    assert efficiency(gold, of(1000, 2)) == efficiency(gold, of(10, 1)) == 1.0  # no bonus for less than gold
    assert efficiency(gold, of(4000, 2)) == 0.5  # √(1/4 · 1)
    assert efficiency(gold, of(4000, 8)) == 0.25  # √(1/4 · 1/4)
    assert efficiency(of(0, 1), of(10, 1)) == 1.0  # below what can be told apart
    assert efficiency(gold, of(0, 0)) == efficiency(of(0, 0), gold) == 0.0  # not measured


def test_right_answers_are_told_apart_by_their_cost_and_a_cheap_wrong_one_has_none(shop: str) -> None:
    example = Example("q", "shop", "Which item has the number 7?", "", GOLD, shop, "")
    worker = RewardWorker(2.0, RewardConfig(efficiency=0.5).parts)
    found = [worker.judge(example, sql) for sql in (GOLD, DEAR, "SELECT name FROM item WHERE id = 8", "SELECT nam")]
    worker.close()
    assert [one.verdict for one in found] == ["correct", "correct", "wrong", "error"]
    same, dear, wrong, broken = (one.parts["efficiency"] for one in found)
    assert same == 1.0 and 0 < dear < 0.2 and wrong == broken == 0.0
    values = [reward.value for reward in group_rewards(found, RewardConfig(efficiency=0.5))]
    assert values == [1.5, pytest.approx(1 + 0.5 * dear), 0.0, 0.0]


def test_an_answer_that_is_right_by_luck_or_is_not_measured_has_no_efficiency(shop: str, tmp_path: Path) -> None:
    other = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(shop)) as source, closing(sqlite3.connect(other)) as copy:
        source.backup(copy)
        copy.execute("UPDATE item SET name = 'new' WHERE id = 7")
        copy.commit()
    example = Example("q", "shop", "Which item has the number 7?", "", GOLD, shop, "")
    lucky = "SELECT name FROM item WHERE name = 'n6'"
    for effort, expected in ((True, [1.0, 0.0]), (False, [0.0, 0.0])):
        with Judge(Limits(effort=effort), instances={shop: (str(other),)}) as judge:
            found = judge.judge([(example, GOLD), (example, lucky)])
        assert [one.status for one in found] == ["correct", "lucky"]
        assert [one.efficiency for one in found] == expected


@pytest.mark.slow
def test_the_report_has_it_beside_r_ves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from evaluation.benchmarks import load_examples

    dev = load_examples("tiny", "dev")
    lines = [json.dumps({"id": e.id, "sql": e.gold_sql if i % 2 else "SELECT 1"}) for i, e in enumerate(dev)]
    (tmp_path / "p.jsonl").write_text("\n".join(lines) + "\n")
    command = ["--benchmark", "tiny", "--split", "dev", "--predictions", str(tmp_path / "p.jsonl")]
    assert main([*command, "--out", str(tmp_path / "out"), "--ruler", "efficiency"]) == 0
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert scores["efficiency"]["all"] == {"value": pytest.approx(scores["ex_strict"]["all"]["value"]), "n": len(dev)}
    assert "efficiency" in capsys.readouterr().out
