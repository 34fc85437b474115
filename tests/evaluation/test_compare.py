import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from evaluation.benchmarks import Example
from evaluation.compare import Row, covers, same_answer, same_bag
from evaluation.databases.sandbox import Execution, Limits
from evaluation.judge import Judge
from evaluation.ordering import is_ordered, keyed_query

SCRIPT = """
CREATE TABLE singer (id INTEGER PRIMARY KEY, name TEXT, country TEXT, age INTEGER, height REAL);
INSERT INTO singer VALUES (1,'Joe','US',52,1.8),(2,'Tim','US',32,1.7),(3,'Ann','FR',29,1.7),(4,'Bo','FR',29,NULL),
 (5,'Cy','FR',41,1.6),(6,'Di','PE',29,1.6);
"""


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(Limits(deadline_s=2.0)) as judge:
        yield judge


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("singers") / "singers.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCRIPT)
    return str(path)


def ran(*rows: Row, columns: int = 0, tables: tuple[str, ...] = ("t",)) -> Execution:
    return Execution("ok", rows, tuple("c" * (columns or len(rows[0]))), tables)


@pytest.mark.parametrize(
    ("gold", "prediction", "same"),
    [
        ("SELECT name FROM singer", "SELECT name FROM singer ORDER BY age", True),
        ("SELECT name FROM singer ORDER BY age", "SELECT name FROM singer ORDER BY age DESC", False),
        # 29, 29, 29 tie: Ann, Bo and Di may come in any order, but before Tim
        ("SELECT name FROM singer ORDER BY age", "SELECT name FROM singer ORDER BY age, name DESC", True),
        ("SELECT name FROM singer ORDER BY age LIMIT 1", "SELECT name FROM singer WHERE name = 'Di'", True),
        ("SELECT name FROM singer ORDER BY age LIMIT 1", "SELECT name FROM singer WHERE name = 'Tim'", False),
        ("SELECT name FROM singer ORDER BY age LIMIT 2", "SELECT name FROM singer WHERE name IN ('Di', 'Bo')", True),
        (
            "SELECT name FROM singer ORDER BY age LIMIT 2 OFFSET 2",
            "SELECT name FROM singer WHERE name IN ('Di', 'Tim')",
            False,
        ),
        (
            "SELECT name FROM singer ORDER BY age LIMIT 2 OFFSET 2",
            "SELECT name FROM singer WHERE name IN ('Di', 'Tim') ORDER BY age",
            True,
        ),
        # US 2, FR 3, PE 1
        (
            "SELECT country FROM singer GROUP BY country ORDER BY count(*) DESC LIMIT 1",
            "SELECT DISTINCT country FROM singer WHERE country = 'FR'",
            True,
        ),
        ("SELECT * FROM singer ORDER BY 2 LIMIT 1", "SELECT * FROM singer WHERE id = 3", True),
        ("SELECT * FROM singer ORDER BY 2 LIMIT 1", "SELECT * FROM singer WHERE id = 4", False),
        ("SELECT name FROM (SELECT name FROM singer ORDER BY age)", "SELECT name FROM singer ORDER BY id DESC", True),
        ("SELECT name AS 'order by' FROM singer", "SELECT name FROM singer ORDER BY id DESC", True),
        ("SELECT country FROM singer", "SELECT DISTINCT country FROM singer", False),
        ("SELECT name, age FROM singer", "SELECT age, name FROM singer", False),
        ("SELECT age FROM singer WHERE id = 1", "SELECT age * 1.0 FROM singer WHERE id = 1", True),
        ("SELECT age FROM singer WHERE id = 1", "SELECT CAST(age AS TEXT) FROM singer WHERE id = 1", False),
        ("SELECT avg(height) FROM singer", "SELECT sum(height) / count(height) + 4e-16 FROM singer", True),
        ("SELECT count(*) FROM singer", "SELECT 6", False),
        ("SELECT name FROM singer WHERE age > 99", "SELECT country FROM singer WHERE age > 98", True),
        ("SELECT name FROM singer WHERE age > 99", "SELECT name, age FROM singer WHERE age > 99", False),
        ("SELECT name FROM singer WHERE age > 99", "SELECT 1 LIMIT 0", False),
        ("SELECT name FROM singer WHERE age > 99", "-- nothing", False),
        ("SELECT name FROM singer WHERE age > 99", "", False),
    ],
)
def test_ex_strict_is_what_its_docstring_says(
    judge: Judge, database: str, gold: str, prediction: str, same: bool
) -> None:
    example = Example("1", "singers", "", "", gold, database, "")
    assert judge.judge([(example, prediction)])[0].ex_strict is same
    assert judge.judge([(example, gold)])[0].ex_strict


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ([(1,)], [(1.0,)], True),
        ([(1,)], [("1",)], False),
        ([(None,)], [("",)], False),
        ([("a",)], [(b"a",)], False),
        ([(1_000_000,)], [(1_000_001,)], False),  # whole numbers agree exactly
        ([(2**53 + 1,)], [(float(2**53),)], False),
        ([(0.1 + 0.2,)], [(0.3,)], True),
        ([(sum([0.1] * 10),)], [(1,)], True),
        ([(1 / 3 * 1e6,)], [(1 / 3 * 1e6 * (1 + 5e-10),)], True),
        ([(1 / 3 * 1e6,)], [(1 / 3 * 1e6 * (1 + 2e-9),)], False),
        ([(0.1 + 0.2 - 0.3,)], [(0,)], True),  # 5.6e-17 is what is left of a sum that is nothing
        ([(2.5,)], [(2.500000001,)], False),  # two decimals are what they are
        ([(1_000_000,)], [(1_000_000.0001,)], False),
        ([(float("inf"),)], [(float("inf"),)], True),
        ([(0.1 + 0.2, "b"), (0.3, "a")], [(0.3, "b"), (0.1 + 0.2, "a")], True),
        ([(0.1 + 0.2, 5), (0.3, 7)], [(0.3, 5), (0.1 + 0.2, 7)], True),
        ([("a", 1.5), ("a", 1.5), ("b", 1.5)], [("a", 1.5), ("b", 1.5), ("b", 1.5)], False),
    ],
)
def test_rows_pair_off_within_their_kind(left: list[Row], right: list[Row], same: bool) -> None:
    assert same_bag(left, right) is same
    assert same_bag(right, left) is same


