import json
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
    "today": "SELECT count(*) FROM t WHERE name < date('now')",
    "date": "SELECT date(name) FROM t WHERE id = 1 OR 1",
    "tied": "SELECT name FROM t ORDER BY n LIMIT 1",
    "tied_alike": "SELECT n FROM t ORDER BY n LIMIT 1",
    "untied": "SELECT id FROM t ORDER BY id DESC LIMIT 3",
    "inner": "SELECT count(*) FROM u WHERE t_id IN (SELECT id FROM t ORDER BY n LIMIT 1)",
}


def test_every_kind_of_weak_gold_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_victim(tmp_path / "victim.sqlite")
    rows = [{"id": name, "db_id": "victim", "question": "?", "sql": sql} for name, sql in GOLDS.items()]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = tmp_path / "problems.jsonl"
    assert check_data.main(["--benchmark", "own", "--data", str(tmp_path), "--out", str(out)]) == 0
    found = {row["id"]: row for row in map(json.loads, out.read_text().splitlines())}
    assert {name: row["problems"] for name, row in found.items()} == {
        "fails": ["failed"],
        "floods": ["too_large"],
        "empty": ["empty"],
        "nulls": ["nulls"],
        "constant": ["no_table"],
        "chance": ["chance"],
        "today": ["time"],
        "date": ["nulls"],
        "tied": ["tied"],
        "inner": ["inner_limit"],
    }
    assert [name for name, row in found.items() if row["action"] == "drop"] == ["fails", "floods", "constant", "chance"]
    assert "13 golds, 3 without a problem" in capsys.readouterr().out
    examples = load_examples("own", "train", tmp_path)
    assert check_data.read_actions(out, examples)["tied"] == "down_weight"
    with pytest.raises(UserError, match="line 1: must name one of the 1 questions"):
        check_data.read_actions(out, [e for e in examples if e.id == "fine"])
