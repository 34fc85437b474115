"""A user's database as a dataset: pairs, proposals, and the split."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from evaluation.benchmarks import Example
from evaluation.check_data import check
from evaluation.errors import UserError
from evaluation.own.describe import described
from evaluation.own.pairs import Pairs, checked_pairs
from evaluation.own.propose import SYNTHETIC, proposed
from evaluation.own.split import split, structure
from graph.introspect import schema_from_sqlite
from graph.schema import Schema

SHOP = Path(__file__).resolve().parents[2] / "docs" / "shop" / "shop.sqlite"


def shop() -> Schema:
    return schema_from_sqlite(SHOP)


def read(*files: Path) -> Pairs:
    return checked_pairs(files, "shop", str(SHOP))


def database(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


@pytest.mark.parametrize(
    "name, text",
    [
        ("a.csv", 'question,query\n"How many, in all?",SELECT COUNT(*) FROM orders\n'),
        ("b.csv", '\ufeffQuestion;SQL Query\r\n"How many, in all?";SELECT COUNT(*) FROM orders\r\n'),
        ("c.tsv", "utterance\tgold_sql\nHow many, in all?\tSELECT COUNT(*) FROM orders\n"),
        ("d.json", '[{"question": "How many, in all?", "SQL": "SELECT COUNT(*) FROM orders", "db_id": "store"}]'),
        ("f.json", '[{"question": "How many, in all?", "query": "SELECT COUNT(*) FROM orders", "sql": {"from": {}}}]'),
        ("e.jsonl", '{"nl": "How many, in all?", "sql": "SELECT COUNT(*) FROM orders", "database": ""}\n'),
    ],
)
def test_pairs_are_read_from_files_as_they_are(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    (pair,) = read(tmp_path / name).kept
    assert (pair.question, pair.gold_sql) == ("How many, in all?", "SELECT COUNT(*) FROM orders")
    assert (pair.db_id, pair.database, pair.hardness) == ("shop", str(SHOP), "given")


def test_each_bad_pair_is_named_by_its_line_and_the_good_ones_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    rows = [
        "question,sql",
        "How many?,SELECT COUNT(*) FROM orders",
        '"Two\nlines?",SELECT name FROM customers',  # lines 3 and 4
        "Wrong column?,SELECT nam FROM customers",
        "One cell",
        "Delete?,DELETE FROM orders",
        ",SELECT 1",
        "How many?,SELECT COUNT(*) FROM orders",
        "Random?,SELECT name FROM customers ORDER BY random() LIMIT 1",
        "None?,SELECT name FROM customers WHERE city = 'Rom'",
    ]
    file.write_text("\n".join(rows))
    found = read(file)
    assert [pair.question for pair in found.kept] == ["How many?", "Two\nlines?", "None?"]
    told = {fault.where.removeprefix(f"{file}, line "): fault.why for fault in found.faults}
    assert told.keys() == {"5", "6", "7", "8", "9", "10"}
    assert (told["5"], told["6"]) == ("no such column: nam", "must have 2 cells, has 1")
    assert told["7"].startswith("not allowed") and told["8"] == "question or SQL is empty"
    assert (told["9"], told["10"]) == ("the same pair stands above", "returns other rows each time")
    assert [str(fault) for fault in found.weak] == [f"{file}, line 11: returns no row"]


def test_pairs_of_which_none_runs_are_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text("question,sql\nHow many?,SELECT COUNT(*) FROM singer\nWho?,SELECT name FROM band\n")
    with pytest.raises(
        UserError, match=r"none of the 2 pairs .* another database\?\): .*line 2: no such table: singer"
    ):
        read(file)
    file.write_text("Frage,Abfrage\nWie viele?,SELECT 1\n")
    with pytest.raises(UserError, match="line 2: 'question' must be a text, got None; it has Frage, Abfrage; known: "):
        read(file)
    file.write_text("question,sql\n")
    with pytest.raises(UserError, match="holds none"):
        read(file)


def test_of_pairs_about_several_databases_those_of_this_one_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    sql = "SELECT COUNT(*) FROM orders"
    file.write_text("".join(json.dumps({"question": f"{d}?", "sql": sql, "db_id": d}) + "\n" for d in ("shop", "bank")))
    found = read(file)
    assert ([pair.question for pair in found.kept], found.faults, found.elsewhere) == (["shop?"], (), 1)
    file.write_text("".join(json.dumps({"question": f"{d}?", "sql": sql, "db_id": d}) + "\n" for d in ("zoo", "bank")))
    with pytest.raises(UserError, match=r"none of the 2 pairs in .* is about .*: they name the databases zoo, bank"):
        read(file)


def test_queries_that_differ_in_values_aliases_and_spelling_have_one_structure() -> None:
    same = [
        "SELECT c.name FROM orders AS o JOIN customers AS c ON o.customer_id = c.customer_id WHERE o.status = 'open'",
        'select T2.NAME from Orders T1 join customers T2 on T1.customer_id=T2.customer_id where T1.status="shipped" ;',
    ]
    assert len({structure(sql, shop()) for sql in same}) == 1
    others = ["SELECT name FROM customers", "SELECT city FROM customers", "SELECT name FROM customers LIMIT 3"]
    assert len({structure(sql, shop()) for sql in (*same, *others)}) == 4


def test_no_structure_is_on_both_sides_and_added_questions_move_none() -> None:
    examples = [
        Example(f"{column}{value}", "shop", "?", "", f"SELECT {column} FROM orders WHERE order_id > {value}", "", "")
        for column in ("order_id", "customer_id", "ordered_on", "shipped_on", "status", '"shipping fee"')
        for value in (1, 2, 3)
    ]
    train, dev = split(examples, shop())
    assert train and dev and len(train) + len(dev) == len(examples)
    assert not {structure(e.gold_sql, shop()) for e in train} & {structure(e.gold_sql, shop()) for e in dev}
    more = [Example("n", "shop", "?", "", f"SELECT name FROM customers WHERE city = '{c}'", "", "") for c in "abc"]
    longer = split([*more, *reversed(examples)], shop())
    assert {e.id for e in dev} == {e.id for e in longer[1]} - {"n"}
    assert split(more, shop())[1] == []  # a single structure is not cut


@pytest.fixture(scope="module")
def proposals() -> list[Example]:
    return proposed(str(SHOP), shop(), 60)


def test_proposals_run_say_something_and_are_the_same_each_time(proposals: list[Example]) -> None:
    assert len(proposals) == 60 and {example.hardness for example in proposals} == {SYNTHETIC}
    assert check(proposals) == []
    assert proposed(str(SHOP), shop(), 60) == proposals


def test_proposals_are_of_many_kinds_and_join_along_foreign_keys(proposals: list[Example]) -> None:
    queries = [example.gold_sql for example in proposals]
    words = (
        "COUNT(",
        "AVG(",
        "GROUP BY",
        "HAVING",
        "ORDER BY",
        "LIMIT",
        "DISTINCT",
        " JOIN ",
        "WHERE",
        "NOT IN",
        "IS N",
    )
    assert [word for word in words if not any(word in sql for sql in queries)] == []
    joined = {part.split(" WHERE ")[0].split(" JOIN ")[0] for sql in queries for part in sql.split(" ON ")[1:]}
    keys = {
        side
        for key in shop().foreign_keys
        for ends in [(f"{key.table}.{key.columns[0]}", f"{key.parent}.{key.parent_columns[0]}")]
        for side in (" = ".join(ends), " = ".join(reversed(ends)))
    }
    assert joined and all(part.replace('"', "").startswith(tuple(keys)) for part in joined)


def test_keys_codes_and_numbers_of_lines_are_not_asked_for() -> None:
    domain, _ = described(str(SHOP), shop())
    lines, orders = domain.table('"order lines"'), domain.table("orders")
    assert lines.bridge and [c.name for c in lines.columns if c.kind == "number"] == [
        "quantity", "unit_price", "discount_percent",
    ]  # fmt: skip
    assert {c.name: c.kind for c in orders.columns} == {
        "order_id": "id", "customer_id": "fk", "ordered_on": "date", "shipped_on": "date", "status": "category",
        '"shipping fee"': "number",
    }  # fmt: skip
    assert "parent_id" not in {c.name for c in domain.table("categories").columns}
    supplier = domain.table("suppliers").columns[-1]
    assert (supplier.name, supplier.words, supplier.unit) == ('"Lead Time (days)"', ("lead time",), "days")


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE t (a)",
        "CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)",
        "CREATE TABLE t (a, b); INSERT INTO t VALUES (x'00', NULL)",
        "CREATE TABLE t (a REAL); INSERT INTO t VALUES (9e999), (1)",
        "CREATE VIEW v AS SELECT 1 AS a; CREATE TABLE t (a)",
        'CREATE TABLE "" ("" TEXT, "1" TEXT); INSERT INTO "" VALUES (\'x\', \'y\')',
        "CREATE TABLE a (x REFERENCES b(y), y); CREATE TABLE b (x REFERENCES a(y), y); INSERT INTO a VALUES (1, 1)",
    ],
)
def test_a_database_with_little_to_ask_for_gives_few_questions_and_no_error(tmp_path: Path, script: str) -> None:
    path = database(tmp_path / "poor.sqlite", script)
    assert check(proposed(str(path), schema_from_sqlite(path), 5)) == []


def test_a_database_without_any_declared_key_is_asked_about_too(tmp_path: Path) -> None:
    script = """CREATE TABLE films (film_id INTEGER, title TEXT, year INTEGER, studio TEXT);
    CREATE TABLE roles (film_id INTEGER, actor TEXT, pay REAL);"""
    films = [(i, f"Film {i}", 1990 + i % 7, ("Alba", "Nero")[i % 2]) for i in range(1, 31)]
    roles = [(i % 30 + 1, f"Actor {i % 12}", 100.5 * i) for i in range(1, 90)]
    path = database(tmp_path / "films.sqlite", script)
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany("INSERT INTO films VALUES (?, ?, ?, ?)", films)
        connection.executemany("INSERT INTO roles VALUES (?, ?, ?)", roles)
        connection.commit()
    found = proposed(str(path), schema_from_sqlite(path), 60)
    assert len(found) > 40 and not any("rowid" in example.gold_sql for example in found)
    assert any("JOIN roles ON roles.film_id = films.film_id" in example.gold_sql for example in found)
