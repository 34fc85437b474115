"""Prediction files in the forms that benchmarks publish, and text in the encodings that name themselves."""

import codecs
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from evaluation.benchmarks import Example, Split, load_examples
from evaluation.errors import UserError
from evaluation.predictions import read_predictions
from evaluation.text_files import read_records, read_text

TAB = "\t----- bird -----\t"
SQL = ["SELECT 1", "SELECT a,\tb FROM t", "SELECT 3"]
DATABASES = ["shop", "shop", "zoo"]


def split_of(ids=("0", "1", "2"), kept=(0, 1, 2)) -> Split:
    examples = [Example(name, db, "?", "", "", "", "") for name, db in zip(ids, DATABASES, strict=True)]
    return Split(tuple(examples[i] for i in kept), tuple(kept), tuple(zip(ids, DATABASES, strict=True)))


def read(tmp_path: Path, content: str | bytes, name: str = "p.json", split: Split | None = None) -> list[str]:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_predictions(path, split or split_of())


def column(sql: list[str]) -> str:
    return "".join(f"{query}\t{db}\n" for query, db in zip(sql, DATABASES, strict=True))


@pytest.mark.parametrize("name", ["p.txt", "p.sql", "p.tsv"])
def test_spiders_second_column_is_left_out(tmp_path, name):
    assert read(tmp_path, column(SQL), name) == SQL
    assert read(tmp_path, column(SQL).replace("\n", "\r\n") + "\r\n\r\n", name) == SQL
    assert read(tmp_path, column(["", *SQL[1:]]), name) == ["", *SQL[1:]]
    assert read(tmp_path, "\n".join(SQL), name) == SQL


def test_a_tab_before_a_word_that_is_a_database_stays_in_a_file_without_a_second_column(tmp_path):
    sql = ["SELECT 1", "SELECT *\tFROM\tshop", "SELECT 3"]
    assert read(tmp_path, "\n".join(sql), "p.sql") == sql


def test_a_shifted_file_is_refused_by_its_database(tmp_path):
    with pytest.raises(UserError, match="p.txt, line 2: the query is for the database 'zoo', the question for 'shop'"):
        read(tmp_path, "SELECT 1\tshop\nSELECT 2\tzoo\nSELECT 3\tshop\n", "p.txt")
    with pytest.raises(UserError, match="'1': the query is for the database 'zoo', the question for 'shop'"):
        read(tmp_path, json.dumps({"0": f"SELECT 1{TAB}shop", "1": f"SELECT 2{TAB}zoo", "2": f"SELECT 3{TAB}zoo"}))


@pytest.mark.parametrize("indent", [None, 4])
@pytest.mark.parametrize("ids", [("0", "1", "2"), ("1471", "1472", "2"), ("dev-0", "dev-1", "dev-2")])
def test_birds_form_goes_by_id_or_by_place(tmp_path, ids, indent):
    answers = {str(place): f"{sql}{TAB}{db}" for place, (sql, db) in enumerate(zip(SQL, DATABASES, strict=True))}
    backwards = dict(reversed(answers.items()))
    assert read(tmp_path, json.dumps(backwards, indent=indent), split=split_of(ids)) == SQL
    by_id = dict(zip(ids, answers.values(), strict=True))
    assert read(tmp_path, json.dumps(by_id, indent=indent), "p.jsonl", split_of(ids)) == SQL


def test_where_bird_has_a_number_there_is_no_query(tmp_path):
    assert read(tmp_path, json.dumps({"0": 0, "1": None, "2": f"SELECT 3{TAB}zoo"})) == ["", "", "SELECT 3"]


@pytest.mark.parametrize("key", ["id", "question_id", "qid"])
@pytest.mark.parametrize("query", ["sql", "SQL", "query", "predicted_sql", "pred", "prediction"])
def test_objects_come_as_a_list_or_as_lines_under_any_name_of_the_file(tmp_path, key, query):
    rows = [{key: place, query: sql} for place, sql in enumerate(SQL)][::-1]
    lines = "\r\n".join(map(json.dumps, rows))
    for text in (json.dumps(rows), json.dumps(rows, indent=2), lines, "\n\n" + lines + "\n\n"):
        assert read(tmp_path, text, "p.json") == read(tmp_path, text, "p.jsonl") == read(tmp_path, text, "p.txt") == SQL


