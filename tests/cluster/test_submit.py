"""Jobs on a real Ray head with token authentication."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cluster.dashboard import TIMEOUT_S
from cluster.errors import ClusterError, PackageTooLarge
from cluster.needs import File, Use
from cluster.package import gather
from cluster.paths import Place, absolute_path
from tests.cluster.head import Head, free_port, ray_head

ROOT = Path(__file__).resolve().parents[2]
TRAIN = ["python", "-m", "rl.train", "--config", "rl/configs/tiny.toml"]
# Joins the cluster as rl.train does, shows where it is, and fails.
PROBE = """
import os, sys
from cluster.runtime import start
with start(num_cpus=1) as runtime:
    print("joined:", not runtime.started_here, "files:", sorted(os.listdir(".")), "at", os.getcwd())
sys.exit(7)
"""
TICKS = "import time; [(print('tick', i, flush=True), time.sleep(0.5)) for i in range(600)]"


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with ray_head(num_cpus=8) as running:
        yield running


def submit_line(address: str, *command: str) -> list[str]:
    return [sys.executable, "-m", "cluster.submit", "--address", address, "--", *command]


def submit(address: str, env: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    line = submit_line(address, *command)
    return subprocess.run(line, cwd=ROOT, env=clean() | env, capture_output=True, text=True, timeout=300, check=False)


def clean() -> dict[str, str]:
    """Without what this process may have set for a Ray of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}


@pytest.mark.slow
def test_a_job_joins_the_cluster_takes_the_code_along_and_its_exit_code_comes_back(head: Head) -> None:
    done = submit(head.address, head.env, "python", "-c", PROBE)
    assert done.returncode == 7, done.stdout + done.stderr
    assert "joined: True" in done.stdout and "FAILED" in done.stdout
    files = re.search(r"files: \[(.*)\] at (\S+)", done.stdout)
    assert files and "'rl'" in files[1] and "'cluster'" in files[1]
    assert not re.search(r"\.venv|\.git|'runs'|'tests'", files[1]) and not files[2].startswith(str(ROOT))
    assert f"dashboard: {head.address}/#/jobs/raysubmit_" in done.stdout
    assert len(done.stderr.splitlines()) <= 2, done.stderr  # no traceback, and the log is not told twice


@pytest.mark.slow
def test_a_cluster_that_is_not_there_or_does_not_take_our_token_is_refused_in_seconds(head: Head) -> None:
    wrong = head.env | {"RAY_AUTH_TOKEN": "0" * 64}
    cases: list[tuple[str, dict[str, str], str]] = [
        (f"http://127.0.0.1:{free_port()}", head.env, "no Ray dashboard answers"),
        (head.address, {}, "asks for a token and got none"),
        (head.address, wrong, "refuses this token"),
        (head.address, {"RAY_AUTH_MODE": "token", "HOME": "/nonexistent"}, "there is no token here"),
        ("ftp://127.0.0.1", head.env, "must be the dashboard's"),
    ]
    for address, env, message in cases:
        began = time.monotonic()
        done = submit(address, env, "python", "-c", "pass")
        assert done.returncode == 2 and message in done.stderr, done.stdout + done.stderr
        assert "Traceback" not in done.stderr and head.env["RAY_AUTH_TOKEN"] not in done.stdout + done.stderr
        assert time.monotonic() - began < 30


@pytest.mark.slow
def test_nothing_of_the_cluster_listens_beyond_the_loopback_and_no_job_starts_without_the_token(head: Head) -> None:
    family = [psutil.Process(head.pid), *psutil.Process(head.pid).children(recursive=True)]
    sockets = [socket for process in family for socket in process.net_connections()]
    listening = {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN}
    assert listening and {ip.removeprefix("::ffff:") for ip in listening} <= {"127.0.0.1", "::1"}, listening
    job, kind = json.dumps({"entrypoint": "touch /tmp/taken"}).encode(), {"Content-Type": "application/json"}
    for headers in (kind, kind | {"Authorization": f"Bearer {'0' * 64}"}):
        request = urllib.request.Request(f"{head.address}/api/jobs/", job, headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=30)
        assert refused.value.code in (401, 403)


@pytest.mark.slow
def test_a_port_that_accepts_and_says_nothing_is_given_up(head: Head) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = submit(f"http://127.0.0.1:{silent.getsockname()[1]}", head.env, "python", "-c", "pass")
    assert done.returncode == 2 and f"within {TIMEOUT_S:g} s" in done.stderr


@pytest.mark.slow
def test_a_run_without_room_is_refused_and_names_the_bundle_and_what_is_missing(head: Head) -> None:
    done = submit(head.address, head.env, "python", "-m", "tests.cluster.needy", "--judges", "40")
    assert done.returncode == 2
    # 8 slots, of which the engines take two: the seventh judge finds none
    assert "no room for judge 7 of 40 (1 CPU" in done.stderr and "1 CPU (0 left)" in done.stderr
    assert " sent: " not in done.stdout


@pytest.mark.slow
def test_a_config_with_a_mistake_is_one_message_before_the_cluster_is_asked() -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    done = submit(nowhere, {}, *TRAIN, "rollout.sample=3")
    assert done.returncode == 2
    assert done.stderr == (
        "error: the command line: unknown key rollout.sample; did you mean rollout.samples?\n"
    ), done.stderr


