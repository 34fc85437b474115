import pytest

from evaluation.databases.sandbox import Execution
from evaluation.judge import Verdict
from evaluation.taxonomy import error_class, first_difference

GOLD = (
    "SELECT T1.name, count(*) FROM singer AS T1 JOIN concert AS T2 ON T1.id = T2.singer_id "
    "WHERE T1.age > 20 AND T2.year = 2014 GROUP BY T1.id HAVING count(*) > 1 ORDER BY T1.name LIMIT 3"
)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (("WHERE T1.age > 20 AND", "WHERE"), "wrong_filter"),
        (("T1.age > 20", "T1.age > 30"), "wrong_filter"),
        (("T1.id = T2.singer_id", "T1.id = T2.id"), "wrong_join"),
        (("JOIN concert", "LEFT JOIN concert"), "wrong_join"),
        (("JOIN concert", "JOIN festival"), "wrong_tables"),
        (("GROUP BY T1.id", "GROUP BY T1.name"), "wrong_group"),
        (("HAVING count(*) > 1", "HAVING count(*) > 2"), "wrong_having"),
        (("SELECT T1.name, count(*)", "SELECT T1.name, sum(T1.age)"), "wrong_aggregate"),
        (("SELECT T1.name, count(*)", "SELECT count(*), T1.name"), "wrong_columns"),
        (("SELECT T1.name", "SELECT DISTINCT T1.name"), "wrong_distinct"),
        (("ORDER BY T1.name", "ORDER BY T1.name DESC"), "wrong_order"),
        (("LIMIT 3", "LIMIT 1"), "wrong_limit"),
        (("LIMIT 3", "UNION SELECT 1, 2"), "wrong_set_operation"),
        (("T2.year = 2014", "T2.year = (SELECT 2014)"), "wrong_nesting"),
        (("T1.", "t1."), "wrong_other"),
    ],
)
def test_the_first_part_that_differs_names_the_mistake(change: tuple[str, str], kind: str) -> None:
    assert first_difference(GOLD, GOLD.replace(*change)) == kind


def test_aliases_case_and_sides_of_an_equation_are_no_difference() -> None:
    same = GOLD.replace("T1.id = T2.singer_id", "s.singer_id = x.ID").replace("AS T1", "AS x").replace("T2", "s")
    assert first_difference(GOLD, same.replace("T1.", "x.")) == "wrong_other"


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        (Verdict("correct", True, Execution("ok")), ""),
        (Verdict("no_sql", False, None), "no_sql"),
        (Verdict("timeout", False, Execution("timeout")), "timeout"),
        (Verdict("gold_failed", False, None), "gold_failed"),
        (Verdict("error", False, Execution("error", error="no such table: x")), "missing_table"),
        (Verdict("error", False, Execution("error", error="no such column: x")), "missing_column"),
        (Verdict("error", False, Execution("error", error='near "x": syntax error')), "parse_error"),
        (Verdict("error", False, Execution("error", error="datatype mismatch")), "other_error"),
        (Verdict("wrong", False, Execution("ok", ((1,),), ("1",))), "no_table"),
        (Verdict("wrong", False, Execution("ok", (), ("a",), ("t",))), "wrong_filter"),
    ],
)
def test_what_happened_comes_before_what_was_written(verdict: Verdict, kind: str) -> None:
    assert error_class("SELECT a FROM t WHERE b > 1", "SELECT a FROM t WHERE b > 2", verdict) == kind
