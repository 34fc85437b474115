"""`evaluation.execute`: plain SQL and JSON lines in; tables and JSON lines out; an exit code that tells."""

import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from evaluation.databases.sandbox import Execution
from evaluation.execute import main
from evaluation.row_text import described, table


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript("CREATE TABLE item(id INTEGER, name TEXT); INSERT INTO item VALUES (1, 'pen'), (2, 'a;b')")
    return str(path)


def typed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode()))))


def test_statements_given_as_arguments_are_shown_with_column_names(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--db", database, 'SELECT id, name AS "the name" FROM item']) == 0
    assert capsys.readouterr().out == "id | the name\n---+---------\n 1 | pen\n 2 | a;b\n(2 rows)\n"


@pytest.mark.parametrize(
    ("script", "code", "shown"),
    [
        ("SELECT name FROM item\nWHERE name = 'a;b';\nSELECT count(*) FROM item", 0, ["a;b", "count(*)"]),
        (
            "SELECT id FROM item; SELECT absent FROM item; SELECT name FROM item;",
            1,
            ["no such column: absent", "pen"],
        ),
        ("DELETE FROM item;", 1, ["refused: "]),
    ],
)
def test_an_sql_script_runs_statement_by_statement(
    script: str,
    code: int,
    shown: list[str],
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    typed(script, monkeypatch)
    assert main(["--db", database]) == code
    said = capsys.readouterr().out
    assert all(text in said for text in shown)


def test_json_lines_have_column_names_and_tell_by_the_exit_code_whether_all_ran(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed('\n{"id": 1, "sql": "SELECT id FROM item"}\n', monkeypatch)
    assert main(["--db", database]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["columns"], row["rows"]) == (["id"], [[1], [2]])
    typed('{"id": 1, "sql": "SELECT id FROM item"}\n{"id": 2, "sql": "SELECT x"}\n', monkeypatch)
    assert main(["--db", database]) == 1


def test_a_table_is_bounded_and_no_cell_steers_the_terminal() -> None:
    text = table(["a\x1b[2J", "b"], [("x\ny\x07" + "long" * 50, b"\x00\x01"), ("\udcff", None), ("日本", 1.5)])
    assert "\x1b" not in text and "\x07" not in text and "\\x1b[2J" in text and "x\\ny" in text
    assert "<2 bytes>" in text and "NULL" in text and max(map(len, text.splitlines())) < 60
    wide = table([f"c{n}" for n in range(60)], [tuple(range(60))])
    assert "… 40 more" in wide and "c20" not in wide
    assert described(Execution("ok", ((1,),) * 80, ("n",), truncated=True), 50).endswith(
        "(80 rows or more, the first 50 shown)"
    )
    assert described(Execution("error", error="a\nb")) == "error: a\\nb"
