"""Directories that several processes want, and what a kill leaves."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evaluation.errors import UserError
from sft.policy.directories import HeldDirectory, made_once, replacing, roomy

MAKER = """
import sys, time
from pathlib import Path
from sft.policy.directories import made_once

def fill(partial):
    (partial / "half").write_text("x")
    print("filling", flush=True)
    time.sleep(float(sys.argv[2]))
    (partial / "whole").write_text("x")

made = made_once(Path(sys.argv[1]), fill, lambda directory: (directory / "whole").is_file())
print(made.stat().st_ino, flush=True)
"""
HOLDER = """
import sys, time
from pathlib import Path
from sft.policy.directories import HeldDirectory

print(HeldDirectory(Path(sys.argv[1]), "adapters-").path.name, flush=True)
time.sleep(60)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    line = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def says(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_two_processes_make_a_directory_once_and_read_the_same(tmp_path):
    first = start(MAKER, tmp_path / "served", 1)
    assert says(first) == "filling"
    second = start(MAKER, tmp_path / "served", 1)
    answers = [says(first), says(second)]
    assert [first.wait(), second.wait()] == [0, 0]
    assert answers[0] == answers[1] == str((tmp_path / "served").stat().st_ino)  # "filling" was said once
    assert names(tmp_path) == ["served", "served.lock"]


def test_what_a_killed_process_left_is_swept_by_the_next_and_its_lock_is_free(tmp_path):
    first = start(MAKER, tmp_path / "served", 60)
    assert says(first) == "filling"
    kill(first)
    assert len(names(tmp_path)) == 2 and names(tmp_path)[0].startswith(".served-")
    began = time.perf_counter()
    second = start(MAKER, tmp_path / "served", 0)
    assert says(second) == "filling" and second.wait() == 0
    assert names(tmp_path) == ["served", "served.lock"] and time.perf_counter() - began < 30


def test_a_directory_that_lost_a_file_is_made_again(tmp_path):
    def fill(partial: Path) -> None:
        (partial / "whole").write_text("new")

    (tmp_path / "served").mkdir()
    made = made_once(tmp_path / "served", fill, lambda directory: (directory / "whole").is_file())
    assert (made / "whole").read_text() == "new" and made.stat().st_mode & 0o777 == 0o755


def test_a_held_directory_outlives_others_starts_and_not_a_kill(tmp_path):
    holder = start(HOLDER, tmp_path)
    name = says(holder)
    (tmp_path / name / "weights").write_text("x")
    own = HeldDirectory(tmp_path, "adapters-")
    assert names(tmp_path) == sorted([name, own.path.name])
    kill(holder)
    assert names(HeldDirectory(tmp_path, "adapters-").path.parent) != sorted([name, own.path.name])
    assert name not in names(tmp_path) and own.path.name in names(tmp_path)
    own.release()
    assert own.path.name not in names(tmp_path)


def test_names_that_only_begin_alike_are_left_alone(tmp_path):
    for name in (".served-old-12345678", ".served-other-12345678", ".served", "x.served-12345678"):
        (tmp_path / name).mkdir()
    (tmp_path / ".served-12345678").mkdir()
    HeldDirectory(tmp_path, ".served-").release()
    assert names(tmp_path) == [".served", ".served-old-12345678", ".served-other-12345678", "x.served-12345678"]


def test_a_failed_replacement_leaves_the_old_and_a_good_one_nothing_beside_it(tmp_path):
    target = tmp_path / "adapter"
    for text in ("old", "new"):
        with replacing(target) as partial:
            (partial / "file").write_text(text)
    with pytest.raises(RuntimeError), replacing(target) as partial:
        (partial / "file").write_text("half")
        raise RuntimeError
    assert (target / "file").read_text() == "new" and names(tmp_path) == ["adapter"]


def test_adapters_go_to_the_first_directory_with_room_for_all_that_live_at_once() -> None:
    shared, disk = Path("/dev/shm"), Path("/tmp")
    three = 3 * 154 * 2**20  # of a 7B base, rank 32; /dev/shm of a container has 64 MB
    assert roomy({shared: 64 * 2**20, disk: 10 * 2**30}, three) == disk
    assert roomy({shared: 2**30, disk: 10 * 2**30}, three) == shared
    with pytest.raises(UserError, match="need 462 MiB .* /dev/shm has 64, /tmp has 100: .* TMPDIR"):
        roomy({shared: 64 * 2**20, disk: 100 * 2**20}, three)
    with pytest.raises(UserError, match="none can be written to"):
        roomy({}, three)
