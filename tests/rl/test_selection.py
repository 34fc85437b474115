from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from evaluation.databases.sandbox import Execution, Request
from evaluation.errors import UserError
from rl.selection import Chosen, Selection, Selector, Signature, canonical, choose, signature, threshold


@dataclass(frozen=True)
class One:
    sql: str
    log_prob: float = -1.0
    tokens: int = 1


def rows(*cells: object) -> Execution:
    return Execution("ok", tuple((cell,) for cell in cells), ("c",), ("t",))


ERROR = Execution("error", error="no such column")


def chosen(*found: tuple[One, Execution]) -> tuple[str, float]:
    candidates = [one for one, _ in found]
    signatures = [signature(one.sql, [execution]) for one, execution in found]
    result = choose(candidates, signatures)
    return candidates[result.place].sql, result.confidence


def test_the_result_that_most_candidates_return_wins_whatever_their_texts() -> None:
    a, b, c = One("SELECT a FROM t"), One("SELECT b FROM t"), One("SELECT b + 0 FROM t")
    assert chosen((a, rows(1)), (b, rows(2)), (c, rows(2))) == ("SELECT b FROM t", 2 / 3)


def test_errors_do_not_vote_and_empty_results_do() -> None:
    bad, empty, full = One("SELECT x FROM t"), One("SELECT a FROM t WHERE 0"), One("SELECT a FROM t")
    assert chosen((bad, ERROR), (bad, ERROR), (bad, ERROR), (full, rows(1))) == ("SELECT a FROM t", 1 / 4)
    assert chosen((full, rows(1)), (empty, rows()), (empty, rows())) == ("SELECT a FROM t WHERE 0", 2 / 3)


def test_instances_part_what_the_database_alone_does_not() -> None:
    lucky, right, other = One("SELECT a FROM t"), One("SELECT b FROM t"), One("SELECT b + 0 FROM t")
    found: list[tuple[One, list[Execution]]] = [
        (lucky, [rows(1), rows(5)]),
        (right, [rows(1), rows(6)]),
        (other, [rows(1), rows(6)]),
    ]
    signatures = [signature(one.sql, executions) for one, executions in found]
    assert choose([one for one, _ in found], signatures).place == 1
    assert signature("SELECT 1", [rows(1), ERROR]) is not None and signature("SELECT 1", [ERROR, rows(1)]) is None


def test_ties_go_to_probability_then_greedy_then_tables_then_length() -> None:
    short, long = One("SELECT a FROM t"), One("SELECT b FROM t WHERE b = 1")
    likely = One("SELECT b FROM t WHERE b = 1", log_prob=-0.5)
    assert chosen((short, rows(1)), (likely, rows(2)))[0] == likely.sql
    assert chosen((long, rows(2)), (short, rows(1)))[0] == long.sql  # greedy
    failed, joined = One("SELECT x", log_prob=0.0), One("SELECT a FROM t, u")
    assert chosen((failed, ERROR), (joined, rows(2)), (long, rows(1)))[0] == long.sql
    assert chosen((failed, ERROR), (long, rows(2)), (short, rows(1)))[0] == short.sql


def test_nothing_runs_then_the_text_of_most_and_without_any_the_greedy_one() -> None:
    a, b, b2 = One("SELECT a FROM u", log_prob=-0.1), One("SELECT b FROM u"), One("select b  from u;")
    assert chosen((a, ERROR), (b, ERROR), (b2, ERROR)) == ("SELECT b FROM u", 0.0)
    assert choose([One(""), One("")], [None, None]).place == 0


def test_the_order_of_the_samples_does_not_matter() -> None:
    found = [(One("SELECT a FROM t"), rows(1)), (One("SELECT b FROM t"), rows(2)), (One("SELECT c FROM t"), rows(3))]
    greedy = (One("SELECT x FROM t", -9.0), ERROR)
    assert {chosen(greedy, *found)[0], chosen(greedy, *reversed(found))[0]} == {"SELECT a FROM t"}


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (signature("SELECT a FROM t", [rows(1, 2)]), signature("SELECT a FROM t", [rows(2, 1)]), True),
        (signature("SELECT a FROM t ORDER BY a", [rows(1, 2)]), signature("SELECT a FROM t", [rows(1, 2)]), False),
        (signature("SELECT 1", [rows(0.1 + 0.2)]), signature("SELECT 1", [rows(0.3)]), True),
        (signature("SELECT 1", [rows(1)]), signature("SELECT 1", [rows(1.0)]), True),
        (signature("SELECT 1", [rows("1")]), signature("SELECT 1", [rows(1)]), False),
        (signature("SELECT 1", [rows(None)]), signature("SELECT 1", [rows()]), False),
        (signature("SELECT 1", [rows(1, 1)]), signature("SELECT 1", [rows(1)]), False),
    ],
)
def test_results_are_told_apart_as_the_comparison_does(left: Signature, right: Signature, same: bool) -> None:
    assert (left == right) is same


def test_texts_that_mean_one_query_are_one() -> None:
    assert canonical("select  A from T;") == canonical("SELECT A\nFROM T -- all")
    assert canonical("SELECT a FROM t") != canonical("SELECT b FROM t")
    assert canonical("not  SQL (") == "not SQL ("


def test_a_selector_runs_each_query_once_and_looks_at_instances_only_where_they_vote() -> None:
    asked: list[Request] = []

    def execute(requests: Sequence[Request]) -> list[Execution]:
        asked.extend(requests)
        return [ERROR if "x" in sql else rows(int(file == "other") if "b" in sql else 0) for file, sql in requests]

    selector = Selector(execute, {"own": ("other",)})
    found = [One("SELECT x"), One("SELECT a"), One("SELECT b", -0.5), One("SELECT b", -0.5), One("")]
    choice, executions = selector.choose("own", found, "vote")
    assert (choice, [one.status for one in executions]) == (Chosen(2, 0.6), ["error", "ok", "ok", "ok", "error"])
    assert asked == [("own", "SELECT x"), ("own", "SELECT a"), ("own", "SELECT b")]
    assert selector.choose("own", found, "vote_instances")[0] == Chosen(2, 0.4, second=1)  # a and b part there
    assert selector.choose("own", found, "greedy")[0].place == 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"select": "vote"}, "at least 2 candidates to choose among, got 1"),
        ({"candidates": 3, "abstain_below": 0.5}, "a greedy answer has no confidence"),
    ],
)
def test_a_selection_that_cannot_be_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        Selection(**given)


def test_a_threshold_keeps_the_answers_that_are_right_often_enough() -> None:
    assert threshold([1.0, 0.5, 0.5], [True, True, False], 0.6) == 0.5
    assert threshold([1.0, 0.5], [False, True], 0.9) > 1
