from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import lru_cache
from pathlib import Path

import pytest
from xgrammar import Grammar
from xgrammar.testing import _get_matcher_from_grammar

from evaluation.benchmarks import load_examples
from graph.grammar import MOST_NAMES, grammar
from graph.introspect import schema_of
from graph.schema import Column, Schema, Table

SHOP = schema_of(
    'CREATE TABLE city (id INTEGER PRIMARY KEY, name TEXT, "zip code" TEXT);'
    'CREATE TABLE "order" (id INTEGER, city_id INTEGER REFERENCES city, "group" TEXT, paid REAL);'
)


@lru_cache
def rules(schema: Schema) -> Grammar:
    return Grammar.from_ebnf(grammar(schema))


def accepts(schema: Schema, sql: str) -> bool:
    matcher = _get_matcher_from_grammar(rules(schema))
    return bool(matcher.accept_string(sql)) and matcher.is_completed()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT name FROM city",
        "select DISTINCT Name, count(*) AS many from CITY as c where c.ID >= 3 and name LIKE '%a''b%' group by name",
        'SELECT "zip code" FROM city ORDER BY id DESC LIMIT 3 OFFSET 1;',
        "SELECT T1.name FROM city AS T1 JOIN `order` AS T2 ON T1.id = T2.city_id WHERE T2.`group` IS NOT NULL",
        'SELECT name FROM city WHERE id IN (SELECT city_id FROM "order") UNION SELECT "group" FROM "order"',
        "SELECT CASE WHEN id > 1 THEN 'x' ELSE round(id * 1.5, 2) END, CAST(id AS TEXT) FROM city WHERE name = 'Rome'",
        'SELECT name FROM city WHERE NOT EXISTS (SELECT * FROM "order" WHERE paid BETWEEN -1 AND 2)',
        "SELECT avg(n) FROM (SELECT count(*) AS n FROM city GROUP BY name)",
    ],
)
def test_queries_with_the_names_of_the_schema_are_accepted(sql: str) -> None:
    assert accepts(SHOP, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT town FROM city",
        "SELECT name FROM cities",
        "SELECT paid FROM city",  # a column of another table, where one is asked
        "SELECT city.paid FROM city JOIN `order`",
        "SELECT T1.town FROM city AS T1 JOIN `order` AS T2",
        "SELECT group FROM `order`",  # a keyword, unless it is quoted
        "SELECT zip code FROM city",
        "DELETE FROM city",
        "SELECT name FROM city; DROP TABLE city",
        "PRAGMA table_info(city)",
        "SELECT name FROM city WHERE",
        "SELECT load_extension('x') FROM city",
        "the query is SELECT name FROM city",
        "",
    ],
)
def test_other_statements_and_names_that_the_schema_does_not_have_are_not(sql: str) -> None:
    assert not accepts(SHOP, sql)


def test_a_name_of_any_characters_is_one_literal() -> None:
    odd = 'a"b`c\\d\né'
    schema = Schema("s", (Table("t", (Column(odd, "TEXT"),)),))
    doubled = odd.replace('"', '""')
    assert accepts(schema, f'SELECT "{doubled}" FROM t')
    with closing(sqlite3.connect(":memory:")) as connection:  # as SQLite reads it
        connection.execute(f'CREATE TABLE t ("{doubled}")')
        assert connection.execute(f'SELECT "{doubled}" FROM t').description[0][0] == odd


def test_a_schema_without_tables_or_with_too_many_names_has_none() -> None:
    assert grammar(Schema("s", ())) == ""
    wide = Table("t", tuple(Column(f"c{n}", "INT") for n in range(MOST_NAMES)))
    assert grammar(Schema("s", (wide,))) == ""


@pytest.mark.parametrize("benchmark", ["tiny", "spider"])
def test_golds_are_queries_that_the_grammar_of_their_schema_accepts(benchmark: str, spider_dir: Path) -> None:
    data = spider_dir if benchmark == "spider" else None
    examples = load_examples(benchmark, "dev", data)[::40]
    accepted = [accepts(schema_of(example.database), example.gold_sql) for example in examples]
    assert sum(accepted) >= 0.95 * len(examples) > 0
