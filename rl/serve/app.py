"""The application: OpenAI's endpoints, `/ask` and what the page needs. All state is in what it is given.

Endpoints that compute run in threads; the engine batches what they ask of it (`rl.serve.batcher`).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from evaluation.benchmarks import layout as dialogue
from evaluation.errors import UserError, one_screen
from graph.schema import SchemaError
from rl import wire
from rl.asker import LONGEST_QUESTION, Asker
from rl.picture import picture
from rl.selection import Select, Selection
from rl.serve.batcher import Batcher, Busy, EngineLost
from rl.serve.chat import Chat, ChatRequest, Number, asked_policy, model, models
from rl.serve.databases import Databases, Full, NotOffered, Unknown
from rl.serve.feedback import Feedback, Verdict
from rl.serve.guard import Guard, error_body
from rl.serve.metrics import TYPE as METRICS_TYPE
from rl.serve.metrics import Metrics

PAGE = Path(__file__).with_name("page")
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
THREADS = 128
MOST_CANDIDATES = 32
Id = Field(default="", max_length=200, description="id of a database; the first where none is given")


class Error(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    error: Error


class Turn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: str = Field(max_length=LONGEST_QUESTION)
    sql: str = Field(max_length=LONGEST_QUESTION)


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: str = Field(pattern=r"\S", max_length=LONGEST_QUESTION, description="in words")
    database: str = Id
    evidence: str = Field(default="", max_length=LONGEST_QUESTION, description="knowledge given with the question")
    policy: str = Field(default="", max_length=200, description="base, or an adapter's name; the last one by default")
    history: list[Turn] = Field(default=[], max_length=100, description="earlier turns of a dialogue, oldest first")
    candidates: Annotated[int, Field(ge=1, le=MOST_CANDIDATES), Number] | None = Field(
        None, description="the greedy one, and samples"
    )
    select: Select | None = Field(default=None, description="how to choose among them")
    abstain_below: Annotated[float, Field(ge=0, le=1), Number] | None = Field(
        None, description="no answer with less confidence"
    )

    def selection(self, of_server: Selection) -> Selection:
        """As the server was started to select, but for what is asked for. UserError for what makes no sense."""
        names = {"candidates", "select", "abstain_below"}
        return replace(of_server, **self.model_dump(include=names, exclude_none=True))


class Rows(BaseModel):
    columns: list[str]
    rows: list[list[Any]] = Field(description='cells; {"hex"}, {"real"} and {"integer"} for what JSON cannot hold')
    truncated: bool = Field(description="whether there are more rows than these")
    status: str = Field(description="ok, error, refused, timeout, too_large or crashed")
    error: str


class Candidate(BaseModel):
    sql: str
    log_prob: float
    status: str
    error: str


class Linked(BaseModel):
    tables: list[str]
    columns: list[tuple[str, str]]
    sure: list[str] = Field(description="tables that the question names")


class Answered(Rows):
    sql: str
    linked: Linked
    seconds: float
    policy: str
    candidates: list[Candidate] | None = Field(default=None, description="all of them, the greedy one first")
    chosen: int | None = Field(default=None, description="the place of the answer among them")
    confidence: float | None = Field(default=None, description="the share of them that return what the answer does")


class Query(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sql: str = Field(min_length=1, max_length=50_000)
    database: str = Id


class Opinion(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: str = Field(pattern=r"\S", max_length=LONGEST_QUESTION)
    sql: str = Field(max_length=50_000, description="the answer's query")
    verdict: Verdict
    corrected: str = Field(default="", max_length=50_000, description="the query that is right")
    database: str = Id


class Unfit(UserError):
    """A query that is no training row."""


@dataclass(frozen=True)
class Parts:
    """What the application serves with."""

    asker: Asker
    batcher: Batcher
    databases: Databases
    feedback: Feedback
    token: str = ""


def application(parts: Parts) -> Any:
    """The ASGI application, its guard in front."""
    app = FastAPI(
        title="RollSQL",
        description=(__doc__ or "").splitlines()[0],
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        responses={code: {"model": ErrorBody} for code in (400, 401, 403, 404, 408, 409, 413, 422, 503)},
    )
    metrics = Metrics(lambda: parts.batcher.waiting, lambda: parts.asker.policies.generator.stats.tokens)
    _count(app, metrics)
    _explain(app)
    _add_page(app, parts, metrics)
    _add_asking(app, parts, metrics)
    _add_openai(app, parts)
    return Guard(app, parts.token, parts.databases.uploads)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    current_default_thread_limiter().total_tokens = THREADS
    yield


def _add_asking(app: FastAPI, parts: Parts, metrics: Metrics) -> None:
    asker, databases = parts.asker, parts.databases

    @app.post("/ask", response_model_exclude_none=True)
    def ask(asked: Asked) -> Answered:
        """A question in words: the query, and its rows."""
        path, how = databases.path(asked.database), asked.selection(asker.selection)
        if how.select == "vote_instances" and databases.is_upload(path):
            raise UserError("a database that was uploaded is not copied, so it has no instances: select vote")
        policy = asked_policy(asker, asked.policy)
        turns = [dialogue.Turn(one.question, one.sql) for one in asked.history]
        found = asker.ask(asked.question, path, asked.evidence, policy.name, turns, how)
        metrics.queries.labels(found.execution.status).inc()
        return Answered(**wire.answer(asker, found, path, asked.evidence))

    @app.post("/run")
    def run(query: Query) -> Rows:
        """A query of one's own, in the same sandbox."""
        found = asker.run(databases.path(query.database), query.sql)
        metrics.queries.labels(found.status).inc()
        return Rows(**wire.execution(found))

    @app.get("/schema")
    def schema(database: str = "", question: str = "", evidence: str = "") -> dict[str, Any]:
        """Tables, columns and joins of a database, and what a question is about."""
        longest = max(len(question), len(evidence), len(database))
        if longest > LONGEST_QUESTION:
            raise UserError(f"a question must have at most {LONGEST_QUESTION} characters, got {longest}")
        drawn = picture(asker.writer(databases.path(database)), question, evidence)
        return {"database": databases.name(database), **drawn}

    @app.post("/feedback")
    def feedback(opinion: Opinion) -> dict[str, str]:
        """A thumb, and the right query where there is one: a training row."""
        path, kept = databases.path(opinion.database), opinion.corrected or opinion.sql
        if opinion.verdict == "up" or opinion.corrected:
            found = asker.run(path, kept)
            if found.status != "ok":
                raise Unfit(f"a query must run to be learned from: {found.status}, {found.error}")
        row: dict[str, Any] = {"db_id": databases.name(opinion.database), "question": opinion.question, "sql": kept}
        row |= {"answered": opinion.sql, "corrected": bool(opinion.corrected)}
        return {"file": parts.feedback.keep(row, opinion.verdict)}

    @app.post(
        "/upload",
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def upload(request: Request, name: str = "") -> dict[str, str]:
        """A SQLite file as the body; its id from then on."""
        if len(name) > 200:
            raise UserError("the name of a database must have at most 200 characters")
        return {"database": await databases.upload(name, request.stream())}


def _add_openai(app: FastAPI, parts: Parts) -> None:
    asker, databases = parts.asker, parts.databases

    @app.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        return models(asker, databases)

    @app.get("/v1/models/{name}")
    async def one_model(name: str) -> dict[str, Any]:
        if name not in {one["id"] for one in models(asker, databases)["data"]}:
            raise Unknown(f"there is no model {name[:100]!r} here")
        return model(name)

    @app.post("/v1/chat/completions", response_model=None)
    def chat_completions(request: ChatRequest) -> Any:
        chat = Chat(request, asker, databases)
        if chat.stream:
            return StreamingResponse(chat.events(), media_type="text/event-stream")
        return chat.answer()


def _add_page(app: FastAPI, parts: Parts, metrics: Metrics) -> None:
    files = {file.name: file for file in PAGE.iterdir() if file.suffix in TYPES}

    def send(name: str) -> Response:
        return Response(files[name].read_bytes(), media_type=TYPES[files[name].suffix])

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return send("index.html")

    @app.get("/page/{name}", include_in_schema=False)
    async def page_file(name: str) -> Response:
        if name not in files:
            raise Unknown("there is no such file")
        return send(name)

    @app.get("/served")
    async def served() -> dict[str, Any]:
        """What there is to ask, and what is allowed."""
        return {
            "databases": parts.databases.ids(),
            "policies": list(parts.asker.policies.by_name),
            "policy": parts.asker.policies.default.name,
            "uploads": parts.databases.uploads,
            "feedback": parts.feedback.file is not None,
        }

    @app.get("/healthz")
    async def healthz() -> Response:
        lost = parts.batcher.failure is not None
        return JSONResponse({"status": "lost" if lost else "ok"}, 503 if lost else 200)

    @app.get("/metrics", responses={200: {"content": {"text/plain": {}}}})
    async def prometheus() -> Response:
        return Response(metrics.text(), headers={"content-type": METRICS_TYPE})


def _count(app: FastAPI, metrics: Metrics) -> None:
    @app.middleware("http")
    async def counted(request: Request, call: Any) -> Response:
        began = time.perf_counter()
        response = await call(request)
        route = request.scope.get("route")
        path = getattr(route, "path", "other")  # never what was asked for: names must not grow without bound
        metrics.requests.labels(path, response.status_code).inc()
        metrics.seconds.labels(path).observe(time.perf_counter() - began)
        return response


def _explain(app: FastAPI) -> None:
    """Every error is one JSON object with one sentence."""

    def said(status: int, message: str, code: str | None = None, headers: Any = None) -> Response:
        return JSONResponse(error_body(wire.text(one_screen(message)), status, code), status, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        return said(422, f"{where or 'the body'}: {first['msg']}", "invalid")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return said(error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(Unknown)
    async def unknown(request: Request, error: Unknown) -> Response:
        return said(404, str(error), "not_found")

    @app.exception_handler(Full)
    async def full(request: Request, error: Full) -> Response:
        return said(413, str(error), "full")

    @app.exception_handler(NotOffered)
    async def not_offered(request: Request, error: NotOffered) -> Response:
        return said(403, str(error), "not_offered")

    @app.exception_handler(Unfit)
    async def unfit(request: Request, error: Unfit) -> Response:
        return said(409, str(error), "does_not_run")

    @app.exception_handler(UserError)
    @app.exception_handler(SchemaError)
    async def wrong(request: Request, error: ValueError) -> Response:
        return said(400, str(error))

    @app.exception_handler(Busy)
    @app.exception_handler(EngineLost)
    async def busy(request: Request, error: RuntimeError) -> Response:
        return said(503, str(error), "busy", {"retry-after": "1"})

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        return said(500, "something went wrong in the server; its log says what")
