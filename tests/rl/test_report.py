"""Reports from run directories written here, with numbers that can be checked by hand."""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from evaluation.errors import UserError
from evaluation.metrics import mcnemar, t_interval, wilson_interval
from rl.report.__main__ import main
from rl.report.figures import compare, empty_share
from rl.report.seeds import plot_control, seeds_table
from rl.report.write import write_report

PNG = b"\x89PNG\r\n"


def evaluation(correct: Sequence[int], rates: Sequence[float], sql: str = "SELECT 1") -> dict[str, Any]:
    n = len(correct)
    rows = [
        {
            "id": f"q{i}",
            "db_id": "shop",
            "question": f"How many | items {i}?",
            "gold": "SELECT `a` || 'b'\nFROM item",
            "sql": sql,
            "status": "correct" if right else "wrong",
            "correct": bool(right),
            "sampled_correct_rate": rate,
        }
        for i, (right, rate) in enumerate(zip(correct, rates, strict=True))
    ]
    return {
        "ex_strict": sum(correct) / n,
        "ex_strict_ci": list(wilson_interval(sum(correct), n)),
        "ex_strict_sampled": sum(rates) / n,
        "ex_strict_sampled_ci": [max(0, sum(rates) / n - 0.05), sum(rates) / n + 0.05],
        "n": n,
        "samples": 8,
        "per_question": rows,
    }


