"""OpenAI's chat completions: the last message of the user is the question, the answer is the model's SQL.

`model` is a policy, or POLICY@DATABASE where several databases are served; `database` and `evidence` may be given as
fields of their own. What cannot be done (tools, other formats, truncated sampling) is refused, not ignored.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from evaluation.errors import UserError
from rl.asker import Asker
from rl.policies import Policy
from rl.serve.batcher import Batcher
from rl.serve.databases import Databases, Unknown
from sft.policy.sampling import Sample, Sampling

_NEUTRAL: dict[str, tuple[Any, ...]] = {  # what leaves the answer as it is, of fields that are not offered
    "top_p": (1,),
    "top_k": (0, -1),
    "min_p": (0,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "repetition_penalty": (1,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "stop": ([], ""),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
}


class Part(BaseModel):
    type: Literal["text"]
    text: str


class Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(BaseModel):
    include_usage: bool = False


class ChatRequest(BaseModel):
    model_config = ConfigDict(extra="allow")

    model: str = Field(default="", max_length=200)
    messages: list[Message] = Field(min_length=1, max_length=1000)
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    n: int | None = Field(default=None, ge=1, le=32)
    seed: int | None = Field(default=None, ge=-(2**53), le=2**53)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    database: str = Field(default="", max_length=200, description="of several, the one that is asked")
    evidence: str = Field(default="", description="knowledge given with the question")


class Chat:
    """One completion: what is asked of whom, checked, and the answer in OpenAI's words."""

    def __init__(self, request: ChatRequest, asker: Asker, databases: Databases) -> None:
        if request.stream and (request.n or 1) > 1:
            raise UserError("a stream has one answer: leave out n, or stream")
        for name, value in (request.model_extra or {}).items():
            if name in _NEUTRAL and value is not None and value not in _NEUTRAL[name]:
                raise UserError(f"{name} = {json.dumps(value)[:100]} is not offered here; leave it out")
        question = next((one.text for one in reversed(request.messages) if one.role == "user"), "")
        if not question.strip():
            raise UserError("the last message of the user is the question, and must not be empty")
        name, _, database = request.model.partition("@")
        self.policy = asked_policy(asker, name)
        self.model = request.model or self.policy.name
        self.database = databases.path(request.database or database)
        self.prompt = asker.prompt(question, self.database, request.evidence, self.policy)
        self.stream = bool(request.stream)
        self.usage_asked = bool(request.stream_options and request.stream_options.include_usage)
        longest = request.max_completion_tokens or request.max_tokens or asker.max_tokens
        self.n = request.n or 1
        temperature = float(self.n > 1) if request.temperature is None else request.temperature
        drawn = self.n if temperature else 1  # greedy answers are all the same
        self.sampling = Sampling(drawn, temperature, min(longest, asker.max_tokens), _seed(request.seed))
        self.batcher = asker.sampler
        self._head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": self.model}

    def samples(self) -> list[Sample]:
        (found,) = self.batcher.sample([self.prompt], self.sampling, self.policy.step)
        return found * (self.n // len(found))

    def answer(self) -> dict[str, Any]:
        samples = self.samples()
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": self.policy.text(one), "refusal": None},
                "finish_reason": one.finish_reason,
                "logprobs": None,
            }
            for index, one in enumerate(samples)
        ]
        return {**self._head, "object": "chat.completion", "choices": choices, "usage": self._usage(samples)}

    async def events(self) -> AsyncIterator[str]:
        """Server-sent events: the role, the text as it is written, why it ended."""
        loop, heard = asyncio.get_running_loop(), asyncio.Queue[Any]()

        def tell(item: Any) -> None:
            loop.call_soon_threadsafe(heard.put_nowait, item)

        def work() -> None:
            try:
                assert isinstance(self.batcher, Batcher)
                (samples,) = self.batcher.sample([self.prompt], self.sampling, self.policy.step, tell)
                tell(samples[0])
            except Exception as error:
                tell(error)

        threading.Thread(target=work, daemon=True).start()
        yield self._event([_choice({"role": "assistant", "content": ""})])
        said = ""
        while True:
            item = await heard.get()
            if isinstance(item, Exception):
                yield f"data: {json.dumps({'error': {'message': str(item), 'type': 'server_error'}})}\n\n"
                return
            ended = isinstance(item, Sample)
            whole = self.policy.text(item if ended else Sample(item, [], "stop"))
            if not ended:
                whole = whole.rstrip("\ufffd")  # a letter whose bytes have not all come
            if len(whole) > len(said):
                yield self._event([_choice({"content": whole[len(said) :]})])
                said = whole
            if ended:
                break
        for line in self._end(item):
            yield line

    def _end(self, sample: Sample) -> Iterator[str]:
        yield self._event([_choice({}, sample.finish_reason)])
        if self.usage_asked:
            yield self._event([], usage=self._usage([sample]))
        yield "data: [DONE]\n\n"

    def _event(self, choices: list[dict[str, Any]], **more: Any) -> str:
        chunk = {**self._head, "object": "chat.completion.chunk", "choices": choices, **more}
        return f"data: {json.dumps(chunk)}\n\n"

    def _usage(self, samples: list[Sample]) -> dict[str, int]:
        written = sum(len(one.token_ids) for one in samples)
        read = len(self.prompt)
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def asked_policy(asker: Asker, name: str) -> Policy:
    """Unknown when there is none of this name."""
    try:
        return asker.policies.named(name)
    except UserError as error:
        raise Unknown(str(error)) from None


def models(asker: Asker, databases: Databases) -> dict[str, Any]:
    """Policies, and with several databases each of them with each."""
    names = list(asker.policies.by_name)
    ids = databases.ids()
    if len(ids) > 1:
        names += [f"{name}@{database}" for name in names for database in ids]
    return {"object": "list", "data": [model(name) for name in names]}


def model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "rollsql"}


def _choice(delta: dict[str, Any], ended: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": ended, "logprobs": None}


def _seed(given: int | None) -> int:
    return secrets.randbits(32) if given is None else given
