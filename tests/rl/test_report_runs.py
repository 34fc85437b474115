"""What a report calls the stages of a run, which runs it averages, and the bounds that its figures keep."""

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.console import time_rows
from evaluation.errors import UserError
from evaluation.lineage import trained
from evaluation.metrics import mean_interval, wilson_interval
from rl.report.record import read_run
from rl.report.seeds import seeds_table
from rl.report.write import write_report
from tests.rl.test_report import evaluation, write_run


def with_config(directory: Path, **config: Any) -> Path:
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def one_run(path: Path, right: int, **config: Any) -> Path:
    found = {
        "base": evaluation([0] * 10, [0.0] * 10),
        "sft": evaluation([1] * 4 + [0] * 6, [0.4] * 10),
        "rl": evaluation([1] * right + [0] * (10 - right), [right / 10] * 10),
    }
    return with_config(write_run(path, found), **config)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return one_run(tmp_path / "rl", 6)


def test_runs_of_other_settings_get_a_table_of_their_own(tmp_path: Path) -> None:
    seeds = [
        one_run(
            tmp_path / f"a{s}", 5 + s, data={"benchmark": "tiny"}, run={"seed": s}, init_adapter=f"runs/{s}/adapter"
        )
        for s in (0, 1)
    ]
    other = one_run(tmp_path / "b", 9, data={"benchmark": "spider"}, run={"seed": 2}, init_adapter="")
    assert seeds_table(seeds).count("mean of 2 seeds") == 1, "a seed, and where a run lies, is no other setting"
    first, second = seeds_table([*seeds, other]).split("\n\ndata.benchmark = spider")
    assert first.startswith("data.benchmark = tiny, start = ") and "mean of 2 seeds" in first
    assert "| SFT + RL | 90.0 |" not in first and "one seed" in second and "| RL | 90.0 | 90.0 |" in second


@pytest.mark.parametrize("change", ["samples", "questions", "recipe"])
def test_runs_that_were_asked_or_began_otherwise_are_not_averaged(tmp_path: Path, change: str) -> None:
    runs = [one_run(tmp_path / name, 6, data={"benchmark": "own"}) for name in ("a", "b")]
    for stage in ("sft", "rl"):
        path = runs[1] / "evaluations" / f"{stage}.json"
        found = json.loads(path.read_text())
        if change == "samples":
            found["samples"] = 2
        elif change == "questions":
            found["per_question"] = [row | {"gold": "SELECT 2"} for row in found["per_question"]]
        else:
            found["recipe"] = "other"
        path.write_text(json.dumps(found))
    assert seeds_table(runs).count("one seed") == 2


def test_one_run_is_no_two_seeds(run: Path) -> None:
    with pytest.raises(UserError, match="each run once"):
        seeds_table([run, run / ".." / run.name])


def test_intervals_over_seeds_stay_within_0_and_100(tmp_path: Path) -> None:
    # 10, 9, 7 of 10: mean 86.7, half width 4.303 · 15.28 / √3 = 37.9; the gain over 4 of 10 may reach 84.6
    table = seeds_table([one_run(tmp_path / str(right), right) for right in (10, 9, 7)]).splitlines()
    assert "| SFT + RL | 86.7 (48.7 … 100.0) |" in table[-2]
    assert "+46.7 (8.7 … 84.6)" in table[-1]


def test_the_interval_of_a_mean_is_wilsons_and_stays_inside() -> None:
    assert mean_interval([1.0] * 8 + [0.0] * 2) == pytest.approx(wilson_interval(8, 10))
    # mean 0.05, population variance 0.0225: as many flags as 10 · 0.05 · 0.95 / 0.0225 = 21.1 would spread as much
    assert mean_interval([0.5] + [0.0] * 9) == pytest.approx(wilson_interval(0.05 * 21.1111, 21.1111), abs=1e-6)
    assert mean_interval([0.0] * 10) == wilson_interval(0, 10) and mean_interval([1.0] * 10)[1] == pytest.approx(1)


def test_a_start_that_rl_trained_is_not_called_sft(run: Path, tmp_path: Path) -> None:
    card = tmp_path / "adapter"
    card.mkdir()
    (card / "rollsql.json").write_text('{"trained": "SFT + RL"}')
    with_config(run, init_adapter=str(card))
    (run / "sft_metrics.jsonl").write_text('{"step": 1, "loss": 0.5, "reward": 0.1}\n')  # of that RL run
    text = (write_report(run) / "report.md").read_text()
    assert "| SFT + RL | 40.0 %" in text and "| SFT + RL + RL | 60.0 %" in text and "| SFT |" not in text
    assert "SFT + RL + RL against SFT + RL" in text and "sft_loss" not in text
    with_config(run, init_adapter="")
    assert read_run(run).names == {"base": "base", "sft": "new adapter", "rl": "RL"}


def test_an_adapter_without_a_card_is_known_by_the_run_that_it_lies_in(tmp_path: Path) -> None:
    for name, config in (
        ("sft", {"train": {}}),
        ("rl", {"rollout": {}, "init_adapter": str(tmp_path / "sft/adapter")}),
    ):
        (tmp_path / name / "adapter").mkdir(parents=True)
        with_config(tmp_path / name, **config)
    assert [trained(tmp_path / name / "adapter") for name in ("sft", "rl", "elsewhere")] == [
        "SFT",
        "SFT + RL",
        "given adapter",
    ]


def test_rows_of_time_add_up(run: Path) -> None:
    # 60 + 300 + 40 + 20 = 420; a run whose parts are longer than its total has the sum of its parts
    assert time_rows({"sft": 60.0, "rl": 300.5, "evaluation": 40.0, "driver": 360.0, "total": 420.0}) == {
        "sft": 60,
        "rl": 300,
        "evaluation": 40,
        "other": 20,
        "total": 420,
    }
    assert time_rows({"rl": 300.0, "total": 100.0}) == {"rl": 300, "other": 0, "total": 300}
    assert "| other | 20 |" in (write_report(run) / "report.md").read_text()
