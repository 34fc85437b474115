from time import process_time

from evaluation.rulers.exact_match import MatchSchema, em_spider, hardness, same_columns
from evaluation.rulers.spider_execution import rewrite, same_denotation
from evaluation.rulers.spider_sql import tokenize

NAMES = {"singer": ("id", "name", "country", "age"), "concert": ("id", "singer_id", "year")}
SCHEMA = MatchSchema(NAMES, {"__concert.singer_id__": "__singer.id__", "__singer.id__": "__singer.id__"})


def test_the_executed_query_is_the_first_statement_without_distinct() -> None:
    assert rewrite("SELECT DISTINCT(a) FROM t; SELECT 2") == "SELECT (a) FROM t;"
    assert rewrite("SELECT 'distinct', \"Distinct\", distinct_id FROM t") == (
        "SELECT 'distinct', \"Distinct\", distinct_id FROM t"
    )
    assert rewrite("SELECT a -- distinct; b\nFROM t WHERE c ! = 1") == "SELECT a -- distinct; b\nFROM t WHERE c != 1"
    assert rewrite("SELECT f(';', (SELECT 1;2)) FROM t") == "SELECT f(';', (SELECT 1;2)) FROM t"
    assert rewrite("SELECT year( curdate() ) - 1") == "SELECT 2020- 1"


def test_a_long_query_is_rewritten_in_linear_time() -> None:
    began = process_time()
    for piece in ("/*", "'\\'", '"\\"', "(", "''", "'\"", "[", "a b", "year ( ", "\\'"):
        text = piece * (200_000 // len(piece))
        assert rewrite("SELECT 1 " + text) == "SELECT 1 " + text
    assert process_time() - began < 10
    assert rewrite("SELECT '/* DISTINCT \"x\" ; SELECT 2") == "SELECT '/*  \"x\" ;"


def test_columns_may_be_permuted_but_rows_must_stay_together() -> None:
    gold = [(1, "a"), (2, "b")]
    assert same_denotation(gold, [("b", 2), ("a", 1)], ordered=False)
    assert not same_denotation(gold, [("b", 2), ("a", 1)], ordered=True)
    assert not same_denotation(gold, [("b", 1), ("a", 2)], ordered=False)
    assert not same_denotation([(1, 1), (2, 2)], [(1, 1), (1, 2)], ordered=False)


def test_a_permutation_among_thirty_equal_columns_is_found_at_once() -> None:
    rows = [tuple((row >> column % 3) % 2 for column in range(30)) for row in range(8)]
    assert same_denotation(rows, [tuple(reversed(row)) for row in rows], ordered=False)


def test_tokens_are_split_as_the_official_reader_splits_them() -> None:
    assert tokenize("SELECT count(*) FROM t WHERE a='x y' AND b >= 1,5;") == (
        ["select", "count", "(", "*", ")", "from", "t", "where", "a=__val_0__", "and", "b", ">=", "1,5", ";"]
    )
    assert tokenize("a ='x' != 3") == ["a", "=", "'x'".replace("'", '"'), "!=", "3"]


def test_exact_match_ignores_values_order_of_parts_and_linked_columns() -> None:
    gold = (
        "SELECT T1.name FROM singer AS T1 JOIN concert AS T2 ON T1.id = T2.singer_id WHERE T1.age > 3 AND T2.year = 1"
    )
    same = "SELECT T1.name FROM concert AS T2 JOIN singer AS T1 ON T2.id = T1.id WHERE T2.year = 2 AND T1.age > 4"
    assert em_spider(gold, same, SCHEMA)
    assert not em_spider(gold, same.replace("AND", "OR"), SCHEMA)
    assert em_spider("SELECT id FROM singer", "SELECT DISTINCT id FROM singer )", SCHEMA)
    assert not em_spider("SELECT id FROM singer", "SELECT id FROM singer LIMIT 3", SCHEMA)
    assert not em_spider("SELECT id FROM singer", "SELECT singer_id FROM concert", SCHEMA)
    assert not em_spider("SELECT id FROM singer", "SELECT id AS x FROM singer", SCHEMA)
    linked = "SELECT T{}.{} FROM singer AS T1 JOIN concert AS T2 ON T1.id = T2.singer_id"
    assert em_spider(linked.format(1, "id"), linked.format(2, "singer_id"), SCHEMA)


def test_a_nested_query_is_compared_with_its_distinct() -> None:
    gold = "SELECT name FROM singer WHERE id NOT IN (SELECT singer_id FROM concert)"
    assert em_spider(gold, gold, SCHEMA)
    assert not em_spider(gold, gold.replace("SELECT singer_id", "SELECT DISTINCT singer_id"), SCHEMA)


def test_hardness_counts_clauses_nesting_and_parts() -> None:
    assert hardness("SELECT name FROM singer WHERE age > 3", SCHEMA) == "easy"
    assert hardness("SELECT name, age FROM singer WHERE age > 3", SCHEMA) == "medium"
    assert hardness("SELECT name FROM singer WHERE id IN (SELECT singer_id FROM concert)", SCHEMA) == "hard"
    assert hardness("SELECT a FROM nowhere", SCHEMA) == ""


def test_foreign_key_sets_grow_but_never_merge() -> None:
    # (0, 1) and (2, 3) are two sets; (1, 3) joins the first that holds one of its columns
    assert same_columns("abcd", [(0, 1), (2, 3), (1, 3)]) == {"a": "a", "b": "a", "c": "c", "d": "c"}
