"""What of the Hugging Face hub is fetched, and what in its cache will do; the cache is huggingface_hub's own layout."""

import fnmatch
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from evaluation.errors import UserError
from sft.policy.hub import UNWANTED, WANTED, fetched
from sft.policy.model_files import missing_files, require_text_model
from tests.conftest import ROOT

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": "{}",
    "tokenizer_config.json": '{"chat_template": "x"}',
    "model.safetensors.index.json": json.dumps(
        {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    ),
    "model-1.safetensors": "1",
    "model-2.safetensors": "2",
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of owner/name: every file a link into blobs. No network, as in all tests."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--owner--name"
    for folder in ("blobs", "refs", f"snapshots/{COMMIT}"):
        (repository / folder).mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    for name, text in FILES.items():
        (repository / "blobs" / f"blob-{name}").write_text(text)
        (repository / "snapshots" / COMMIT / name).symlink_to(f"../../blobs/blob-{name}")
    return repository


def test_a_whole_snapshot_is_taken_from_the_cache(cache):
    assert fetched("owner/name") == cache / "snapshots" / COMMIT


def test_a_whole_snapshot_serves_without_a_network_beside_another_interrupted_file(cache):
    (cache / "blobs" / "other.incomplete").write_text("half")
    assert fetched("owner/name") == cache / "snapshots" / COMMIT


@pytest.mark.parametrize("lost", ["model-2.safetensors", "tokenizer_config.json"])
def test_a_snapshot_that_lacks_a_file_is_asked_for_again(cache, lost):
    (cache / "snapshots" / COMMIT / lost).unlink()
    with pytest.raises(UserError, match=f"lacks {lost}, and could not be fetched") as error:
        fetched("owner/name")
    assert "\n" not in str(error.value)


def test_a_link_to_a_file_that_never_came_is_no_file(cache):
    (cache / "blobs" / "blob-model-1.safetensors").rename(cache / "blobs" / "blob-model-1.safetensors.incomplete")
    with pytest.raises(UserError, match="lacks model-1.safetensors"):
        fetched("owner/name")


@pytest.mark.parametrize("name", ["owner/unknown", "owner/a--b..c", "owner/-x"])
def test_a_name_that_is_nowhere_is_a_user_error(cache, name):
    with pytest.raises(UserError, match=name):
        fetched(name)


def test_weights_are_fetched_once_and_in_one_layout():
    offered = {
        "config.json": True, "model.safetensors": True, "model-00001-of-00002.safetensors": True,
        "model.safetensors.index.json": True, "tokenizer.model": True, "tokenizer.json": True, "merges.txt": True,
        "chat_template.jinja": True, "generation_config.json": True,
        "consolidated.safetensors": False, "consolidated-1-of-2.safetensors": False, "consolidated.00.pth": False,
        "params.json": False, "tekken.json": False, "original/params.json": False, "original/tokenizer.model": False,
        "onnx/config.json": False, "pytorch_model.bin": False, "model.gguf": False, "modeling_custom.py": False,
    }  # fmt: skip
    for name, wanted in offered.items():
        taken = any(fnmatch.fnmatch(name, p) for p in WANTED) and not any(fnmatch.fnmatch(name, p) for p in UNWANTED)
        assert taken == wanted, name


def test_what_a_directory_lacks_is_told(tmp_path):
    for name, text in {"config.json": "{}", "tokenizer_config.json": "{}", "model.safetensors": ""}.items():
        (tmp_path / name).write_text(text)
    assert missing_files(tmp_path) == ["chat_template.jinja"]
    (tmp_path / "chat_template.jinja").write_text("x")
    assert missing_files(tmp_path) == []


@pytest.mark.parametrize("part", ["vision_config", "text_config", "audio_config"])
def test_a_multi_modal_model_is_refused_by_name_of_its_part(tmp_path, part):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gemma3", part: {"hidden_size": 8}}))
    with pytest.raises(UserError, match=f"is multi-modal .*{part}"):
        require_text_model(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "gemma3_text", "vision_config": null}')
    require_text_model(tmp_path)


class Hub(BaseHTTPRequestHandler):
    """The hub's side of a download: a listing, the head of a file, and the file, from any byte on."""

    files = {**FILES, "consolidated.safetensors": "3", "params.json": "{}"}
    sent: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self._answer(b"", self._file())

    def do_GET(self) -> None:
        if self.path.startswith("/api/"):
            listing = [{"type": "file", "path": n, "size": len(t), "oid": f"blob-{n}"} for n, t in self.files.items()]
            tree = "/tree/" in self.path
            self._answer(json.dumps(listing if tree else {"id": "owner/name", "sha": COMMIT, "siblings": []}).encode())
        else:
            self.sent.append(self._file())
            self._answer(self.files[self._file()].encode(), self._file())

    def _file(self) -> str:
        return self.path.split("?")[0].rsplit("/", 1)[-1]

    def _answer(self, body: bytes, name: str = "") -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.files[name]) if name else len(body)))
        self.send_header("Content-Type", "application/json")
        if name:
            self.send_header("ETag", f'"blob-{name}"')
            self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_what_an_interrupted_download_lacks_is_fetched_and_nothing_else(cache):
    (cache / "snapshots" / COMMIT / "model-2.safetensors").unlink()
    (cache / "blobs" / "blob-model-2.safetensors").unlink()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HUB_OFFLINE": "0"}
    script = "from sft.policy.hub import fetched; print(fetched('owner/name'))"
    environment = os.environ | place | {"HF_HUB_CACHE": str(cache.parent), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, cwd=ROOT)
    server.shutdown()
    assert done.stdout.strip() == str(cache / "snapshots" / COMMIT), done.stderr
    assert Hub.sent == ["model-2.safetensors"]
    assert (cache / "snapshots" / COMMIT / "model-2.safetensors").read_text() == "2"
