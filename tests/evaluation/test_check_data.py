import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from evaluation import check_data
from evaluation.benchmarks import load_examples
from evaluation.errors import UserError
from tests.bench.fuzz import make_victim

# v of u is id / 2; n of t is id % 7, so that many rows tie
GOLDS = {
    "fine": "SELECT count(*) FROM t",
    "fails": "SELECT nope FROM t",
    "floods": "SELECT a.id FROM t a, u b",
    "empty": "SELECT name FROM t WHERE id = -1",
    "nulls": "SELECT max(name) FROM t WHERE id = -1",
    "constant": "SELECT 1",
    "chance": "SELECT id FROM t ORDER BY random() LIMIT 1",
    "today": "SELECT count(*) FROM t WHERE name > date('now')",
    "today in double quotes": 'SELECT count(*) FROM t WHERE name > date("now")',
    "today without a time": "SELECT strftime('%Y') FROM t",
    "today in a view": "SELECT count(*) FROM recent",
    "current date": "SELECT count(*) FROM t WHERE name > CURRENT_DATE",
    "computed today": "SELECT count(*) FROM t WHERE name > datetime(lower('NO') || 'w', '-1 year')",
    "zero": "SELECT count(*) FROM t WHERE id = -1",
    "a day": "SELECT id, strftime('%Y', '2020-01-02'), 'now' FROM t WHERE id = 1",
    "date": "SELECT date(name) FROM t WHERE id = 1 OR 1",
    "tied": "SELECT name FROM t ORDER BY n LIMIT 1",
    "tied_alike": "SELECT n FROM t ORDER BY n DESC LIMIT 1",
    "untied": "SELECT id FROM t ORDER BY id DESC LIMIT 3",
    "inner": "SELECT count(*) FROM u WHERE t_id IN (SELECT id FROM t ORDER BY n LIMIT 1)",
}


def test_every_kind_of_weak_gold_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_victim(tmp_path / "victim.sqlite")
    with closing(sqlite3.connect(tmp_path / "victim.sqlite")) as connection:
        connection.execute("CREATE VIEW recent AS SELECT * FROM t WHERE unixepoch() > id")
        connection.commit()
    rows = [{"id": name, "db_id": "victim", "question": "?", "sql": sql} for name, sql in GOLDS.items()]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = tmp_path / "problems.jsonl"
    assert check_data.main(["--benchmark", "own", "--data", str(tmp_path), "--out", str(out)]) == 0
    found = {row["id"]: row for row in map(json.loads, out.read_text().splitlines())}
    assert {name: row["problems"] for name, row in found.items()} == {
        "fails": ["failed"],
        "floods": ["too_large"],
        "empty": ["empty", "blind"],
        "nulls": ["nulls", "blind"],
        "zero": ["blind"],
        "constant": ["no_table"],
        "chance": ["chance", "open"],
        "today": ["time"],
        "today in double quotes": ["time"],
        "today without a time": ["time"],
        "today in a view": ["time"],
        "current date": ["time"],
        "computed today": ["time"],
        "date": ["nulls"],
        "tied": ["tied"],
        "inner": ["open"],
    }
    assert [name for name, row in found.items() if row["action"] == "drop"] == ["fails", "floods", "constant", "chance"]
    assert "20 golds, 4 without a problem" in capsys.readouterr().out
    examples = load_examples("own", "train", tmp_path)
    assert check_data.read_actions(out, examples)["tied"] == "down_weight"
    with pytest.raises(UserError, match="line 1: must name one of the 1 questions"):
        check_data.read_actions(out, [e for e in examples if e.id == "fine"])


def test_a_gold_that_answers_zero_is_blind_on_spider(spider_dir: Path) -> None:
    examples = [e for e in load_examples("spider", "train", spider_dir) if e.id == "train-00705"]
    assert [row["problems"] for row in check_data.check(examples)] == [["blind"]]
