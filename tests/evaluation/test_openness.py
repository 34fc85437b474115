"""What gold leaves open is not held against a prediction: it is taken, or the gold is said to be open."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from evaluation.benchmarks import Example
from evaluation.judge import Judge

SCRIPT = """
CREATE TABLE ev (id INTEGER PRIMARY KEY, label TEXT, score INTEGER, kind TEXT COLLATE NOCASE);
INSERT INTO ev VALUES (1,'a',10,'x'),(2,'b',10,'X'),(3,'c',9,'y'),(4,'d',9,'Y'),(5,'e',8,'z');
CREATE TABLE one (id INTEGER PRIMARY KEY, label TEXT, score INTEGER);
INSERT INTO one VALUES (1,'a',10),(2,'b',9),(3,'c',9);
"""


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as judge:
        yield judge


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make(tmp_path_factory.mktemp("ties") / "ties.sqlite", SCRIPT)


def make(path: Path, script: str) -> str:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return str(path)


def question(database: str, gold: str) -> Example:
    return Example("1", "ties", "", "", gold, database, "")


@pytest.mark.parametrize(
    ("gold", "prediction", "status"),
    [
        # any two rows, but of the table, and no more of them
        ("SELECT label FROM ev LIMIT 2", "SELECT label FROM ev WHERE id > 3", "correct"),
        ("SELECT label FROM ev LIMIT 2", "SELECT label FROM ev WHERE id = 3", "wrong"),
        ("SELECT label FROM ev LIMIT 2", "SELECT kind FROM ev LIMIT 2", "wrong"),
        ("SELECT label FROM ev LIMIT 2 OFFSET 2", "SELECT label FROM ev LIMIT 2", "correct"),
        ("SELECT DISTINCT score FROM ev LIMIT 2", "SELECT DISTINCT score FROM ev WHERE score < 10", "correct"),
        # limits that are expressions: of 10 10 9 9 8 the second and third
        ("SELECT label FROM ev ORDER BY score DESC LIMIT 1+0", "SELECT label FROM ev WHERE id = 2", "correct"),
        ("SELECT label FROM ev ORDER BY score DESC LIMIT 1+0", "SELECT label FROM ev WHERE id = 3", "wrong"),
        ("SELECT label FROM ev ORDER BY score DESC LIMIT (1)", "SELECT label FROM ev WHERE id = 2", "correct"),
        ("SELECT label FROM ev ORDER BY score DESC LIMIT 2 OFFSET (SELECT min(id) FROM ev)",
         "SELECT label FROM ev WHERE id IN (1, 4) ORDER BY id", "correct"),
        ("SELECT label FROM ev ORDER BY score DESC LIMIT 2 OFFSET 2 - 1",
         "SELECT label FROM ev WHERE id IN (1, 2)", "wrong"),
        # x and X are one under NOCASE, of which ORDER BY knows and Python does not
        ("SELECT id FROM ev ORDER BY kind", "SELECT id FROM ev ORDER BY kind, id DESC", "correct"),
        ("SELECT id FROM ev ORDER BY kind COLLATE BINARY", "SELECT id FROM ev ORDER BY kind", "wrong"),
        ("SELECT id FROM ev ORDER BY upper(label || 'q') COLLATE NOCASE DESC", "SELECT id FROM ev ORDER BY 1 DESC",
         "correct"),
        # distinct rows in the order of a hidden column, where each has one place, and where it has several
        ("SELECT DISTINCT label FROM ev ORDER BY score DESC", "SELECT label FROM ev ORDER BY score DESC, id DESC",
         "correct"),
        ("SELECT DISTINCT label FROM ev ORDER BY score DESC", "SELECT label FROM ev ORDER BY score", "wrong"),
        ("SELECT DISTINCT id > 1 FROM ev ORDER BY label DESC", "SELECT DISTINCT id > 1 FROM ev ORDER BY id", "open"),
        # inside: one of two best, and the one worst
        ("SELECT * FROM (SELECT label FROM ev ORDER BY score DESC LIMIT 1)", "SELECT 'b' FROM ev LIMIT 1", "open"),
        ("SELECT * FROM (SELECT label FROM ev ORDER BY score LIMIT 1)", "SELECT 'b' FROM ev LIMIT 1", "wrong"),
        ("SELECT id FROM ev WHERE label = (SELECT label FROM ev ORDER BY score DESC LIMIT 1)",
         "SELECT 2 FROM ev LIMIT 1", "open"),
        ("WITH best AS (SELECT label FROM ev ORDER BY score DESC LIMIT 1) SELECT * FROM best",
         "SELECT 'b' FROM ev LIMIT 1", "open"),
        ("SELECT id FROM ev WHERE score = (SELECT score FROM ev ORDER BY score DESC LIMIT 1)",
         "SELECT 2 FROM ev LIMIT 1", "wrong"),
        ("SELECT id FROM ev WHERE label = (SELECT label FROM one)", "SELECT 2 FROM ev LIMIT 1", "open"),
        ("SELECT id FROM ev WHERE score > (SELECT avg(score) FROM ev)", "SELECT 2 FROM ev LIMIT 1", "wrong"),
        ("SELECT id FROM ev WHERE EXISTS (SELECT 1 FROM one LIMIT 1)", "SELECT 2 FROM ev LIMIT 1", "wrong"),
        ("SELECT id FROM ev a WHERE id = (SELECT id FROM ev b WHERE b.score = a.score LIMIT 1)",
         "SELECT 2 FROM ev LIMIT 1", "open"),
        # beside an aggregate: of two maxima, of one, of any row, of a group with one value
        ("SELECT label, max(score) FROM ev", "SELECT label, score FROM ev WHERE id = 2", "open"),
        ("SELECT label, max(score) FROM one", "SELECT label, score FROM one WHERE id = 2", "wrong"),
        ("SELECT label, min(score) FROM one", "SELECT label, score FROM one WHERE id = 3", "open"),
        ("SELECT label, count(*) FROM one", "SELECT label, 3 FROM one WHERE id = 3", "open"),
        ("SELECT label, count(*) FROM ev GROUP BY score", "SELECT label, 1 FROM ev", "open"),
        ("SELECT score / 2, count(*) FROM ev GROUP BY score / 2", "SELECT label, 1 FROM ev LIMIT 2", "wrong"),
        ("SELECT label AS l, count(*) FROM ev GROUP BY l", "SELECT label, 2 FROM ev", "wrong"),
        ("SELECT label, count(*) FROM ev GROUP BY 1", "SELECT label, 2 FROM ev", "wrong"),
        ("SELECT e.label, count(*) FROM ev e JOIN one o ON e.id = o.id GROUP BY e.id", "SELECT label, 2 FROM ev",
         "wrong"),
        ("SELECT * FROM ev GROUP BY score", "SELECT * FROM ev WHERE id IN (2, 4, 5)", "open"),
        ("SELECT count(*) FROM ev GROUP BY score HAVING label > ''", "SELECT 3 FROM ev LIMIT 3", "open"),
        # texts that are one under a collation: which spelling stands for them?
        ("SELECT DISTINCT kind FROM ev", "SELECT kind FROM ev WHERE id IN (2, 4, 5)", "open"),
        ("SELECT kind, count(*) FROM ev GROUP BY kind", "SELECT max(kind COLLATE BINARY), 1 FROM ev GROUP BY kind",
         "open"),
        ("SELECT kind FROM ev UNION SELECT kind FROM ev", "SELECT kind FROM ev WHERE id IN (2, 3, 5)", "open"),
        ("SELECT max(kind) FROM ev WHERE id < 5", "SELECT kind FROM ev WHERE id = 4", "open"),
        ("SELECT DISTINCT label FROM ev", "SELECT label FROM ev WHERE id > 1", "wrong"),
        ("SELECT label FROM ev UNION SELECT label FROM one", "SELECT label FROM one", "wrong"),
        # the order within a group, and of rows with equal keys in a window
        ("SELECT group_concat(label) FROM ev", "SELECT 'e,d,c,b,a' FROM ev LIMIT 1", "open"),
        ("SELECT label, row_number() OVER (ORDER BY score) FROM ev", "SELECT label, id FROM ev", "open"),
        ("SELECT label, row_number() OVER (ORDER BY id) FROM ev", "SELECT label, id + 1 FROM ev", "wrong"),
        ("SELECT label, rank() OVER (ORDER BY score) FROM ev", "SELECT label, id + 1 FROM ev", "wrong"),
        ("SELECT label FROM ev ORDER BY random() LIMIT 1", "SELECT label FROM ev WHERE 0", "open"),
    ],
)  # fmt: skip
def test_a_tie_is_taken_or_said_to_be_open(
    judge: Judge, database: str, gold: str, prediction: str, status: str
) -> None:
    example = question(database, gold)
    assert judge.judge([(example, prediction)])[0].status == status
    if "random" not in gold:
        assert judge.judge([(example, gold)])[0].ex_strict


def test_the_listed_ties_are_right_or_open(vectors_dir: Path, judge: Judge, tmp_path: Path) -> None:
    cases = vectors_dir.parent / "cases"
    if not cases.is_dir():
        pytest.skip(f"no {cases}")
    database = make(tmp_path / "ties.sqlite", (cases / "ties.sql").read_text())
    for row in map(json.loads, (cases / "ties.jsonl").read_text().splitlines()):
        if "db" not in row:
            example = question(database, row["gold"])
            assert judge.judge([(example, row["prediction"])])[0].status in ("correct", "open"), row["id"]


def test_a_limit_without_order_on_bird_takes_any_rows(bird_dir: Path, judge: Judge) -> None:
    path = next(bird_dir.rglob("superhero.sqlite"), None)
    if path is None:
        pytest.skip("no database superhero")
    gold = "SELECT power_name FROM superpower WHERE id > 5 LIMIT 5"
    assert judge.judge([(question(str(path), gold), gold.replace("LIMIT", "ORDER BY 1 DESC LIMIT"))])[0].ex_strict
