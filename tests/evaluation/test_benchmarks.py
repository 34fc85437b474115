import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from evaluation.benchmarks import load_examples, load_split
from evaluation.databases.files import build_database
from evaluation.errors import UserError
from tests.bench.fuzz import make_victim

QUESTION = {"db_id": "victim", "question": "How many?", "query": "SELECT count(*) FROM t"}


def spider_folder(root: Path, questions: list[dict[str, Any]]) -> Path:
    (root / "database" / "victim").mkdir(parents=True)
    make_victim(root / "database" / "victim" / "victim.sqlite")
    (root / "dev.json").write_text(json.dumps(questions))
    return root


def test_a_question_without_database_is_dropped_counted_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = spider_folder(tmp_path, [QUESTION, {**QUESTION, "db_id": "gone"}, QUESTION])
    with caplog.at_level(logging.WARNING):
        split = load_split("spider", "dev", data)
    assert [example.id for example in split.examples] == ["dev-00000", "dev-00002"]
    assert (split.positions, split.total, split.dropped) == ((0, 2), 3, 1)
    assert "dropped 1 of 3 questions, no database for gone" in caplog.text


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ([{**QUESTION, "db_id": "gone"}], "no question has a database"),
        ([{**QUESTION, "db_id": "../victim"}], "question 1: db_id must be a plain name"),
        ([{**QUESTION, "db_id": 5}], "question 1: db_id must be a non-empty text, got 5"),
        ([{"db_id": "victim", "question": "?"}], "question 1: 'query' must be a text, got None"),
        ([], "holds no questions"),
        ([5], "question 1: must be a JSON object, got 5"),
    ],
)
def test_impossible_questions_are_named(tmp_path: Path, questions: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_examples("spider", "dev", spider_folder(tmp_path, questions))


def test_malformed_json_is_named_with_its_line(tmp_path: Path) -> None:
    data = spider_folder(tmp_path, [])
    (data / "dev.json").write_text('[\n {"db_id": "victim",\n  "question" "?"}]')
    with pytest.raises(UserError, match=r"dev\.json, line 3, column 14: malformed JSON"):
        load_examples("spider", "dev", data)


def test_a_database_that_is_not_sqlite_is_named(tmp_path: Path) -> None:
    data = spider_folder(tmp_path, [QUESTION])
    (data / "database" / "victim" / "victim.sqlite").write_text("hello")
    with pytest.raises(UserError, match=r"victim\.sqlite is not an SQLite 3 file"):
        load_examples("spider", "dev", data)


def test_a_missing_or_empty_data_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_examples("bird", "dev", tmp_path / "none")
    with pytest.raises(UserError, match="is empty"):
        load_examples("bird", "dev", tmp_path)
    with pytest.raises(UserError, match="pass --data DIR"):
        load_examples("spider", "dev", None)
    with pytest.raises(UserError, match="splits train, dev, not 'test'"):
        load_examples("tiny", "test")


def test_own_databases_need_a_folder_of_files_and_a_jsonl(tmp_path: Path) -> None:
    make_victim(tmp_path / "victim.sqlite")
    (tmp_path / "dev.jsonl").write_text(json.dumps({"id": 7, "db_id": "victim", "question": "?", "sql": "SELECT 1"}))
    (example,) = load_examples("own", "dev", tmp_path)
    assert (example.id, example.gold_sql, example.database) == ("7", "SELECT 1", str(tmp_path / "victim.sqlite"))


def test_a_bundled_script_is_built_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLSQL_CACHE", str(tmp_path / "cache"))
    script = tmp_path / "shop.sql"
    script.write_text("CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    first = build_database(script)
    built = first.stat().st_mtime_ns
    assert build_database(script) == first
    assert first.stat().st_mtime_ns == built
    script.write_text("CREATE TABLE t (a); INSERT INTO t VALUES (2);")
    assert build_database(script) != first
    script.write_text("CREATE TABLE t (a); nonsense;")
    with pytest.raises(UserError, match="not a valid SQLite script"):
        build_database(script)
    assert len(list((tmp_path / "cache").rglob("*.sqlite"))) == 2
    shutil.rmtree(tmp_path / "cache")


def test_real_spider_has_its_published_sizes(spider_dir: Path) -> None:
    assert len(load_examples("spider", "dev", spider_dir)) == 1034
    assert load_split("spider", "train", spider_dir).total == 7000
