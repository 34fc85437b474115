"""Golds in one spelling are taught only where they are seen to give the same answer."""

import sqlite3
from contextlib import closing
from pathlib import Path

from evaluation.benchmarks import Example
from graph.introspect import schema_from_sqlite
from sft.spelling import respelled


def test_a_gold_is_respelled_where_both_spellings_give_the_same_rows_and_kept_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE TABLE Item (Name TEXT, price REAL); INSERT INTO Item VALUES ('tea', 3)")
        database.commit()
    golds = ['select  name from item where NAME = "tea"', "SELECT name FROM Item WHERE price > 9", "SELECT a FROM gone"]
    examples = [Example(str(n), "shop", "?", "", gold, str(path), "") for n, gold in enumerate(golds)]
    found, kept = respelled(examples, lambda database: schema_from_sqlite(Path(database)))
    assert [example.gold_sql for example in found] == [
        "SELECT Name FROM Item WHERE Name = 'tea'",
        "SELECT Name FROM Item WHERE price > 9",  # both find nothing
        "SELECT a FROM gone",
    ]
    assert kept == 1
