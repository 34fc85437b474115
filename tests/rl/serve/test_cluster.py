"""The same application as a replica under Ray Serve; tests/cluster/test_serving.py loses a node."""

import subprocess
import sys
from typing import Any

import httpx
import openai
import pytest

from rl.serve.__main__ import main
from tests.cluster.head import free_port
from tests.rl.serve.conftest import ROOT, SHOP, Server

ASKED = {"question": "How many products are there?", "database": "shop"}


@pytest.mark.slow
def test_a_replica_answers_as_the_server_does(server: Server) -> None:
    port = free_port()
    command = [sys.executable, "-m", "rl.serve", "--database", str(SHOP), "--cluster", "--port", str(port)]
    with subprocess.Popen([*command, "--max-tokens", "64"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(3)]
        assert said[0] == f"http://127.0.0.1:{port}/\n" and said[2].startswith("1 replica on the Ray cluster "), said
        alone, here = (
            httpx.post(f"{url}/ask", json=ASKED, timeout=60).json() for url in (server.url, said[0].strip("/\n"))
        )
        assert here == {**alone, "seconds": here["seconds"]}
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none")
        messages: Any = [{"role": "user", "content": ASKED["question"]}]
        chunks = client.chat.completions.create(model="tiny", messages=messages, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == alone["sql"]
        large = httpx.post(f"http://127.0.0.1:{port}/ask", content=b"x" * 10_000_000, timeout=60)
        assert large.status_code == 413  # the guard stands before it there, too
        assert httpx.get(f"http://127.0.0.1:{port}/", headers={"host": "elsewhere"}).status_code == 403
        process.terminate()
        assert process.wait(60) == 0


def test_what_a_cluster_cannot_serve_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*options: str) -> str:
        assert main(["--database", str(SHOP), *options]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    assert "--replicas needs --cluster, got --replicas 2" in refused("--replicas", "2")
    assert "--uploads needs one server" in refused("--cluster", "--uploads", "5")
    assert "--port must be given with --cluster" in refused("--cluster", "--port", "0")
    monkeypatch.setitem(sys.modules, "ray.serve", None)
    assert "ray.serve is not installed; install it with: pip install 'ray[serve]==" in refused("--cluster")
