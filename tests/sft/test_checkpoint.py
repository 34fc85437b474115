import pytest

from evaluation.errors import UserError
from sft.policy.checkpoint import Checkpoint, newest, write
from sft.policy.stores import Bucket, Folder, open_store

IDENTITY = {"settings": "a", "training data": "b"}


@pytest.fixture(params=["folder", "url"])
def store(request, tmp_path):
    """The same files underneath: a folder, and a URL of a file system without renames."""
    return open_store(tmp_path if request.param == "folder" else f"file://{tmp_path}")


def newest_step(store):
    checkpoint = newest(store, IDENTITY)
    return checkpoint.step if checkpoint else None


def saved(store, *steps, keep=9):
    for step in steps:
        write(store, Checkpoint(step, {"x.bin": bytes([step]) * 10, "run/y.json": b"{}"}, IDENTITY), keep)
    return store


def test_the_newest_checkpoint_comes_back_as_written(store):
    assert newest(store, IDENTITY) is None
    checkpoint = newest(saved(store, 5, 10), IDENTITY)
    assert checkpoint == Checkpoint(10, {"x.bin": b"\n" * 10, "run/y.json": b"{}"}, IDENTITY)


@pytest.mark.parametrize("damage", ["truncate", "flip", "no manifest", "empty manifest", "missing file"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(store, tmp_path, caplog, damage):
    saved(store, 5, 10)
    path = tmp_path / "step_000010"
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
    assert newest_step(store) == 5
    assert "step_000010" in caplog.text
    assert newest_step(saved(store, 10)) == 10, "a damaged one must not stand in the way of a whole one"


class Cut(Exception):
    pass


@pytest.mark.parametrize("kind", ["folder", "url"])
def test_a_write_that_was_cut_short_is_no_checkpoint(tmp_path, monkeypatch, kind):
    store = saved(Folder(tmp_path) if kind == "folder" else Bucket(f"file://{tmp_path}"), 5)
    if isinstance(store, Folder):
        monkeypatch.setattr("sft.policy.stores.os.rename", lambda *paths: (_ for _ in ()).throw(Cut))
    else:
        put = store._fs.put_file
        sent: list[str] = []

        def once(local, target):
            if sent:
                raise Cut
            sent.append(target)
            put(local, target)

        monkeypatch.setattr(store._fs, "put_file", once)
    with pytest.raises((Cut, UserError)):
        saved(store, 10)
    monkeypatch.undo()
    assert newest_step(store) == 5


def test_a_checkpoint_of_other_data_is_refused_and_left_alone(store):
    saved(store, 5)
    with pytest.raises(UserError, match="another training data"):
        newest(store, IDENTITY | {"training data": "c"})
    assert newest_step(store) == 5


def test_only_the_newest_are_kept(store, tmp_path):
    saved(store, 5, 10, 15, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step_000010", "step_000015"]


@pytest.mark.parametrize("url", ["nowhere://bucket/runs", "s3://bucket/runs"])
def test_a_url_that_cannot_be_opened_names_the_setting_and_what_to_install(url):
    with pytest.raises(UserError, match=r"checkpoint\.dir: .*cannot be opened(?s:.*)s3fs"):
        open_store(url)
