"""A finished run, started again."""

import json
from pathlib import Path

import pytest

from rl.config import RlConfig
from sft.config import RunConfig, SftConfig
from sft.finished import FILE, is_finished, mark, unmark
from sft.settings.file import validate


def config_of(directory: Path, **settings) -> RlConfig:
    return RlConfig(init_adapter=str(directory / "start"), run=RunConfig(name="x", dir=str(directory)), **settings)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "adapter_model.safetensors").write_bytes(b"weights")
    (tmp_path / "x" / "report").mkdir(parents=True)
    mark(config_of(tmp_path), tmp_path / "data")
    return tmp_path


def test_the_same_settings_data_and_start_are_finished_and_the_report_is_named(run, capsys):
    assert is_finished(config_of(run), run / "x" / ".." / "data")
    assert f"its report is {run}/x/report" in capsys.readouterr().out
    assert is_finished(validate(RlConfig, json.loads(config_of(run).model_dump_json()), "rl.train"), run / "data")


def test_anything_else_that_is_asked_for_is_not_finished(run):
    assert not is_finished(config_of(run, steps=41), run / "data"), "more steps go on"
    assert not is_finished(config_of(run), run / "other"), "other data"
    assert not is_finished(config_of(run), None)
    again = config_of(run).model_copy(update={"run": RunConfig(name="x", dir=str(run), overwrite=True)})
    assert not is_finished(again, run / "data")
    (run / "start" / "adapter_model.safetensors").write_bytes(b"other weights")
    assert not is_finished(config_of(run), run / "data"), "another start under the same name"


def test_a_run_that_goes_on_or_whose_mark_is_torn_is_not_finished(run):
    (run / "x" / FILE).write_text('{"settings"')
    assert not is_finished(config_of(run), run / "data")
    mark(config_of(run), run / "data")
    unmark(run / "x")
    assert not is_finished(config_of(run), run / "data")


def test_sft_runs_are_marked_in_the_same_way(tmp_path):
    config = SftConfig(run=RunConfig(name="x", dir=str(tmp_path)))
    (tmp_path / "x" / "report").mkdir(parents=True)
    mark(config, None)
    assert is_finished(config, None) and not is_finished(config, tmp_path)
