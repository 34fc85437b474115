"""What is added from outside, by the code of docs/extending.md."""

import json
import pickle
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from evaluation import score
from evaluation.benchmarks import load_examples
from evaluation.errors import UserError
from graph.prompt import build_messages
from graph.schema import Column, Schema, Table
from rl.algorithms import algorithm
from rl.config import RlConfig
from rl.environment import Observation, Place, play
from rl.environments import environment
from rl.reward import Answer, RewardWorker, group_rewards
from rl.types import Episode, Group, Part, Reward
from sft.config import DataConfig
from sft.settings.file import validate
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


def test_an_algorithm_is_added(outside: Path) -> None:
    config = validate(RlConfig, {"algorithm": "best:BestOfK", "learner": {"kl": 0.0}}, "test")
    assert config.learner.aggregation == "sequence_mean"
    made = algorithm(config.algorithm).of(config)
    answers = [Episode.single(k, [1], [2], [-0.5], "stop", 0) for k in range(3)]
    rewards = [Reward(value, {}, "wrong") for value in (0.0, 1.0, 1.0)]
    rewarded = Group(load_examples("tiny", "dev")[0], answers, rewards)
    even = Group(rewarded.example, answers, [rewards[1]] * 3)
    assert [group.advantages for group in made.credit([rewarded, even])] == [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    assert pickle.loads(pickle.dumps(made)) == made  # as it travels to the learners


def test_an_environment_is_added(outside: Path) -> None:
    made = environment(validate(RlConfig, {"environment": "doubt:AskTwice"}, "test").environment)()
    question = load_examples("tiny", "dev")[0]
    answers = [Episode.single(k, [1], [2], [-0.5], "stop", 0, sql) for k, sql in enumerate(("SELECT 1", "x JOIN y"))]
    cut = Episode.single(2, [1], [2], [-0.5], "length", 0, "x JOIN y")

    def resume(part: Part, seen: Mapping[Place, Observation], turn: int) -> tuple[Part, set[Place]]:
        assert turn == 1 and list(seen) == [(0, 1)] and seen[Place(0, 1)].text.startswith("Are you sure?")
        return part, set(seen)

    play(Part([Group(question, [*answers, cut])]), made, resume)


def test_a_part_of_the_reward_is_added(outside: Path) -> None:
    (outside / "wild.py").write_text("def part(example, answer, verdict):\n    return 7\n")
    example = load_examples("tiny", "dev")[0]
    answers = [Answer(sql, True) for sql in (example.gold_sql, example.gold_sql + " " * len(example.gold_sql) + "--")]
    config = validate(RlConfig, {"reward": {"extra": ["taste:short_enough"], "extra_weight": 0.25}}, "test").reward
    worker = RewardWorker(config.deadline_s, config.parts, config.columns)
    ((right, long),) = worker.judge_groups([(example, answers)])
    assert (right.parts["short_enough"], long.parts["short_enough"]) == (1, 0) and long.parts["correct"] == 1
    assert [reward.value for reward in group_rewards([right, long], config)] == [1.25, 1.0]
    worker.close()
    worker = RewardWorker(1.0, ("wild:part",))
    with pytest.raises(UserError, match=r"reward.extra: wild:part must return a number from 0 to 1, got 7"):
        worker.judge_groups([(example, answers)])
    worker.close()


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"algorithm": "nowhere:X"}, "No module named 'nowhere'"),
        ({"algorithm": "doubt:AskTwice"}, "it must be a subclass of rl.algorithms.base.Algorithm"),
        ({"environment": "answer_onc"}, "did you mean answer_once?"),
        ({"reward": {"extra": ["taste:long_enough"]}}, "has no 'long_enough'"),
        ({"reward": {"extra": ["taste:short_enough"] * 2}}, "'short_enough' is there twice"),
    ],
)
def test_what_cannot_be_added_to_a_run_is_said_in_one_line(outside: Path, section: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError) as caught:
        validate(RlConfig, section, "test")
    assert says in str(caught.value) and len(str(caught.value).splitlines()) == 1
