"""Rows side by side, and queries clause by clause."""

from evaluation.differing import Line, shortened, side_by_side
from evaluation.sql_diff import LONGEST, clauses, compare_sql

ANY, ORDERED = "SELECT a FROM t", "SELECT a FROM t ORDER BY a"


def test_rows_are_paired_by_value_whatever_their_order_and_number() -> None:
    # gold's second 1 has no partner; the answer's 3 is its own
    assert side_by_side(ANY, [(1,), (1,), (2,)], [(2,), (3,), (1.0,)]) == [
        Line(0, 2, True), Line(1, None, False), Line(2, 0, True), Line(None, 1, False),
    ]  # fmt: skip


def test_text_is_no_number_and_null_no_text() -> None:
    assert not any(line.same for line in side_by_side(ANY, [("1",), (None,), (b"a",)], [(1,), ("",), ("a",)]))


def test_floating_noise_does_not_differ() -> None:
    assert side_by_side(ANY, [(0.3,)], [(0.1 + 0.2,)]) == [Line(0, 0, True)]


def test_the_same_rows_in_another_order_differ_where_gold_orders_them() -> None:
    lines = side_by_side(ORDERED, [(1,), (2,), (3,)], [(1,), (3,), (2,)])
    assert lines == [Line(0, 0, True), Line(1, 1, False), Line(2, 2, False)]
    assert side_by_side(ORDERED, [(1,), (2,)], [(2,)]) == [Line(0, None, False), Line(1, 0, True)]


def test_of_many_lines_those_that_differ_are_kept() -> None:
    gold = [(n,) for n in range(1000)]
    lines = shortened(side_by_side(ANY, gold, gold[:500] + gold[501:]), 10)
    assert len(lines) == 10 and Line(500, None, False) in lines and lines[0].gold == 0


def marked(gold: str, answer: str) -> dict[str, tuple[list[str], list[str]]]:
    """Clause -> the words that differ."""
    found = compare_sql(gold, answer)
    sides = {c.name: tuple([w.text for w in side if not w.same] for side in (c.gold, c.answer)) for c in found}
    return {name: (gold, answer) for name, (gold, answer) in sides.items() if gold or answer}


def test_case_aliases_and_qualifiers_of_one_table_are_no_difference() -> None:
    assert marked("SELECT Name FROM Singer WHERE Age > 20", "select s.name from singer s where s.age > 20") == {}
    joined = "SELECT T1.a FROM x AS T1 JOIN y AS T2 ON T1.i = T2.i"
    assert marked(joined, "SELECT x.a FROM x JOIN y ON x.i = y.i") == {}
    assert marked(joined, "SELECT y.a FROM x JOIN y ON x.i = y.i") == {"SELECT": (["T1"], ["y"])}


def test_what_differs_is_marked_in_its_clause_and_texts_keep_their_case() -> None:
    assert marked("SELECT a FROM t WHERE b = 'X' GROUP BY a", "SELECT a FROM t WHERE b = 'x' LIMIT 3") == {
        "WHERE": (["'X'"], ["'x'"]),
        "GROUP BY": (["GROUP BY", "a"], []),
        "LIMIT": ([], ["LIMIT", "3"]),
    }
    assert marked("SELECT 'a'", "SELECT a") == {"SELECT": (["'a'"], ["a"])}


def test_clauses_of_subqueries_stay_inside_and_set_operations_begin_anew() -> None:
    names = list(clauses("SELECT a FROM (SELECT b FROM t WHERE c) UNION SELECT d FROM u ORDER BY 1"))
    assert names == [("SELECT", 0), ("FROM", 0), ("UNION", 1), ("SELECT", 1), ("FROM", 1), ("ORDER BY", 1)]


def test_text_is_kept_whole_even_where_it_is_no_sql() -> None:
    for sql in ("SELECT 'open", "", "\x00\udcff", "DROP  TABLE\n t -- why", "SELECT a, /* c */ b FROM t;", "((((("):
        shown = "".join(word.before + word.text for words in clauses(sql).values() for word in words)
        assert shown.split() == sql.split() or "".join(shown.split()) == "".join(sql.split())
    [*_, last] = [word for words in clauses("SELECT 1 " * LONGEST).values() for word in words]
    assert "more characters" in last.text
