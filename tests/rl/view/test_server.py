"""Who gets an answer, and what a browser is told about it."""

import http.client
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError

import pytest

from rl.view.__main__ import main
from rl.view.server import COOKIE

Served = Callable[..., str]


def ask(url: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body, redirects not followed."""
    host = url.split("/")[2]
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def test_pages_come_as_json_and_files_with_a_policy_that_runs_only_our_scripts(served: Served, runs: Path) -> None:
    url = served(runs)
    status, headers, body = ask(url, "/api/runs")
    assert status == 200 and json.loads(body)["runs"][0]["slug"] == "small"
    assert headers["content-type"] == "application/json" and headers["x-content-type-options"] == "nosniff"
    status, headers, body = ask(url, "/")
    assert status == 200 and b"<script src=" in body and b"http" not in body.replace(b"http-equiv", b"")
    assert (
        "default-src 'none'" in headers["content-security-policy"]
        and "unsafe" not in headers["content-security-policy"]
    )
    assert ask(url, "/api/runs/none")[0] == ask(url, "/../pyproject.toml")[0] == ask(url, "/%2e%2e/server.py")[0] == 404


def test_another_host_name_gets_nothing(served: Served, runs: Path) -> None:
    url = served(runs)
    assert ask(url, "/api/runs", Host="evil.example:80")[0] == 421
    assert ask(url, "/api/runs", Host="127.0.0.1:1")[0] == 200


def test_a_token_is_asked_for_once_and_kept_in_a_cookie_of_this_site(served: Served, runs: Path) -> None:
    url = served(runs, token="correct-horse")
    for path in ("/", "/api/runs", "/dom.js", "/?token=wrong", "/api/runs?token="):
        assert ask(url, path)[0] == 401
    status, headers, _ = ask(url, "/?token=correct-horse")
    assert status == 303 and headers["location"] == "/"
    assert "HttpOnly" in headers["set-cookie"] and "SameSite=strict" in headers["set-cookie"]
    assert ask(url, "/api/runs", Cookie=f"{COOKIE}=correct-horse")[0] == 200
    assert ask(url, "/api/runs", Cookie=f"{COOKIE}=wrong")[0] == 401
    assert ask(url, "/api/runs", Authorization="Bearer correct-horse")[0] == 200


def test_a_slow_link_gets_pages_packed(served: Served, runs: Path) -> None:
    request = urllib.request.Request(served(runs) + "api/runs/small", headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
    with pytest.raises(HTTPError):
        urllib.request.urlopen(served(runs) + "api/no")


def test_a_taken_port_a_short_token_and_no_runs_are_one_line(
    served: Served, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = served(runs).rstrip("/").rpartition(":")[2]
    assert main([str(runs), "--port", port]) == 2
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err
    assert main([str(runs), "--token", "short"]) == 2
    assert "at least 8 characters, got 5" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    assert main([]) == 2
    assert "there is no folder runs here" in capsys.readouterr().err
