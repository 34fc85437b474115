import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from rl.choices import main


def shop(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "goods.sqlite")) as connection:
        connection.execute("CREATE TABLE goods (id INTEGER PRIMARY KEY, name TEXT, price INT, weight INT)")
        cells = [(n, f"good {n}", 10 * n, 100 + n) for n in range(1, 21)]
        connection.executemany("INSERT INTO goods VALUES (?, ?, ?, ?)", cells)
        connection.commit()
    gold = "SELECT name FROM goods ORDER BY price DESC LIMIT 1"
    lines = [{"id": name, "db_id": "goods", "question": "?", "sql": gold} for name in ("a", "b")]
    (folder / "dev.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return ["--benchmark", "own", "--data", str(folder), "--predictions", str(folder / "p.jsonl")]


def test_choices_are_measured_between_greedy_and_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROLLSQL_CACHE", str(tmp_path / "cache"))
    asked, gold = shop(tmp_path), "SELECT name FROM goods ORDER BY price DESC LIMIT 1"
    lucky, wrong = "SELECT name FROM goods ORDER BY weight DESC LIMIT 1", "SELECT name FROM goods WHERE id = 1"
    rows = [
        # by results on the database alone the lucky one votes with gold; on instances it stands alone
        {"id": "a", "sql": "", "greedy": wrong, "samples": [gold, gold, lucky], "log_probs": [-1, -1, -1, -1]},
        {"id": "b", "sql": wrong, "samples": [wrong, gold, "SELECT oops"], "log_probs": [-1, -1, -1, -1]},
    ]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert main([*asked, "--out", str(tmp_path / "found.json")]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["greedy"], found["best"]) == (0.0, 1.0)
    assert found["samples"] == pytest.approx(4 / 6)  # a: all three; b: one of three
    assert found["vote"]["right"] == found["vote_instances"]["right"] == found["vote"]["recovered"] == 0.5
    assert found["vote"]["calibration"] == [[0.5, 0.75, 1, 0.0], [0.75, 1.0, 1, 1.0]]  # b: 2 of 4; a: 3 of 4
    assert found["vote_instances"]["calibration"] == [[0.5, 0.75, 2, 0.5]]  # both 2 of 4
    said = capsys.readouterr().out
    assert "2 questions, 4 candidates each" in said and "50% of the gap to the best" in said


def test_predictions_without_candidates_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = shop(tmp_path)
    (tmp_path / "p.jsonl").write_text(json.dumps({"id": "a", "sql": "SELECT 1"}))
    assert main(asked) == 2
    assert "must have a row with samples for question a" in capsys.readouterr().err
