import json
from pathlib import Path

import pytest

from evaluation import execute, score
from evaluation.metrics import wilson_interval
from tests.bench.fuzz import make_victim

GOLDS = ["SELECT count(*) FROM t", "SELECT name FROM t WHERE id < 3", "SELECT v FROM u WHERE id = 1"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make_victim(tmp_path / "victim.sqlite")
    rows = [
        {"id": f"q{n}", "db_id": "victim", "question": "?", "sql": sql, "hardness": "easy"}
        for n, sql in enumerate(GOLDS)
    ]
    (tmp_path / "dev.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def command(data: Path, predictions: str, name: str = "p.jsonl", workers: int = 1) -> int:
    (data / name).write_text(predictions)
    arguments = ["--benchmark", "own", "--data", data, "--predictions", data / name, "--out", data / "out"]
    return score.main([*map(str, arguments), "--workers", str(workers)])


def test_scores_and_verdicts_are_written_in_split_order(data: Path) -> None:
    lines = [
        {"id": "q2", "sql": "SELECT 0.5"},
        {"id": "q0", "sql": GOLDS[0]},
        {"id": "q1", "sql": "SELECT\tname\nFROM t WHERE id<3"},
    ]
    assert command(data, "\n".join(map(json.dumps, lines)), workers=2) == 0
    verdicts = [json.loads(line) for line in (data / "out" / "verdicts.jsonl").read_text().splitlines()]
    assert [(row["id"], row["status"], row["ex_strict"]) for row in verdicts] == [
        ("q0", "correct", 1),
        ("q1", "correct", 1),
        ("q2", "wrong", 0),
    ]
    scores = json.loads((data / "out" / "scores.json").read_text())
    assert scores["ex_strict"]["all"]["value"] == pytest.approx(2 / 3)
    assert scores["ex_strict"]["by_hardness"]["easy"]["n"] == 3


def test_right_answers_without_a_row_are_shown_apart(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": f"q{n}", "db_id": "victim", "question": "?", "sql": sql} for n, sql in enumerate(GOLDS)]
    rows[2]["sql"] = "SELECT v FROM u WHERE id = -1"
    (data / "dev.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert command(data, f"{GOLDS[0]}\n{GOLDS[0]}\nSELECT v FROM u WHERE id = -2\n", "p.sql") == 0
    scores = json.loads((data / "out" / "scores.json").read_text())
    assert scores["status"] == {"correct": 1, "wrong": 1, "empty_both": 1}
    assert (scores["empty_both"]["correct"], scores["empty_both"]["n"], scores["empty_both"]["value"]) == (1, 2, 0.5)
    assert "right with no row on both sides: 1 of 2" in capsys.readouterr().out


def test_columns_in_another_order_count_for_ex_any_alone(data: Path) -> None:
    rows = [{"id": "q0", "db_id": "victim", "question": "?", "sql": "SELECT id, name FROM t WHERE id < 3"}]
    (data / "dev.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert command(data, "SELECT name, id FROM t WHERE id < 3\n", "p.sql") == 0
    row = json.loads((data / "out" / "verdicts.jsonl").read_text())
    assert (row["ex_strict"], row["ex_any"], row["ex_spider"], row["status"]) == (0, 1, 1, "reordered")


def test_a_verdict_says_what_was_asked_what_was_answered_and_why_it_failed(data: Path) -> None:
    assert command(data, f"{GOLDS[0]}\nSELECT nam FROM t\n{GOLDS[2]}\n", "p.sql") == 0
    rows = [json.loads(line) for line in (data / "out" / "verdicts.jsonl").read_text().splitlines()]
    wanted = {"id": "q1", "db_id": "victim", "question": "?", "gold": GOLDS[1], "sql": "SELECT nam FROM t"}
    assert rows[1] | wanted == rows[1]
    assert "no such column: nam" in rows[1]["error"] and rows[0]["error"] == ""


def test_a_text_file_has_a_query_per_line_and_an_empty_line_is_no_prediction(data: Path) -> None:
    assert command(data, f"{GOLDS[0]}\n\n{GOLDS[2]}\n", "p.sql") == 0
    assert json.loads((data / "out" / "scores.json").read_text())["status"] == {"correct": 2, "no_sql": 1}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.sql", "SELECT 1\nSELECT 2\n", "must have 3 lines, one per question in split order; it has 2"),
        ("p.jsonl", '{"id": "q0", "sql": ""}\n{"id": "q9", "sql": ""}', "not in the split (its first is 'q0'): q9"),
        ("p.jsonl", '{"id": "q0", "sql": ""}\n{"id": "q0", "sql": ""}', "more than once: q0"),
        ("p.jsonl", '{"id": "q0", "sql": ""}', "2 of 3 questions have no prediction: q1, q2"),
        ("p.jsonl", '{"id": "q0", "sql": ""}\n{"id', "line 2, column 2: malformed JSON"),
        ("p.jsonl", '{"id": "q0", "sql": 5}', 'prediction 1: must be an object {"id": …, "sql": "…"}'),
    ],
)
def test_a_bad_prediction_file_is_one_message_and_nothing_is_written(
    data: Path, name: str, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(data, text, name) == 2
    assert message in capsys.readouterr().err
    assert not (data / "out").exists()


def test_one_bad_line_never_loses_the_others(data: Path) -> None:
    hostile = ["SELECT '" + "x" * 10_000_000 + "'", "SELECT '\ud800'", GOLDS[2]]
    lines = [json.dumps({"id": f"q{n}", "sql": sql}) for n, sql in enumerate(hostile)]
    assert command(data, "\n".join(lines)) == 0
    assert json.loads((data / "out" / "scores.json").read_text())["status"] == {"correct": 1, "error": 1, "refused": 1}


def test_statements_in_answers_out_one_line_each(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        '{"id": 1, "sql": "SELECT count(*) FROM t"}',
        '{"id": 2, "sql": ["PRAGMA query_only=0", "SELECT 1"]}',
        '{"id": 3',
        '{"id": 4, "sql": "SELECT X\'00ff\', 1e999, name FROM t WHERE id = 3000"}',
    ]
    (data / "statements.jsonl").write_text("\n".join(lines))
    with (data / "statements.jsonl").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert execute.main(["--db", str(data / "victim.sqlite")]) == 1  # not every statement ran
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["id"] for answer in answers] == [1, 2, None, 4]
    assert [answer["status"] for answer in answers] == ["ok", "refused", "error", "ok"]
    assert answers[0]["rows"] == [[2001]]
    assert answers[0]["tables_read"] == ["t"]
    assert answers[3]["rows"] == [[{"hex": "00ff"}, {"real": "inf"}, "a\udcffb"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("as_list", [False, True])
def test_statements_may_be_a_list_and_have_a_byte_order_mark(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], encoding: str, as_list: bool
) -> None:
    rows = [{"id": 1, "sql": "SELECT 'é'"}, {"id": 2, "sql": "SELECT 2"}]
    text = json.dumps(rows, indent=1, ensure_ascii=False) if as_list else "\n".join(map(json.dumps, rows))
    (data / "statements.jsonl").write_text(text, encoding=encoding)
    with (data / "statements.jsonl").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert execute.main(["--db", str(data / "victim.sqlite")]) == 0
    assert [json.loads(line)["rows"] for line in capsys.readouterr().out.splitlines()] == [[["é"]], [[2]]]


def test_the_interval_is_wilsons() -> None:
    # 8 of 10, z = 1.96: centre (0.8 + 0.19207) / 1.38415 = 0.71675, half 0.22665
    assert wilson_interval(8, 10) == pytest.approx((0.49016, 0.94332), abs=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)
