"""Databases by id, uploads, feedback: what a request may reach on the disk, and what it may not."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from evaluation.errors import UserError
from rl.serve import databases as serving
from rl.serve.databases import Databases, Full, Unknown, found
from rl.serve.feedback import Feedback
from tests.rl.serve.loops import alone


def make(path: Path, script: str = "CREATE TABLE t(a)") -> Path:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script)
    return path


async def pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def upload(served: Databases, name: str, data: bytes) -> str:
    return alone(served.upload(name, pieces(data)))


def on_disk(served: Databases) -> list[Path]:
    return list(Path(served._folder.name).iterdir())


@pytest.mark.parametrize(
    "name", ["../shop", "/etc/passwd", "shop.sqlite", "shop\0", "SHOP", "..", "%2e%2e", "shop/../shop", "x" * 10**5]
)
def test_a_name_that_is_no_id_opens_nothing(name: str, tmp_path: Path) -> None:
    served = Databases([make(tmp_path / "shop.sqlite")])
    assert served.path("shop") == served.path("") == str(tmp_path / "shop.sqlite")
    with pytest.raises(Unknown, match="there are shop") as caught:
        served.path(name)
    assert len(str(caught.value)) < 300


def test_folders_hold_databases_as_files_or_a_folder_each(tmp_path: Path) -> None:
    make(tmp_path / "a.sqlite")
    (tmp_path / "b").mkdir()
    make(tmp_path / "b" / "b.db")
    make(tmp_path / "b" / "a.sqlite3")
    (tmp_path / "notes.txt").write_text("no database")
    assert Databases(found([tmp_path])).ids() == ["a", "a-2", "b"]
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="must be a SQLite file, or a folder with some"):
        found([tmp_path / "none"])


def test_an_uploaded_database_gets_an_id_of_plain_letters_and_goes_with_the_server(tmp_path: Path) -> None:
    served = Databases([make(tmp_path / "shop.sqlite")], uploads=2**20)
    data = (tmp_path / "shop.sqlite").read_bytes()
    names = ["shop.sqlite", "../../etc/cron.d/x.db", "<script>alert(1)</script>.db", "", "é\0\n.db"]
    ids = [upload(served, name, data) for name in names]
    assert ids == ["shop-2", "x", "script", "database", "database-2"]
    folder = Path(served._folder.name)
    assert all(Path(served.path(one)).parent == folder for one in ids)
    served.close()
    assert not folder.exists()


def test_what_is_no_database_or_too_large_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    data = make(tmp_path / "shop.sqlite").read_bytes()
    empty = make(tmp_path / "empty.sqlite", "CREATE TABLE t(a); DROP TABLE t").read_bytes()
    served = Databases([], uploads=100_000)
    for bad, words in (
        (b"", "the file"),
        (b"PK\x03\x04" + data, "must be an SQLite 3 database"),
        (data[:50], "the file"),
        (data[:100] + b"\xff" * (len(data) - 100), "the file"),
        (empty, "the file"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            upload(served, "x", bad)
        assert served._folder.name not in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(Full, match="at most 0 MiB"):
        upload(served, "x", data + bytes(100_000))
    assert not served.ids() and not on_disk(served)
    with pytest.raises(UserError, match="takes no databases"):
        upload(Databases([]), "x", data)


def test_uploads_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MOST_UPLOADS", 2)
    data = make(tmp_path / "shop.sqlite").read_bytes()
    served = Databases([], uploads=10**6)
    with pytest.raises(UserError):
        upload(served, "x", b"no")
    assert [upload(served, "x", data), upload(served, "x", data)] == ["x", "x-2"]
    with pytest.raises(Full, match="2 databases"):
        upload(served, "x", data)


def test_hostile_files_are_refused_within_a_bound(cases_dir: Path) -> None:
    served = Databases([], uploads=2**26)
    with pytest.raises(UserError, match="the file"):
        upload(served, "x", (cases_dir / "databases" / "expo_schema.sqlite").read_bytes())
    assert not on_disk(served)


def test_a_thumb_up_and_a_correction_are_training_rows_and_a_thumb_down_is_not(tmp_path: Path) -> None:
    kept = Feedback(tmp_path / "train.jsonl")
    row = {"db_id": "shop", "question": "How\nmany?", "sql": "SELECT 1", "answered": "SELECT 1", "corrected": False}
    assert kept.keep(row, "up") == "train.jsonl"
    assert kept.keep({**row, "sql": "SELECT 2", "corrected": True}, "down") == "train.jsonl"
    assert kept.keep(row, "down") == "train.down.jsonl"
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [(one["db_id"], one["question"], one["sql"]) for one in rows] == [
        ("shop", "How\nmany?", "SELECT 1"),
        ("shop", "How\nmany?", "SELECT 2"),
    ]
    with pytest.raises(UserError, match="keeps no feedback"):
        Feedback(None).keep(row, "up")
