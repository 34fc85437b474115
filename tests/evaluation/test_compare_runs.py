import json
from pathlib import Path

import pytest

from evaluation import compare_runs
from evaluation.compare_runs import compare
from evaluation.metrics import mcnemar, paired_interval


def write(path: Path, flags: str) -> Path:
    rows = [{"id": str(number), "ex_strict": int(flag)} for number, flag in enumerate(flags)]
    path.mkdir()
    (path / "verdicts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return path


def test_only_questions_that_differ_decide() -> None:
    # one only A, five only B: 2 * (C(6,0) + C(6,1)) / 2^6 = 14 / 64
    assert mcnemar(1, 5) == mcnemar(5, 1) == 14 / 64
    assert mcnemar(0, 0) == 1.0
    # mean 0.2, variance (6 - 4^2 / 20) / 19, so the half width is 1.96 · (5.2 / 19 / 20)^½ = 0.2293
    assert paired_interval([-1.0] + [1.0] * 5 + [0.0] * 14) == pytest.approx((-0.0293, 0.4293), abs=1e-4)


def test_two_runs_are_compared_by_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = write(tmp_path / "a", "110000"), write(tmp_path / "b", "101111")
    assert compare_runs.main([str(a), str(b / "verdicts.jsonl"), "--out", str(tmp_path / "c.json")]) == 0
    result = json.loads((tmp_path / "c.json").read_text())
    assert (result["only_a"], result["only_b"]) == (["1"], ["2", "3", "4", "5"])
    assert result["difference"] == pytest.approx(0.5)
    assert "only A right 1, only B right 4, McNemar p = 0.375" in capsys.readouterr().out


def test_runs_over_other_questions_or_without_the_ruler_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = write(tmp_path / "a", "11"), write(tmp_path / "b", "111")
    assert compare_runs.main([str(a), str(b)]) == 2
    assert "1 are in one only: 2" in capsys.readouterr().err
    assert compare_runs.main([str(a), str(a), "--ruler", "ex_bird"]) == 2
    assert "row 1: must hold an id and ex_bird 0 or 1" in capsys.readouterr().err


def test_the_same_run_differs_in_nothing() -> None:
    result = compare({"x": True, "y": False}, {"x": True, "y": False})
    assert (result["difference"], result["ci95"], result["p_mcnemar"]) == (0.0, [0.0, 0.0], 1.0)


def test_verdicts_of_other_questions_under_the_same_ids_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, gold in (("a", "SELECT 1"), ("b", "SELECT 2")):
        row = {"id": "0", "db_id": "shop", "gold": gold, "ex_strict": 1}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    assert compare_runs.main([str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]) == 2
    assert "both must judge the same questions; 0 is one on shop in" in capsys.readouterr().err
    assert compare_runs.main([str(tmp_path / "a.jsonl"), str(tmp_path / "a.jsonl")]) == 0
