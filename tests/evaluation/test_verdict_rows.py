# ruff: noqa: F811
import json
from pathlib import Path

from tests.evaluation.test_score import GOLDS, command, data  # noqa: F401


def test_a_verdict_says_what_was_asked_what_was_answered_and_why_it_failed(data: Path) -> None:
    assert command(data, f"{GOLDS[0]}\nSELECT nam FROM t\n{GOLDS[2]}\n", "p.sql") == 0
    rows = [json.loads(line) for line in (data / "out" / "verdicts.jsonl").read_text().splitlines()]
    wanted = {"id": "q1", "db_id": "victim", "question": "?", "gold": GOLDS[1], "sql": "SELECT nam FROM t"}
    assert rows[1] | wanted == rows[1]
    assert "no such column: nam" in rows[1]["error"] and rows[0]["error"] == ""
