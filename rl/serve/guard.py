"""Who may ask, and how much: in front of every request, before any of it is understood.

Guarded against
    the network, other users of the machine    a token, always where the server is not on the loopback
    other sites in the same browser            Host and Origin must be this server's; no CORS; no cookie to ride on
    what the browser is shown                  it runs our script alone, and loads nothing from elsewhere
    large or endless bodies                    a bound in bytes and in seconds; what is beyond it is not kept
Not guarded against
    whoever holds the token; other programs of the same user
"""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from typing import Any

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST_BYTES = 256 * 2**10  # of a body that is no upload
DRAINED_BYTES = 64 * 2**20  # of a body too large that are read and dropped, so that its sender hears why
BODY_S = 30.0
OPEN_TO_ALL = ("/", "/healthz")  # nothing of the databases
PAGE = "/page/"
UPLOAD = "/upload"
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+))(?::\d{1,5})?", re.ASCII)
_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class Refused(Exception):
    """status and what to say."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def error_body(message: str, status: int, code: str | None = None) -> dict[str, Any]:
    """What every error looks like, which is how OpenAI's do."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


class Guard:
    """ASGI middleware. token: "" asks for none, and then Host must be a name of the loopback; upload: largest file."""

    def __init__(self, app: Any, token: str = "", upload: int = 0) -> None:
        self.app, self.token, self.upload = app, token, upload

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sealed(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        try:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            self._check_sender(scope["path"], headers)
            receive = await self._bounded(scope["path"], headers, receive)
        except Refused as refusal:
            await _say(sealed, refusal.status, str(refusal))
            return
        await self.app(scope, receive, sealed)

    def _check_sender(self, path: str, headers: dict[str, str]) -> None:
        host = headers.get("host", "")
        if not self.token and _name(host) not in LOOPBACK:
            raise Refused(403, f"the Host must be a name of the loopback, such as localhost, got {host[:100]!r}")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            raise Refused(403, f"pages of another origin ({origin[:100]!r}) may not ask this server")
        if self.token and path not in OPEN_TO_ALL and not path.startswith(PAGE):
            given = headers.get("authorization", "").removeprefix("Bearer ").strip()
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                raise Refused(401, "a token is needed: send the header Authorization: Bearer TOKEN")

    async def _bounded(self, path: str, headers: dict[str, str], receive: Any) -> Any:
        """A `receive` that gives the body, read whole already; that of an upload as it comes, under the clock."""
        most = self.upload if path == UPLOAD else MOST_BYTES
        length = headers.get("content-length", "0")
        announced = int(length) if length.isascii() and length.isdigit() else 0
        if path == UPLOAD and announced <= most:
            return _timed(receive)
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_S):
                more, size = True, 0
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(400, "the connection ended within the body")
                    chunk, more = message.get("body", b""), message.get("more_body", False)
                    size += len(chunk)
                    if max(size, announced) <= most:
                        body += chunk
                    elif size > DRAINED_BYTES:
                        break
        except TimeoutError:
            raise Refused(408, f"the body must come within {BODY_S:.0f} s") from None
        if max(size, announced) > most:
            raise Refused(413, f"the body must have at most {most} bytes, and has {max(size, announced)} or more")
        return _replayed(bytes(body), receive)


def _name(host: str) -> str:
    """The host of a Host header, without its port and brackets; "" for what is none."""
    read = _HOST.fullmatch(host)
    return (read[1] or read[2]).lower() if read else ""


def _replayed(body: bytes, receive: Any) -> Any:
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Any:
        return left.pop() if left else await receive()

    return again


def _timed(receive: Any) -> Any:
    async def timely() -> Any:
        try:
            return await asyncio.wait_for(receive(), BODY_S)
        except TimeoutError:
            return {"type": "http.disconnect"}

    return timely


async def _say(send: Any, status: int, message: str) -> None:
    body = json.dumps(error_body(message, status)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"www-authenticate", b"Bearer")] * (status == 401) + [(b"connection", b"close")] * (
        status in (408, 413)
    )
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
