import json
from pathlib import Path

import pytest

from evaluation.benchmarks import load_examples
from evaluation.errors import UserError
from rl.config import RlConfig
from rl.difficulty import main, sometimes_right
from rl.questions import ShuffledQuestions
from rl.train.assemble import drawn


def test_a_question_is_as_hard_as_its_samples_are_wrong_and_those_sometimes_right_are_drawn_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = load_examples("tiny", "train")[:6]
    wrong, right = ["SELECT 'no'"] * 4, [e.gold_sql for e in examples]
    samples = [wrong, [right[1], *wrong[1:]], [right[2]] * 4, wrong, [right[4]] * 2 + wrong[2:]]
    rows = [{"id": e.id, "sql": "", "samples": s} for e, s in zip(examples, samples, strict=False)]
    predictions, out = tmp_path / "samples.jsonl", tmp_path / "difficulty.jsonl"
    predictions.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"id": "other", "samples": ["SELECT 1"]}]))
    assert main(["--predictions", str(predictions), "--benchmark", "tiny", "--out", str(out)]) == 0
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["rate"] for row in found] == [0, 0.25, 1, 0, 0.5] and {row["samples"] for row in found} == {4}
    shown = capsys.readouterr()
    assert "sometimes right: 2 of 5 questions (40.0%)" in shown.out
    assert "1 of 6 predictions are of no question" in shown.err
    first = sometimes_right(out, examples)
    assert first == {examples[1].id, examples[4].id}
    order = [e.id for step in (1, 2, 3) for e in ShuffledQuestions(examples, 2, 0, first=first).draw(step)]
    assert set(order[:2]) == first and len(set(order)) == 6


def test_the_settings_of_a_run_say_which_questions_come_first_and_which_together() -> None:
    examples = load_examples("tiny", "train")[:200]
    config = RlConfig.model_validate({"init_adapter": "a", "rollout": {"questions": 8, "together": 4}})
    batch = drawn(config, examples, frozenset({examples[0].id}), frozenset({examples[1].id})).draw(1)
    assert batch[0] == examples[1]
    databases = [e.database for e in drawn(config, examples, frozenset(), frozenset()).draw(1)]
    assert len(set(databases[:4])) == len(set(databases[4:])) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"id": "train-0", "sql": "SELECT 1"}\n', "must have samples, as rl.predict --samples K writes them"),
        ('{"id": "nowhere", "samples": ["SELECT 1"]}\n', "none of their ids is one of its"),
    ],
)
def test_predictions_without_samples_or_of_other_questions_are_refused(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "samples.jsonl"
    file.write_text(text)
    assert main(["--predictions", str(file), "--benchmark", "tiny", "--out", str(tmp_path / "o.jsonl")]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("text", ['{"id": "train-0"}\n', '{"id": "nowhere", "rate": 0.5}\n'])
def test_a_file_that_is_none_of_ours_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "difficulty.jsonl"
    file.write_text(text)
    with pytest.raises(UserError, match=r"data\.difficulty must be"):
        sometimes_right(file, load_examples("tiny", "train")[:3])