def write_run(path: Path, evaluations: Mapping[str, Any], steps: int = 40, seed: int = 0) -> Path:
    rng = random.Random(seed)
    (path / "evaluations").mkdir(parents=True)
    for stage, found in evaluations.items():
        (path / "evaluations" / f"{stage}.json").write_text(json.dumps(found))
    rows = [
        {
            "step": step,
            "reward": 0.4 + 0.004 * step + rng.gauss(0, 0.04),
            "correct": 0.35 + 0.004 * step + rng.gauss(0, 0.04),
            "executable": 0.85 + 0.002 * step + rng.gauss(0, 0.02),
            "entropy": 0.5 - 0.003 * step + rng.gauss(0, 0.02),
        }
        for step in range(1, steps + 1)
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    losses = [{"step": 10 * k, "loss": 3 / k} for k in range(1, 30)]
    (path / "sft_metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in losses))
    (path / "seconds.json").write_text(json.dumps({"sft": 60.0, "rl": 300.5, "evaluation": 40.0, "total": 420.0}))
    (path / "config.json").write_text(json.dumps({"model": {"path": "sft/tiny"}, "data": {"benchmark": "tiny"}}))
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(
        tmp_path / "rl",
        {
            "base": evaluation([0] * 10, [0.0] * 10),
            "sft": evaluation([1, 1, 0, 0, 0, 0, 0, 0, 1, 1], [0.5] * 10),
            "rl": evaluation([1, 1, 1, 1, 1, 0, 0, 0, 0, 1], [0.75] * 5 + [0.5] * 5, sql="SELECT count(*)"),
        },
    )


def test_the_summary_holds_the_figures_of_every_stage_and_the_paired_gain(run: Path) -> None:
    summary = json.loads((write_report(run) / "summary.json").read_text())
    assert [summary[stage]["ex_strict"] for stage in ("base", "sft", "rl")] == [0.0, 0.4, 0.6]
    assert summary["sft"]["ex_strict_sampled"] == 0.5
    assert summary["seconds"]["rl"] == 300.5
    gain = summary["gain"]
    # questions 2, 3, 4 were fixed, 8 was broken: 2 × (C(4,0) + C(4,1)) / 2^4
    assert (gain["fixed"], gain["broke"], gain["mcnemar_p"]) == (3, 1, 0.625)
    assert gain["ex_strict"] == pytest.approx(0.2)
    assert gain["ex_strict_sampled"] == pytest.approx(0.125)
    low, high = gain["ex_strict_sampled_ci"]  # half of the differences 0.25: sd 0.1318, half width 1.96 × sd / √10
    assert (low, high) == pytest.approx((0.125 - 0.0817, 0.125 + 0.0817), abs=1e-3)


def test_the_report_shows_what_rl_fixed_and_broke_in_valid_table_cells(run: Path) -> None:
    text = (write_report(run) / "report.md").read_text()
    fixed = text.split("## Questions that RL fixed (3)")[1].split("## Questions that RL broke (1)")
    rows = [line for line in fixed[0].splitlines() if line.startswith("| shop")]
    assert len(rows) == 3
    # a pipe or a line break of SQL must not open a new cell or row; backticks need a longer fence
    assert rows[0] == (
        "| shop | How many \\| items 2? | `` SELECT `a` \\|\\| 'b' FROM item `` | `SELECT 1` | `SELECT count(*)` |"
    )
    assert "items 8?" in fixed[1]
    assert "| SFT | 40.0 % |" in text and "p = 0.62" in text


def test_every_picture_is_drawn_and_named_in_the_report(run: Path) -> None:
    report = write_report(run)
    text = (report / "report.md").read_text()
    for name in ("dev_ex.png", "sft_loss.png", "rl_curves.png"):
        assert (report / name).read_bytes().startswith(PNG)
        assert f"({name})" in text
    assert not list(report.glob("*.partial"))


def test_a_run_without_evaluations_or_warm_up_still_gets_its_curves(tmp_path: Path) -> None:
    run = write_run(tmp_path / "young", {}, steps=2)
    (run / "sft_metrics.jsonl").unlink()
    report = write_report(run)
    assert {path.name for path in report.iterdir()} == {"summary.json", "report.md", "rl_curves.png", "index.html"}
    assert json.loads((report / "summary.json").read_text())["rl_steps"] == 2


def test_a_directory_without_a_run_and_a_torn_metrics_file_are_user_errors(
    tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="does not exist"):
        write_report(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty")]) == 2
    assert not (tmp_path / "empty" / "report").exists()
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 41, "rew')
    with pytest.raises(UserError, match=r"metrics\.jsonl, line 41"):
        write_report(run)


def test_mcnemar_is_the_two_sided_binomial_test() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(10, 0) == pytest.approx(2 / 1024)
    assert mcnemar(2, 9) == mcnemar(9, 2) == pytest.approx(2 * (1 + 11 + 55) / 2048)


def test_t_intervals_of_three_seeds_use_two_degrees_of_freedom() -> None:
    # mean 2, sd 1, half width 4.303 × 1 / √3 = 2.484
    assert t_interval([1.0, 2.0, 3.0]) == pytest.approx((-0.484, 4.484), abs=1e-3)


def test_the_table_of_seeds_gives_means_intervals_and_each_gain(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = []
    for seed, right in enumerate((5, 6, 7)):
        found = {
            "base": evaluation([0] * 10, [0.0] * 10),
            "sft": evaluation([1] * 4 + [0] * 6, [0.4] * 10),
            "rl": evaluation([1] * right + [0] * (10 - right), [0.5] * 10),
        }
        runs.append(write_run(tmp_path / f"seed{seed}", found))
    table = seeds_table(runs).splitlines()
    assert table[-1] == "| **gain of RL** | +20.0 (-4.8 … 44.8) | +10.0, +20.0, +30.0 | +10.0 (10.0 … 10.0) |" + (
        " +10.0, +10.0, +10.0 |"
    )
    assert main(["--runs", *map(str, runs)]) == 0
    assert capsys.readouterr().out.splitlines() == table
    (runs[1] / "evaluations" / "rl.json").unlink()
    with pytest.raises(UserError, match=r"seed1 must hold evaluations/rl\.json"):
        seeds_table(runs)


def test_evaluations_of_different_questions_are_not_compared() -> None:
    with pytest.raises(UserError, match="same questions"):
        compare(evaluation([1], [1.0]), evaluation([1, 0], [1.0, 0.0]))


def test_the_control_plot_draws_several_runs(tmp_path: Path, run: Path) -> None:
    other = write_run(tmp_path / "shuffled", {}, seed=1)
    (other / "dev.jsonl").write_text('{"step": 10, "ex_strict": 0.4, "ex_strict_sampled": 0.5}\n')
    plot_control({"reward": run, "shuffled": other}, tmp_path / "control.png")
    assert (tmp_path / "control.png").read_bytes().startswith(PNG)
    assert main(["--control", "oops", "--out", str(tmp_path / "x.png")]) == 2


def test_right_answers_without_a_row_are_told_apart() -> None:
    right = [{"correct": True, "status": status} for status in ("empty_both", "correct")]
    rows: list[dict[str, Any]] = [*right, {"correct": False}]
    assert empty_share(rows) == 0.5
    assert empty_share([]) == 0.0
