"""The whole of RL on its real parts: Ray, vLLM, a 4-bit learner, SQLite. Nothing is mocked."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from evaluation.errors import UserError
from rl.config import RlConfig
from rl.run import opened
from rl.train.__main__ import main
from sft.config import RunConfig
from sft.policy import checkpoint
from sft.policy.stores import open_store
from sft.run_lock import locked
from tests.cluster.head import ray_head

pytestmark = pytest.mark.slow  # starts Ray, the engine and a learner
ROOT = Path(__file__).parents[2]
STEPS = 4
SETTINGS = [
    f"steps={STEPS}",
    "rollout.questions=16",
    "rollout.samples=4",
    "rollout.refills=1",
    "evaluation.limit=8",
    "evaluation.samples=2",
    "checkpoint.every=2",
    "engine.kv_cache_gib=0.1",
]


def command(module, runs, *settings):
    return [
        sys.executable,
        "-m",
        module,
        "--config",
        f"{module.split('.')[0]}/configs/tiny.toml",
        f"run.dir={runs}",
        *settings,
    ]


def rl_command(runs, name):
    return command("rl.train", runs, f"run.name={name}", "init_adapter=rl/adapters/tiny", *SETTINGS)


def finished(line):
    result = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return result.stdout


def metrics_of(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def trained_adapter(run):
    return (run / "adapter" / "adapter_model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A directory of runs."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def undisturbed(runs):
    finished(rl_command(runs, "undisturbed"))
    return runs / "undisturbed"


def test_the_whole_loop_learns_from_executed_sql_and_reports(undisturbed):
    rows = metrics_of(undisturbed)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert all(row["samples"] in (64, 128) and row["mismatch"] < 2e-2 and row["canary"] < 2e-2 for row in rows)
    assert any(row["no_signal"] < 1 and row["grad_norm"] > 0 for row in rows)
    assert all(0 <= row["object_store_mib"] < 16 for row in rows)
    summary = json.loads((undisturbed / "report" / "summary.json").read_text())
    assert all(
        0 <= summary[name][key] <= 1 for name in ("base", "sft", "rl") for key in ("ex_strict", "ex_strict_sampled")
    )
    rollouts = pq.read_table(undisturbed / "rollouts" / "step_000001.parquet").to_pylist()
    assert len(rollouts) == rows[0]["samples"]
    assert all(len(r["token_ids"]) == len(r["log_probs"]) and r["policy_step"] == 0 for r in rollouts)
    assert {r["verdict"] for r in rollouts if r["reward"] > 0} == {"correct"}


def test_a_finished_run_started_again_says_so_at_once_and_touches_nothing(runs, undisturbed):
    before = {path: path.read_bytes() for path in undisturbed.rglob("*") if path.is_file()}
    assert f"finished: nothing to do; its report is {undisturbed}/report" in finished(rl_command(runs, "undisturbed"))
    assert {path: path.read_bytes() for path in undisturbed.rglob("*") if path.is_file()} == before
    log = (undisturbed / "log.txt").read_text()
    assert "step 1/4" in log and "evaluating" in log and log.rstrip().endswith(f"report: {undisturbed}/report")


def started(line, moment):
    """The driver, a second after it said so, and the processes that it has started."""
    driver = subprocess.Popen(
        line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert driver.stdout is not None
    while not (said := driver.stdout.readline()).startswith(moment):
        assert said, "it must get as far"
    time.sleep(1)  # in the middle of it
    return driver, psutil.Process(driver.pid).children(recursive=True)


@pytest.mark.parametrize("moment", [pytest.param("starting 1 learner", marks=pytest.mark.long), "step 1/4"])
def test_ctrl_c_at_any_moment_ends_in_one_line_and_leaves_no_process(runs, moment):
    line = rl_command(runs, "stopped")
    driver, children = started(line, moment)
    os.killpg(driver.pid, signal.SIGINT)  # as a terminal does
    _, error = driver.communicate(timeout=15)
    assert driver.returncode == 130 and "Traceback" not in error, error
    *_, last = error.splitlines()  # before it stands what the run has logged
    assert error.count("interrupted") == 1 and last.startswith(f"interrupted: {runs}/stopped")
    assert last.endswith(" ".join(line[1:]))
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.long
def test_a_killed_driver_leaves_no_process(runs):
    driver, children = started(rl_command(runs, "killed"), "starting 1 learner")
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    _, alive = psutil.wait_procs(children, timeout=150)  # Ray notices the loss of its driver by itself, in its own time
    assert not alive, f"left behind: {[p.cmdline()[:3] for p in alive]}"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("learner.learning_rate=1e-5", "made with another learner.learning_rate (then 0.003, now 1e-05)"),
        ("steps=3", "has learned 4 steps, more than steps = 3"),
    ],
)
def test_a_run_does_not_go_on_with_other_settings_and_stays_as_it_was(runs, undisturbed, setting, message, capsys):
    before = {path: path.read_bytes() for path in undisturbed.rglob("*") if path.is_file()}
    assert main([*rl_command(runs, "undisturbed")[3:], setting]) == 2
    assert message in capsys.readouterr().err
    assert {path: path.read_bytes() for path in undisturbed.rglob("*") if path.is_file()} == before


def test_a_job_whose_driver_is_killed_and_disk_lost_is_resumed_by_the_same_line_to_the_same_adapter_bit_for_bit(
    runs, undisturbed, tmp_path
):
    with ray_head(num_cpus=8) as head:
        kept = [f"checkpoint.dir=file://{tmp_path}/safe", "evaluation.base=false"]
        command = ["python", *rl_command(runs, "job")[1:], *kept]
        line = [sys.executable, "-m", "cluster.submit", "--address", head.address, "--", *command]
        settings = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | head.env
        with (tmp_path / "job.log").open("w") as log:
            following = subprocess.Popen(line, cwd=ROOT, env=settings, stdout=log, stderr=log)
        wait_for_step(following, runs / "job", 3)
        driver_of_job("run.name=job").kill()
        assert following.wait(timeout=120) not in (0, None), "a killed job must not look finished"
        first = metrics_of(runs / "job")[0]
        shutil.rmtree(runs / "job")
        again = subprocess.run(line, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=600)
        assert again.returncode == 0, again.stdout[-3000:] + again.stderr[-3000:]
        actors = {actor["class_name"] for actor in head.get("/api/v0/actors")["data"]["result"]["result"]}
    assert {"learner", "engine", "reward-0"} <= actors, "the driver must have joined this cluster"
    assert "resuming" in again.stdout and f" is {runs} on the head" in again.stdout and "SUCCEEDED" in again.stdout
    rows = metrics_of(runs / "job")
    assert [row["step"] for row in rows] == [1, 2, 3, 4] and rows[0] == first
    assert {path.name for path in (runs / "job" / "evaluations").iterdir()} == {"sft.json", "rl.json"}
    assert trained_adapter(runs / "job") == trained_adapter(undisturbed)
    assert sorted(path.name for path in (tmp_path / "safe" / "job").iterdir()) == ["step_000002", "step_000004"]


def driver_of_job(name):
    """The process of `python -m rl.train … name …`, which is neither `cluster.submit` nor a shell."""
    (driver,) = [
        process
        for process in psutil.process_iter(["cmdline"])
        if {"rl.train", name} <= set(process.info["cmdline"] or ()) and "cluster.submit" not in process.info["cmdline"]
    ]
    return driver


def wait_for_step(process, run, step):
    deadline = time.monotonic() + 300
    while not (run / "metrics.jsonl").exists() or len(metrics_of(run)) < step:
        assert time.monotonic() < deadline and process.poll() is None, f"no step {step} (exit code {process.poll()})"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("rollout.sample=4", "rollout.samples"),
        ("rollout.samples=1", "rollout.samples"),
        ("model.path=no/such/model", "no/such/model"),
        ("data.benchmark=spider", "--data"),
        ("model.max_length=120", "model.max_length"),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_written(tmp_path, setting, message, capsys):
    assert main([*command("rl.train", tmp_path, "init_adapter=")[3:], setting]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error and len(error.splitlines()) < 24
    assert not list(tmp_path.iterdir())


def test_overwrite_starts_anew_and_removes_only_what_a_run_leaves(tmp_path):
    config = RlConfig(init_adapter="a", run=RunConfig(name="x", dir=str(tmp_path)))
    checkpoint.write(open_store(config.checkpoint_place), checkpoint.Checkpoint(9, {}, {"run.seed": "1"}), keep=2)
    for name in ("metrics.jsonl", "mine.txt"):
        (config.run.path / name).write_text("")
    with pytest.raises(UserError, match=r"another run\.seed"), opened(config, {"run.seed": "0"}):
        pass
    config = config.model_copy(update={"run": config.run.model_copy(update={"overwrite": True})})
    with opened(config, {"run.seed": "0"}) as run:
        assert run.saved is None and run.steps == range(1, config.steps + 1)
        assert {path.name for path in config.run.path.iterdir()} == {"mine.txt", ".lock", "config.json"}


def test_two_drivers_do_not_share_a_run_directory(tmp_path):
    with (
        locked(tmp_path / "run"),
        pytest.raises(UserError, match=r"in use by another process.*run\.name"),
        locked(tmp_path / "run"),
    ):
        pass
    with locked(tmp_path / "run"):
        pass
