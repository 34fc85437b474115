"""What the pages say of a run whose figures are known: see `fabricate`."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evaluation.benchmarks import load_examples
from evaluation.sql_diff import tables_named
from rl.view.files import as_json
from rl.view.pages import Pages
from rl.view.steps import Missing
from tests.rl.view.fabricate import fabricate, rollouts


def test_the_table_of_runs(pages: Pages) -> None:
    [run] = pages.get("runs")["runs"]
    assert (run["slug"], run["status"], run["step"], run["steps"], run["algorithm"]) == (
        "small",
        "finished",
        3,
        3,
        "grpo",
    )
    # right of 60 dev questions: every second one after RL, every third one before
    assert run["best"] == 0.5
    # (step + place) mod 5 of 4 samples are right: at step 1 1+2+3+4 = 10, at step 2 2+3+4+0 = 9, at step 3 3+4+0+1 = 8
    assert run["spark"] == [10 / 16, 9 / 16, 8 / 16]


def test_the_page_of_a_run_has_its_steps_alarms_settings_and_curves(pages: Pages) -> None:
    run = pages.get("runs/small")
    assert [(cell["step"], cell["right"], cell["checkpoint"], cell["samples"]) for cell in run["bar"]] == [
        (1, 10 / 16, False, True), (2, 9 / 16, False, True), (3, 8 / 16, True, True),
    ]  # fmt: skip
    assert run["bar"][1]["alarms"] == ["no answer is right (alarm.no_right) since step 2"]
    changed = {key: (value, default) for key, value, default in run["settings"] if default is not None}
    assert changed["rollout.samples"] == (4, 8) and "learner.clip_low" not in changed
    charts = {chart["title"]: chart for chart in run["charts"]}
    assert charts["Right and executable"]["series"][0]["points"] == [[1, 10 / 16], [2, 9 / 16], [3, 8 / 16]]
    teach = {one["name"]: one["points"] for one in charts["Groups by what they teach"]["series"]}
    # at step 1 one group of four is all right, at step 2 one is all right and one all wrong
    assert teach["all right"][:2] == [[1, 0.25], [2, 0.25]] and teach["none right"][:2] == [[1, 0.0], [2, 0.25]]
    assert teach["right and wrong"][:2] == [[1, 0.75], [2, 0.5]]
    verdicts = {one["name"]: one["points"] for one in charts["Verdicts"]["series"]}
    assert verdicts == {"correct": [[1, 0.625], [2, 0.5625], [3, 0.5]], "wrong": [[1, 0.375], [2, 0.4375], [3, 0.5]]}
    idle = {one["name"]: one["points"][0][1] for one in charts["Idle by actor"]["series"]}
    assert idle["engine"] == pytest.approx(3.6 / 5.6)
    whole = next(one for one in charts["Right on dev"]["series"] if one["name"] == "greedy, all of dev")
    assert [point[1] for point in whole["points"]] == [20 / 60, 30 / 60]
    assert all(low < share < high for (_, share), (_, low, high) in zip(whole["points"], whole["band"], strict=True))
    assert all(chart["says"].endswith(".") for chart in run["charts"])
    costs = {name: (planned, measured) for name, planned, measured in run["costs"]}
    assert costs["steps"] == (3, 3) and costs["samples per step; more by refills"] == (16, 16)
    assert costs["total, seconds"] == (None, 130)


def test_a_step_has_its_groups_and_their_past(pages: Pages) -> None:
    pages.get("runs/small/questions")
    page = pages.get("runs/small/steps/3")
    assert [(group["right"], group["count"], group["signal"]) for group in page["groups"]] == [
        (3, 4, True), (4, 4, False), (0, 4, False), (1, 4, True),
    ]  # fmt: skip
    assert (page["before"], page["after"]) == (2, None)
    # steps 1 and 3 ask the same four questions, step 2 others
    assert page["groups"][0]["history"] == [[1, 1 / 4], [3, 3 / 4]]
    assert pages.get("runs/small/steps/2")["groups"][0]["history"] == [[2, 2 / 4]]
    # a sample that is not right is wrong, the third one does not run
    assert page["groups"][2]["verdicts"] == {"wrong": 3, "error": 1}


def lucky_run(folder: Path) -> Path:
    """One step of one question, whose first right answer is gold and whose second is the number that gold returns."""
    example = next(e for e in load_examples("tiny", "train") if e.gold_sql.startswith("SELECT COUNT(*) FROM"))
    with closing(sqlite3.connect(example.database)) as connection:
        (number,) = connection.execute(example.gold_sql).fetchone()
    run = fabricate(folder, steps=1, questions=1, samples=4)
    table = rollouts([example], 1, 4)
    texts = {"sql": [example.gold_sql, *[f"SELECT {number}"] * 2, "SELECT 0"], "verdict": ["correct"] * 3 + ["wrong"]}
    for name, values in texts.items():
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values, pa.string()))
    pq.write_table(table, run / "rollouts" / "step_000001.parquet")
    return run


def test_right_answers_of_a_step_are_tried_on_other_rows_when_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLSQL_CACHE", str(tmp_path / "cache"))
    lucky_run(tmp_path / "runs" / "small")
    pages = Pages([tmp_path / "runs"])
    assert pages.get("runs/small/steps/1/luck") == {"lucky": [(0, 2)]}
    with pytest.raises(Missing):
        pages.get("runs/small/steps/7/luck")
    pages.close()


def test_earlier_turns_of_an_answer_are_shown(tmp_path: Path) -> None:
    run = fabricate(tmp_path / "small", steps=1, questions=1, samples=2)
    path = run / "rollouts" / "step_000001.parquet"
    turns = pa.array([["SELECT 1", "SELECT 2"], []], pa.list_(pa.string()))
    pq.write_table(pq.read_table(path).append_column("before", turns).append_column("turns", [[3, 1]]), path)
    pages = Pages([tmp_path])
    answers = pages.get("runs/small/steps/1/groups/0")["answers"]
    assert {tuple(answer["before"]): answer["parts"]["turns"] for answer in answers} == {
        ("SELECT 1", "SELECT 2"): 3, (): 1,
    }  # fmt: skip
    pages.close()


def test_equal_answers_are_one_with_its_reward_and_tokens(pages: Pages) -> None:
    page = pages.get("runs/small/steps/3/groups/0")
    assert [(answer["count"], answer["right"], answer["samples"]) for answer in page["answers"]] == [
        (3, True, [0, 1, 2]), (1, False, [3]),
    ]  # fmt: skip
    wrong = page["answers"][1]
    assert (wrong["reward"], wrong["advantage"], wrong["parts"]) == (0.0, -0.75, {"correct": 0.0, "executable": 1.0})
    assert [token[1] for token in wrong["tokens"][:2]] == [-0.04, -0.05] and wrong["tokens"][0][2] is None
    assert len(page["prompt"]) > 100
    marked = [word[1] for clause in wrong["diff"] for word in clause["answer"] if not word[3]]
    assert "LIMIT" in marked and "SELECT" not in marked


def test_rows_of_gold_and_answer_are_executed_again_with_those_that_differ_marked(pages: Pages) -> None:
    right, wrong = (pages.get(f"runs/small/steps/3/groups/0/rows/{n}") for n in (0, 1))
    assert right["right"] and right["differ"] == 0 and right["verdict"] == "correct"
    assert not wrong["right"] and wrong["verdict"] == "wrong"
    assert wrong["differ"] == sum(not line[2] for line in wrong["lines"]) > 0
    failed = pages.get("runs/small/steps/3/groups/2/rows/2")
    assert failed["verdict"] == "error" and "no such column" in failed["error"]


def test_the_schema_shows_what_gold_and_answers_use(pages: Pages) -> None:
    page = pages.get("runs/small/steps/3/groups/0/schema")
    tables = {table["name"] for table in page["picture"]["tables"]}
    assert set(page["gold"]["tables"]) <= tables and set(page["answers"][1]["tables"]) <= tables
    places = [(table["x"], table["y"]) for table in page["picture"]["tables"]]
    assert len(set(places)) == len(places)
    assert not any(join["inferred"] for join in page["picture"]["joins"])  # all are declared there


def test_a_question_over_the_steps(pages: Pages) -> None:
    pages.get("runs/small/questions")
    page = pages.get("runs/small/questions/3/1")
    assert page["first"] == [1, 1]
    assert [(one["step"], one["right"], one["count"]) for one in page["times"]] == [(1, 2, 4), (3, 4, 4)]
    assert [answer["count"] for answer in page["times"][0]["answers"]] == [2, 1, 1]


def test_dev_questions_before_and_after(pages: Pages) -> None:
    page = pages.get("runs/small/dev")
    right = {name: sum(row["stages"][name]["right"] for row in page["rows"]) for name in ("sft", "rl")}
    assert (len(page["rows"]), right) == (60, {"sft": 20, "rl": 30})
    question = pages.get("runs/small/dev/1")
    assert [(one["stage"], one["right"]) for one in question["answers"]] == [("SFT", False), ("SFT + RL", False)]
    assert pages.get("runs/small/dev/0/rows/1")["right"]
    pages.databases.known(Path(pages.roots[0] / "small"), "dev", wait=True)
    kinds = {example.id: example.hardness for example in load_examples("tiny", "dev")}
    assert {row["hardness"] for row in pages.get("runs/small/dev")["rows"]} == {
        kinds[row["id"]] for row in page["rows"]
    }


@pytest.mark.parametrize(
    "address",
    ["nothing", "runs/none", "runs/../small", "runs/small/steps/9", "runs/small/steps/1/groups/4",
     "runs/small/steps/1/groups/0/rows/9", "runs/small/questions/1/9", "runs/small/dev/60", "runs/small/dev/0/rows/2"],
)  # fmt: skip
def test_what_is_not_there_is_said(pages: Pages, address: str) -> None:
    with pytest.raises(Missing):
        pages.get(address)


def test_every_page_is_json_of_plain_values(pages: Pages) -> None:
    for address in ("runs", "runs/small", "runs/small/steps/1", "runs/small/steps/1/groups/1", "runs/small/dev/3"):
        page = pages.get(address)
        assert json.loads(as_json(page)) == json.loads(json.dumps(page))


def test_tables_behind_from_and_join() -> None:
    assert tables_named("SELECT a FROM 't' , \"My T\" WHERE x = 'a FROM b'") == {"''", "my"}
    assert tables_named("select 1") == set() and tables_named("SELECT * FROM (SELECT * FROM a JOIN b)") == {"a", "b"}