@pytest.mark.slow
def test_ctrl_c_while_following_leaves_the_job_running_and_says_how_to_go_on(head: Head) -> None:
    line = submit_line(head.address, "python", "-c", TICKS)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(line, cwd=ROOT, env=clean() | head.env, text=True, **pipes) as following:  # type: ignore[call-overload]
        assert following.stdout is not None and following.stderr is not None
        seen = ""
        while "tick 1" not in (said := following.stdout.readline()):
            assert said, "the job ended before its log was seen"
            seen += said
        following.send_signal(signal.SIGINT)
        assert following.wait(timeout=30) == 130
        told = following.stderr.read()
    (job,) = re.findall(r"^job (\S+) sent", seen, re.MULTILINE)
    assert f"job {job} goes on" in told and f"ray job stop --address {head.address} {job}" in told
    assert head.get(f"/api/jobs/{job}")["status"] == "RUNNING"
    assert head.get(f"/api/jobs/{job}/stop", data=b"")["stopped"]


# ── the package


def test_the_package_holds_code_alone(tmp_path: Path) -> None:
    for name in (
        "rl/loop.py",
        "runs/x/weights.bin",
        ".git/HEAD",
        ".env",
        "rl/__pycache__/a.pyc",
        "tests/t.py",
        "a.toml",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    package = gather(tmp_path)
    assert sorted(str(file.relative_to(tmp_path)) for file in package.sizes) == ["a.toml", "rl/loop.py"]
    assert package.holds(tmp_path / "rl") and not package.holds(tmp_path / "runs" / "x")
    assert not package.holds(tmp_path.parent)


def test_a_package_that_is_too_large_names_its_largest_files(tmp_path: Path) -> None:
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(300 << 20)  # sparse
    with pytest.raises(PackageTooLarge, match=r"(?s)300 MiB in 1 files.*200 MiB.*model\.safetensors"):
        gather(tmp_path)


def test_the_checkout_is_a_small_package_with_its_model_and_benchmark() -> None:
    package = gather(ROOT)
    assert package.holds(ROOT / "sft" / "tiny") and package.holds(ROOT / "evaluation" / "tiny")
    assert package.bytes < 20 << 20


# ── the command


def place(tmp_path: Path, is_here: bool) -> Place:
    shipped = tmp_path / "rl"
    return Place(tmp_path, is_here, lambda path: path.is_relative_to(shipped), "the head gpu-7")


def absolute(command: list[str], place: Place, *files: tuple[str, str, Use]) -> list[str]:
    for name, value, use in files:
        command, _ = absolute_path(command, File(name, value, use), place)
    return command


def test_on_this_machine_relative_paths_are_taken_from_here_unless_the_package_holds_them(tmp_path: Path) -> None:
    (tmp_path / "runs" / "warm").mkdir(parents=True)
    (tmp_path / "spider").mkdir()
    command = ["python", "-m", "rl.train", "--config", "rl/a.toml", "steps=3", "--data", "spider"]
    files: list[tuple[str, str, Use]] = [
        ("--config", "rl/a.toml", "read"),
        ("--data", "spider", "read"),
        ("run.dir", "runs", "written"),
        ("checkpoint.dir", "s3://bucket/runs", "written"),
        ("init_adapter", "runs/warm", "read"),
        ("model.path", "Qwen/Qwen2.5-Coder-7B", "model"),
    ]
    assert absolute(command, place(tmp_path, is_here=True), *files) == [
        "python", "-m", "rl.train", "--config", "rl/a.toml", "steps=3",
        f"run.dir={tmp_path}/runs", f"init_adapter={tmp_path}/runs/warm", "--data", f"{tmp_path}/spider",
    ]  # fmt: skip


def test_a_path_is_found_as_option_as_setting_and_as_a_word_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a=b").mkdir()
    (tmp_path / "c").mkdir()
    here = place(tmp_path, is_here=True)
    given = ["python", "-m", "m", "--data=c", "a=b", "--runs", "c", "a=b", "out=c"]
    found = absolute(given, here, ("--data", "c", "read"), ("--runs", "c", "read"), ("out", "c", "written"))
    assert found == [*given[:3], f"--data={tmp_path}/c", "a=b", "--runs", f"{tmp_path}/c", "a=b", f"out={tmp_path}/c"]
    assert absolute(["python", "-m", "m", "c"], here, ("", "c", "read")) == ["python", "-m", "m", f"{tmp_path}/c"]
    assert absolute(["python", "-m", "m"], here, ("out", "c", "written"))[3:] == [f"out={tmp_path}/c"]
    assert absolute(["python", "-m", "m"], here, ("--out", "c", "written"))[3:] == ["--out", f"{tmp_path}/c"]


def test_for_another_machine_relative_paths_are_refused_with_the_remedy(tmp_path: Path) -> None:
    elsewhere = place(tmp_path, is_here=False)
    with pytest.raises(ClusterError, match=r"run\.dir = runs must be an absolute path: .*gpu-7.*run\.dir=/abs"):
        absolute(["python", "-m", "rl.train"], elsewhere, ("run.dir", "runs", "written"))
    with pytest.raises(ClusterError, match="give --data /absolute/path"):
        absolute(["python", "-m", "rl.train", "--data=spider"], elsewhere, ("--data", "spider", "read"))
    kept: list[tuple[str, str, Use]] = [("run.dir", "/mnt/runs", "written"), ("init_adapter", "/mnt/warm", "read")]
    assert absolute(["python"], elsewhere, *kept, ("model.path", "rl/model", "model")) == ["python"]


@pytest.mark.slow
def test_a_file_that_is_not_there_is_named_before_the_job_is_sent(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"init_adapter = runs/warm: .* does not exist"):
        absolute(["python"], place(tmp_path, is_here=True), ("init_adapter", "runs/warm", "read"))
