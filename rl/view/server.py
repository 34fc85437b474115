"""The viewer's web server: pages as JSON, and the static files that show them.

Guarded against
    other users of the machine, and the network    on loopback unless there is a token; the token in a cookie of its own
    other web sites in the same browser            the Host that was asked for must be ours; a cookie that no other
                                                   site sends; nothing may frame a page
    what a run holds                               pages are JSON; the browser inserts it as text, and runs no script
                                                   but ours (Content-Security-Policy)
Not guarded against
    other programs of the same user
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse
from starlette.middleware.gzip import GZipMiddleware

from evaluation.errors import UserError
from rl.view.control import Control
from rl.view.files import as_json
from rl.view.pages import Pages
from rl.view.steps import Missing

log = logging.getLogger(__name__)
STATIC = Path(__file__).with_name("static")
SHARED = Path(__file__).parent.parent.parent / "sft" / "page" / "static"
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
LOOPBACK = ("127.0.0.1", "localhost", "::1")
COOKIE = "rollsql-view"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


ACTIONS: dict[str, Callable[[Control, dict[str, Any]], dict[str, Any]]] = {
    "plan": lambda control, asked: control.plan(asked),
    "start": lambda control, asked: control.start(asked),
    "stop": lambda control, asked: control.stop(_number(asked)),
    "again": lambda control, asked: control.again(_number(asked)),
}


def _number(asked: dict[str, Any]) -> int:
    number = asked.get("number")
    return number if isinstance(number, int) else 0


def files() -> dict[str, Path]:
    """Name -> static file: those of the viewer, and those that it shares with the report's page."""
    return {path.name: path for folder in (SHARED, STATIC) for path in sorted(folder.iterdir()) if path.suffix in TYPES}


def app(
    pages: Pages, token: str = "", follow: bool = False, host: str = "127.0.0.1", control: Control | None = None
) -> FastAPI:
    """The application. token: "" lets everybody in who can reach it; follow: pages refresh themselves; control: what
    starts runs, for which there must be a token."""
    assert token or control is None
    made = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    made.add_middleware(GZipMiddleware, minimum_size=2_000)
    static = files()

    @made.middleware("http")
    async def guarded(request: Request, call: Any) -> Response:
        response = refused(request, token, host) or await call(request)
        response.headers.update(HEADERS)
        return response

    @made.get("/api/{address:path}")
    def page(address: str) -> Response:
        if address == "mode":
            return _json({"follow": follow, "control": control is not None})
        if address == "control" and control is not None:
            return _json(control.choices())
        try:
            return _json(pages.get(address))
        except Missing as error:
            return _json({"missing": str(error)}, 404)
        except (UserError, OSError) as error:
            return _json({"damaged": str(error)})

    @made.post("/api/control/{name}")
    def act(name: str, request: Request, asked: dict[str, Any]) -> Response:
        if control is None or name not in ACTIONS:
            return _json({"error": "this viewer starts nothing: run rl.view with --control"}, 404)
        if request.headers.get("x-rollsql") != "1":  # no other site's page can send it
            return _json({"error": "this did not come from the viewer's own page"}, 403)
        try:
            return _json(ACTIONS[name](control, asked))
        except UserError as error:
            return _json({"error": str(error)})

    @made.get("/{name:path}")
    def file(name: str) -> Response:
        found = static.get(name or "index.html")
        if found is None:
            return PlainTextResponse("there is no such file\n", 404)
        return FileResponse(found, media_type=TYPES[found.suffix])

    return made


def refused(request: Request, token: str, host: str) -> Response | None:
    """Why a request gets no answer; the first one with the right token gets a cookie, and an address without it."""
    asked = (request.headers.get("host") or "").rpartition(":")[0] or request.headers.get("host", "")
    if host in LOOPBACK and asked.strip("[]") not in LOOPBACK:
        return PlainTextResponse("this server answers for localhost only\n", 421)
    if not token:
        return None
    given = parse_qs(request.url.query).get("token", [""])[0]
    if given and hmac.compare_digest(given.encode(), token.encode()):
        rest = {key: value for key, value in request.query_params.items() if key != "token"}
        away = RedirectResponse(request.url.path + (f"?{urlencode(rest)}" if rest else ""), 303)
        away.set_cookie(COOKIE, token, httponly=True, samesite="strict")
        return away
    held = request.cookies.get(COOKIE) or request.headers.get("authorization", "").removeprefix("Bearer ")
    if hmac.compare_digest(held.encode(), token.encode()):
        return None
    return PlainTextResponse("a token is needed: open the address that rl.view printed\n", 401)


def _json(content: Any, status: int = 200) -> Response:
    return Response(as_json(content), status, media_type="application/json")