def test_the_prediction_counts_where_an_object_holds_the_gold_too(tmp_path):
    rows = [{"query": "SELECT 'gold'", "sql": {"from": []}, "predicted_sql": sql} for sql in SQL]
    assert read(tmp_path, json.dumps(rows)) == SQL
    assert read(tmp_path, json.dumps(SQL)) == SQL
    assert read(tmp_path, json.dumps([SQL[0], None, SQL[2]])) == [SQL[0], "", SQL[2]]


@pytest.mark.parametrize("name, text", [("p.txt", column(SQL)), ("p.json", json.dumps(dict(enumerate(SQL))))])
def test_questions_without_a_database_may_be_in_the_file(tmp_path, name, text):
    assert read(tmp_path, text, name, split_of(kept=(0, 2))) == [SQL[0], SQL[2]]


@pytest.mark.parametrize(
    "text, says",
    [
        ('{"0": "SELECT 1", "0": "SELECT 2", "1": ""}', "more than once: 0"),
        ('{"0": ["SELECT 1"]}', "prediction of '0' must be a text"),
        ('{"0": "SELECT 1"}', "2 of 3 questions have no prediction: 1, 2"),
        ('["SELECT 1"]', "must have 3 predictions.* it has 1"),
        ('[{"id": 0, "sql": ""}, "SELECT 1"]', "either every prediction or none must name its question"),
        ('[{"id": 0}]', 'prediction 1: must be an object.*write "sql": ""'),
        ("[[1]]", "prediction 1: must be an object"),
        ("[", "line 1, column 2: malformed JSON"),
        ("", "must have 3 predictions"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, says):
    with pytest.raises(UserError, match=says):
        read(tmp_path, text)


ENCODED = {
    "utf-8": lambda text: codecs.BOM_UTF8 + text.encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16-be": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "utf-32": lambda text: text.encode("utf-32"),
}


@pytest.mark.parametrize("encode", ENCODED.values(), ids=ENCODED)
def test_a_byte_order_mark_is_no_text(tmp_path, encode):
    sql = ["SELECT 'é'", *SQL[1:]]
    assert read(tmp_path, encode("\n".join(sql)), "p.sql") == sql
    assert read(tmp_path, encode(json.dumps(sql, ensure_ascii=False))) == sql
    (tmp_path / "q.jsonl").write_bytes(encode('{"question": "é"}\n{"question": "?"}'))
    assert read_records(tmp_path / "q.jsonl") == [{"question": "é"}, {"question": "?"}]


def test_text_in_no_encoding_names_the_byte(tmp_path):
    (tmp_path / "x").write_bytes(b"SELECT '\xe9'")
    with pytest.raises(UserError, match="x must be UTF-8 text; byte 8 is not"):
        read_text(tmp_path / "x")
    (tmp_path / "x").write_bytes(b"\xff\xfeS")
    with pytest.raises(UserError, match="x must be UTF-16 text; byte"):
        read_text(tmp_path / "x")


def test_questions_with_a_mark_as_a_list_where_lines_are_expected(tmp_path):
    rows = [{"db_id": "shop", "question": "How many?", "sql": "SELECT count(*) FROM t"}] * 2
    (tmp_path / "dev.jsonl").write_bytes(codecs.BOM_UTF8 + json.dumps(rows, indent=1).encode())
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as connection:
        connection.execute("CREATE TABLE t (a)")
    assert [e.question for e in load_examples("own", "dev", tmp_path)] == ["How many?"] * 2


def test_published_files_are_read(cases_dir, tmp_path):
    gold = (cases_dir / "spider_gold_as_predictions.txt").read_text().splitlines()
    queries = [line.split("\t")[0] for line in gold]
    examples = tuple(Example(f"q{n}", "concert_singer", "?", "", "", "", "") for n in range(len(gold)))
    split = Split(examples, tuple(range(len(gold))), tuple((example.id, "concert_singer") for example in examples))
    assert read_predictions(cases_dir / "spider_gold_as_predictions.txt", split) == queries

    heroes = tuple(Example(str(n), "superhero", "?", "", "", "", "") for n in range(2))
    split = Split(heroes, (0, 1), (("0", "superhero"), ("1", "superhero")))
    assert read_predictions(cases_dir / "bird_predict_dev.json", split) == [
        "SELECT count(*) FROM superhero",
        "SELECT superhero_name FROM superhero LIMIT 1",
    ]
    assert read_records(cases_dir / "bom.jsonl")[0]["question"] == "How many?"
