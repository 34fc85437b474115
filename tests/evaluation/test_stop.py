"""Ctrl-C and SIGTERM, sent to real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from evaluation.stop import same_line

ROOT = Path(__file__).parents[2]
SCRIPT = """
import hashlib, subprocess, sys, threading, time
from evaluation.console import log_to, recorded
from evaluation.stop import keeps, stoppable
from pathlib import Path
with recorded(), stoppable():
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    print("child", child.pid, flush=True)
    if sys.argv[1] != "early":
        log_to(Path(sys.argv[2]))
        keeps("runs/x keeps step 20 of 30")
    threading.Thread(target=child.wait).start()  # a thread that the end of its child wakes, and that complains
    print("ready", flush=True)
    if sys.argv[1] == "computing":  # out of reach of a handler in this thread
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)
    time.sleep(1000)
"""


@pytest.mark.parametrize(
    ("moment", "number", "says"),
    [
        ("early", signal.SIGINT, "interrupted: nothing was written; start again with: "),
        ("waiting", signal.SIGTERM, "terminated: runs/x keeps step 20 of 30; go on with: "),
        ("computing", signal.SIGINT, "interrupted: runs/x keeps step 20 of 30; go on with: "),
    ],
)
def test_a_signal_ends_all_in_one_line_that_says_how_to_go_on(tmp_path, moment, number, says):
    (tmp_path / "run.py").write_text(SCRIPT)
    line = [sys.executable, str(tmp_path / "run.py"), moment, str(tmp_path), "run.overwrite=true"]
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(line, env=path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = psutil.Process(int(process.stdout.readline().split()[1]))
    assert process.stdout.readline() == "ready\n"
    began = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + number and time.monotonic() - began < 5
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert said.startswith(says) and len(said.splitlines()) == 1
    # what was begun is gone on with, and not begun anew by the same words
    assert ("run.overwrite" in said) == (moment == "early")
    if moment != "early":
        log = (tmp_path / "log.txt").read_text()
        assert "  ready\n" in log and says in log and f"child {child.pid}" in log, "with what was said before"


def test_the_line_to_go_on_is_one_for_the_shell():
    assert same_line(["python", "-m", "sft.train", "run.overwrite = true", "a b"]) == "python -m sft.train 'a b'"


def test_a_traceback_goes_to_the_log_too(tmp_path):
    script = SCRIPT.split("    child =")[0] + "    log_to(Path(sys.argv[1]))\n    1 / 0"
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, env=os.environ
    )
    assert result.returncode == 1 and "ZeroDivisionError" in result.stderr
    assert "ZeroDivisionError" in (tmp_path / "log.txt").read_text()
