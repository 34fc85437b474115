import pytest

from evaluation.errors import UserError
from sft.checkpoint import Checkpoint, newest, write

IDENTITY = {"settings": "a", "training data": "b"}


def newest_step(directory):
    checkpoint = newest(directory, IDENTITY)
    return checkpoint.step if checkpoint else None


def saved(tmp_path, *steps, keep=9):
    for step in steps:
        write(tmp_path, Checkpoint(step, {"x.bin": bytes([step]) * 10, "y.json": b"{}"}, IDENTITY), keep)
    return tmp_path


def test_the_newest_checkpoint_comes_back_as_written(tmp_path):
    checkpoint = newest(saved(tmp_path, 5, 10), IDENTITY)
    assert checkpoint == Checkpoint(10, {"x.bin": b"\n" * 10, "y.json": b"{}"}, IDENTITY)


@pytest.mark.parametrize("damage", ["truncate", "flip", "no manifest", "empty manifest", "missing file"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path, caplog, damage):
    path = saved(tmp_path, 5, 10) / "step_000010"
    if damage == "truncate":
        (path / "x.bin").write_bytes(b"\n" * 9)
    elif damage == "flip":
        (path / "x.bin").write_bytes(b"\n" * 9 + b"!")
    elif damage == "missing file":
        (path / "x.bin").unlink()
    elif damage == "no manifest":
        (path / "MANIFEST.json").unlink()
    else:
        (path / "MANIFEST.json").write_text("")
    assert newest_step(tmp_path) == 5
    assert "step_000010" in caplog.text


def test_a_write_that_was_cut_short_is_no_checkpoint(tmp_path):
    (saved(tmp_path, 5) / ".step_000010.partial").mkdir()
    assert newest_step(tmp_path) == 5


def test_a_checkpoint_of_other_data_is_refused_and_left_alone(tmp_path):
    saved(tmp_path, 5)
    with pytest.raises(UserError, match="another training data"):
        newest(tmp_path, IDENTITY | {"training data": "c"})
    assert newest_step(tmp_path) == 5


def test_only_the_newest_are_kept(tmp_path):
    saved(tmp_path, 5, 10, 15, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step_000010", "step_000015"]