def test_near_numbers_are_matched_when_sorting_pairs_them_wrongly() -> None:
    # In units of a third: sorted by the first number, (1 + 4e-10, 9) and (1 + 4e-10, 1) stand against (1, 1) and
    # (1 + 8e-10, 9), and only crosswise do the second numbers agree.
    third = 1 / 3
    left = [(third * (1 + 4e-10), 9.0), (third * (1 + 4e-10), 1.0)]
    assert same_bag(left, [(third, 1.0), (third * (1 + 8e-10), 9.0)])
    assert not same_bag(left, [(third, 1.0), (third * (1 + 1e-8), 9.0)])


def test_some_rows_are_covered_by_more_rows_only_once_each() -> None:
    assert covers([(1,), (1,), (2,)], [(1,), (2,)])
    assert not covers([(1,), (2,), (2,)], [(1,), (1,)])


def test_ten_equal_columns_and_many_near_rows_take_no_time() -> None:
    rows = [tuple((row * column) % 2 + 1 / 3 + 1e-14 * row for column in range(10)) for row in range(3000)]
    assert same_bag(rows, [tuple(cell + 1e-14 for cell in row) for row in reversed(rows)])


def test_a_prediction_that_read_no_table_is_never_right() -> None:
    assert same_answer("SELECT count(*) FROM t", ran((3,)), ran((3,)))
    assert not same_answer("SELECT count(*) FROM t", ran((3,)), ran((3,), tables=()))


def test_the_order_is_read_from_the_outermost_query() -> None:
    assert is_ordered("SELECT a FROM t ORDER  BY a")
    assert is_ordered("SELECT a FROM t UNION SELECT b FROM u ORDER BY 1")
    assert not is_ordered("SELECT a FROM t WHERE a IN (SELECT b FROM u ORDER BY b LIMIT 1)")
    assert not is_ordered("SELECT 'order by' FROM t")
    assert keyed_query("SELECT a FROM t UNION SELECT b FROM u ORDER BY a + 1") is None  # to show it changes the rows
