"""Who may ask, and how much: the guard in front of a small application."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from rl.serve import guard
from rl.serve.guard import HEADERS, Guard
from tests.rl.serve.loops import alone

TOKEN = "a-token-of-many-letters"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def ask(app: Guard, path: str = "/ask", **request: Any) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
            return await client.request("POST", path, **request)

    return alone(asked())


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
def test_names_of_the_loopback_are_let_in(host: str) -> None:
    assert ask(Guard(echo), headers={"host": host}, content=b"abc").text == "3"


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "", "127.0.0.1.evil.example:80", "[::1", "a@b"]
)
def test_a_name_that_was_bound_to_the_loopback_by_others_is_refused(host: str) -> None:
    answer = ask(Guard(echo), headers={"host": host})
    assert answer.status_code == 403 and "loopback" in answer.json()["error"]["message"]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:9999", "file://"])
def test_pages_of_other_origins_are_refused(origin: str) -> None:
    assert ask(Guard(echo), headers={"origin": origin}).status_code == 403
    assert ask(Guard(echo, TOKEN), headers={"origin": origin}).status_code == 403
    assert ask(Guard(echo), headers={"origin": "http://localhost:8000"}).status_code == 200


@pytest.mark.parametrize("given", [None, "Bearer ", "Bearer wrong", f"Bearer {TOKEN}x", "Bearer \xff", TOKEN[:-1]])
def test_without_the_token_there_is_the_page_alone(given: str | None) -> None:
    headers = {} if given is None else {"authorization": given.encode("latin-1")}
    for path in ("/ask", "/served", "/schema", "/metrics", "/openapi.json", "/v1/models", "/upload", "/page"):
        answer = ask(Guard(echo, TOKEN), path, headers=headers)
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    assert [ask(Guard(echo, TOKEN), path, headers=headers).status_code for path in ("/", "/healthz")] == [200, 200]


def test_with_the_token_any_host_is_let_in() -> None:
    headers = {"authorization": f"Bearer {TOKEN}", "host": "gpu-box.example"}
    assert ask(Guard(echo, TOKEN), headers=headers).status_code == 200


async def chunks(count: int, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    for _ in range(count):
        await asyncio.sleep(pause_s)
        yield b"x" * 100_000


def test_a_body_too_large_is_not_given_to_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    told = ask(Guard(echo), content=b"x" * 10_000_000)
    untold = ask(Guard(echo), content=chunks(100))
    for answer in (told, untold):
        assert answer.status_code == 413 and "at most 262144 bytes" in answer.json()["error"]["message"]
    lying = ask(Guard(echo), content=chunks(100), headers={"content-length": "10"})
    assert lying.status_code == 413
    assert ask(Guard(echo), content=chunks(2)).text == "200000"
    assert ask(Guard(echo, upload=10**6), "/upload", content=b"x" * 10**6).text == "1000000"
    assert ask(Guard(echo, upload=10**6), "/upload", content=b"x" * (10**6 + 1)).status_code == 413
    assert ask(Guard(echo), "/upload", content=b"x").status_code == 413


def test_a_body_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_S", 0.05)
    assert ask(Guard(echo), content=chunks(3, pause_s=0.1)).status_code == 408


def test_every_answer_is_sealed_and_none_is_open_to_other_origins() -> None:
    for answer in (ask(Guard(echo)), ask(Guard(echo, TOKEN)), ask(Guard(echo), content=b"x" * 10**6)):
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert not [name for name in answer.headers if name.startswith("access-control")]
