"""A run that is being written, half-written or damaged never breaks a page: it says so."""

import fcntl
import json
import shutil
from pathlib import Path

import pytest

from rl.view.files import as_json, is_locked, read_json, read_rows
from rl.view.pages import Pages
from rl.view.runs import kind_of, places, status
from tests.rl.view.fabricate import fabricate


@pytest.fixture
def run(runs: Path, tmp_path: Path) -> Path:
    """A copy of the small run, to be damaged."""
    return Path(shutil.copytree(runs / "small", tmp_path / "runs" / "hurt"))


def every_page(root: Path) -> dict[str, dict]:
    pages = Pages([root])
    slug = next(iter(places([root])))
    addresses = ["runs", *(f"runs/{slug}{more}" for more in ("", "/log", "/steps/2", "/steps/2/groups/1", "/questions",
                 "/questions/1/0", "/dev", "/stamp"))]  # fmt: skip
    try:
        return {address: json.loads(as_json(pages.get(address))) for address in addresses}
    finally:
        pages.close()


def test_a_last_line_that_is_being_written_is_left_out_without_a_word(tmp_path: Path) -> None:
    path, problems = tmp_path / "metrics.jsonl", list[str]()
    path.write_text('{"step": 1, "reward": 0.5}\n{"step": 2, "rew')
    assert (read_rows(path, problems), problems) == ([{"step": 1, "reward": 0.5}], [])


@pytest.mark.parametrize("line", ["{", "5", "[]", '{"step": "x"}', '{"step": true}', '{"a": 1}', "\0", "[" * 100_000])
def test_a_damaged_line_is_named_and_the_others_are_read(tmp_path: Path, line: str) -> None:
    path, problems = tmp_path / "metrics.jsonl", list[str]()
    path.write_text('{"step": 1}\n' + line + '\n{"step": 3}\n')
    assert [row["step"] for row in read_rows(path, problems)] == [1, 3]
    assert problems == ["metrics.jsonl, line 2 is damaged and left out"]


@pytest.mark.parametrize("text", ["{", "[]", "5", '"x"', "\udcff", "[" * 100_000])
def test_a_file_that_is_no_object_is_a_problem_not_an_error(tmp_path: Path, text: str) -> None:
    path, problems = tmp_path / "config.json", list[str]()
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read_json(path, problems) == {}
    assert len(problems) == 1 and problems[0].startswith("config.json is damaged")


def test_numbers_that_no_float_holds_are_none(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "a": NaN, "b": -Infinity, "c": 1e999, "d": ' + "9" * 400 + ', "e": 5}\n')
    assert read_rows(path, []) == [{"step": 1, "a": None, "b": None, "c": None, "d": None, "e": 5}]


@pytest.mark.parametrize("value", [5, "x", [], {}, True, None, -1.5, "\ud800"])
def test_values_of_another_kind_than_a_run_writes_break_no_page(run: Path, value: object) -> None:
    for name in ("config.json", "seconds.json", "evaluations/rl.json", "finished.json"):
        found = json.loads((run / name).read_text())
        (run / name).write_text(json.dumps({key: value for key in found}))
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    (run / "metrics.jsonl").write_text(
        "".join(json.dumps({**dict.fromkeys(row, value), "step": row["step"]}) + "\n" for row in rows)
    )
    assert not [address for address, page in every_page(run.parent).items() if "damaged" in page]


def test_numbers_that_json_does_not_have_become_null() -> None:
    assert as_json({"a": [float("nan"), float("inf"), 1.5]}) == '{"a":[null,null,1.5]}'


@pytest.mark.parametrize("name", ["metrics.jsonl", "dev.jsonl", "config.json", "seconds.json", "evaluations/rl.json"])
@pytest.mark.parametrize("damage", ["cut", "bytes", "gone", "empty"])
def test_whatever_is_damaged_every_page_is_there(run: Path, name: str, damage: str) -> None:
    path = run / name
    if damage == "gone":
        path.unlink()
    else:
        whole = path.read_bytes()
        path.write_bytes({"cut": whole[: len(whole) // 2], "bytes": b"\x00\xff{" * 50 + b"\n", "empty": b""}[damage])
    found = every_page(run.parent)
    assert not [address for address, page in found.items() if "damaged" in page]
    said = " ".join(found["runs/hurt"]["problems"] + found["runs/hurt/dev"]["problems"])
    assert (path.name in said) == (damage == "bytes" or (damage == "cut" and path.suffix == ".json"))


def test_a_damaged_file_of_samples_is_named_and_the_other_steps_are_shown(run: Path) -> None:
    whole = (run / "rollouts" / "step_000002.parquet").read_bytes()
    (run / "rollouts" / "step_000002.parquet").write_bytes(whole[: len(whole) // 2])
    (run / "rollouts" / "step_000004.partial").write_bytes(b"half")
    found = every_page(run.parent)
    assert found["runs/hurt/steps/2"]["damaged"].startswith("step_000002.parquet is damaged: ")
    assert found["runs/hurt/steps/2/groups/1"]["damaged"].startswith("step_000002.parquet is damaged: ")
    assert {one["step"] for one in found["runs/hurt"]["bar"]} == {1, 2, 3}
    assert found["runs/hurt/questions"]["indexed"] == [3, 3]


def test_a_step_that_is_written_again_is_read_again(run: Path) -> None:
    pages = Pages([run.parent])
    path = run / "rollouts" / "step_000002.parquet"
    whole = path.read_bytes()
    path.write_bytes(b"")
    assert "damaged" in pages.get("runs/hurt/steps/2")
    path.write_bytes(whole)
    assert len(pages.get("runs/hurt/steps/2")["groups"]) == 4
    path.unlink()
    assert [one["step"] for one in pages.get("runs/hurt/questions/1/0")["times"]] == [1, 3]
    assert pages.get("runs/hurt/questions")["indexed"] == [2, 2]
    pages.close()


def test_a_run_runs_while_its_lock_is_held_and_asking_takes_no_lock(run: Path) -> None:
    assert status(run) == "finished"
    (run / "finished.json").unlink()
    assert status(run) == "stopped"
    with (run / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert (status(run), is_locked(run / ".lock")) == ("running", True)
    assert (status(run), is_locked(run / ".lock")) == ("stopped", False)


def test_runs_are_found_at_any_depth_and_told_apart_by_what_they_hold(runs: Path, tmp_path: Path) -> None:
    ablation = tmp_path / "more" / "small.abl"
    (ablation / "report").mkdir(parents=True)
    (ablation / "report" / "ablation.json").write_text("{}")
    fabricate(ablation / "a b" / "rl", steps=1, questions=1, samples=2)
    sft = tmp_path / "sft"
    sft.mkdir()
    (sft / "config.json").write_text('{"train": {"mode": "qlora"}}')
    found = places([tmp_path])
    assert {slug: (place.name, place.kind) for slug, place in found.items()} == {
        "more~small.abl": ("more/small.abl", "ablation"),
        "more~small.abl~a_b~rl": ("more/small.abl/a b/rl", "rl"),
        "sft": ("sft", "sft"),
    }
    assert list(places([runs / "small", runs / "small"])) == ["small", "small~2"]
    assert kind_of(tmp_path / "more") is None
