"""What is added from outside, by the code of docs/extending.md."""

import json
import re
import sys
from pathlib import Path

import pytest

from evaluation import score
from evaluation.benchmarks import load_examples
from evaluation.errors import UserError
from graph.prompt import build_messages
from graph.schema import Column, Schema, Table
from sft.config import DataConfig
from tests.bench.fuzz import make_victim

PAGE = Path(__file__).parent.parent / "docs" / "extending.md"
CODE = {found[1]: found[2] for found in re.finditer(r"```python\n# (\w+)\.py\n(.*?)```", PAGE.read_text(), re.DOTALL)}


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the modules of the page, in which a command is started."""
    for name, code in CODE.items():
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def quiz(outside: Path) -> Path:
    (outside / "data" / "dbs").mkdir(parents=True)
    make_victim(outside / "data" / "dbs" / "victim.sqlite")
    questions = [{"ask": "How many?", "answer": "SELECT count(*) FROM t", "on": "victim"}, {"asks": "?"}]
    (outside / "data" / "dev.json").write_text(json.dumps(questions))
    return outside / "data"


def test_a_layout_is_added(quiz: Path) -> None:
    (example,) = load_examples("quiz:LAYOUT", "dev", quiz)
    assert (example.id, example.db_id, example.question) == ("dev-00000", "victim", "How many?")
    assert DataConfig(benchmark="quiz:LAYOUT").benchmark == "quiz:LAYOUT"


@pytest.mark.parametrize(("predicted", "value"), [("SELECT count(*) FROM t", 1), ("SELECT count(*) FROM t AS x", 0)])
def test_a_ruler_is_added(quiz: Path, predicted: str, value: int) -> None:
    (quiz / "p.sql").write_text(predicted)
    arguments = ["--benchmark", "quiz:LAYOUT", "--data", "data", "--predictions", "data/p.sql", "--out", "out"]
    assert score.main([*arguments, "--ruler", "lengths:brief"]) == 0
    assert json.loads(Path("out/verdicts.jsonl").read_text())["brief"] == value
    assert json.loads(Path("out/scores.json").read_text())["brief"]["all"] == {"value": value, "n": 1}


def test_a_prompt_style_is_added(outside: Path) -> None:
    shop = Schema("shop", (Table("item", (Column("id", "INTEGER", True), Column("unit price", "REAL"))),))
    style = DataConfig(prompt_style="wiki:pages").prompt_style
    assert '\n= item = id | "unit price"\n' in build_messages(shop, "How many?", style=style)[0]["content"]


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("nowhere:LAYOUT", "No module named 'nowhere'"),
        ("quiz:SIZE", "has no 'SIZE'"),
        ("quiz:read", "must be a Layout"),
    ],
)
def test_what_cannot_be_added_is_said_in_one_line(quiz: Path, word: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        load_examples(word, "dev", quiz)
