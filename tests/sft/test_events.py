"""Where figures go beside a run's own files."""

import json
import logging
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from evaluation.errors import UserError
from rl.config import RlConfig
from sft.config import RunConfig
from sft.events import TRACKERS, Events
from sft.ready import check_outputs

STEPS = {1: 0.25, 2: 0.5}


def report(run: Path, name: str) -> None:
    run.mkdir()
    (run / "config.json").write_text(json.dumps({"steps": 2, "run": {"name": run.name}}))
    events = Events(run, [name])
    for step, value in STEPS.items():
        events.scalars({"dev/ex_strict": value}, step)
        events.text("samples", "How many?\ngold: SELECT 1", step)
    events.close()


def test_a_tracker_that_is_not_installed_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="run.report_to names mlflow, which is not installed: pip install mlflow"):
        check_outputs(RunConfig(dir=str(tmp_path), report_to=("mlflow",)))
    check_outputs(RunConfig(dir=str(tmp_path)))
    with pytest.raises(ValueError, match="'trackio', 'wandb' or 'mlflow'"):
        RlConfig.model_validate({"run": {"report_to": ["visdom"]}})


def test_a_tracker_that_fails_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unreachable(*_: object) -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.setitem(TRACKERS, "wandb", unreachable)
    with caplog.at_level(logging.WARNING):
        report(tmp_path / "one", "wandb")
    assert caplog.messages == ["wandb gets no more of this run: no route to host"]
    written = EventAccumulator(str(tmp_path / "one" / "tensorboard"))
    written.Reload()
    assert [one.value for one in written.Scalars("dev/ex_strict")] == list(STEPS.values())


def test_mlflow_gets_figures_settings_and_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri(f"file:{tmp_path / 'mlruns'}")
    report(tmp_path / "one", "mlflow")
    (run,) = mlflow.search_runs(experiment_names=["rollsql"], output_format="list")
    assert (run.info.run_name, run.data.metrics["dev/ex_strict"]) == ("one", 0.5)
    assert {path.name for path in (tmp_path / "mlruns").rglob("*.txt")} == {"step_000001.txt", "step_000002.txt"}
    assert next((tmp_path / "mlruns").rglob("settings.json")).is_file()


def test_wandb_gets_them_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    report(tmp_path / "one", "wandb")
    (kept,) = (tmp_path / "one" / "wandb").glob("offline-run-*")
    assert (tmp_path / "one" / "tensorboard" / "wandb-run").read_text() in kept.name


def test_trackio_gets_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    storage = pytest.importorskip("trackio.sqlite_storage").SQLiteStorage
    report(tmp_path / "one", "trackio")
    rows = storage.get_logs("rollsql", "one")
    assert {row["step"]: row["dev/ex_strict"] for row in rows if "dev/ex_strict" in row} == STEPS
    assert storage.get_run_config("rollsql", "one")["steps"] == 2
