"""OpenAI's chat completions: the last message of the user is the question, the answer is the model's SQL; earlier
messages of the user, with the queries that were answered, are the dialogue that it goes on from.

`model` is a policy, or POLICY@DATABASE where several databases are served; `database` and `evidence` may be given as
fields of their own. What cannot be done (tools, other formats, truncated sampling) is refused, not ignored.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from evaluation.benchmarks.layout import Turn
from evaluation.errors import UserError
from graph.answer import extract_sql
from rl.asker import Asker, Candidate, candidates
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


def _number(value: Any) -> Any:
    if isinstance(value, (bool, str)):
        raise ValueError(f"must be a number, got {json.dumps(value)[:50]}")
    return value


Number = BeforeValidator(_number)  # behind the bounds, which the description then tells
Count = Annotated[int, Field(ge=1), Number]


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
    temperature: Annotated[float, Field(ge=0, le=2), Number] | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    n: Annotated[int, Field(ge=1, le=32), Number] | None = None
    seed: Annotated[int, Field(ge=-(2**53), le=2**53), Number] | None = None
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
        turns, question = dialogue(request.messages)
        if not question.strip():
            raise UserError("the last message of the user is the question, and must not be empty")
        name, _, database = request.model.partition("@")
        self.policy = asked_policy(asker, name)
        self.model = request.model or self.policy.name
        self.database = databases.path(request.database or database)
        self.prompt, _ = asker.prompt(question, self.database, request.evidence, self.policy, turns)
        self.stream = bool(request.stream)
        self.usage_asked = bool(request.stream_options and request.stream_options.include_usage)
        longest = request.max_completion_tokens or request.max_tokens or asker.max_tokens
        self.n = request.n or 1
        temperature = float(self.n > 1) if request.temperature is None else request.temperature
        drawn = self.n if temperature else 1  # greedy answers are all the same
        self.sampling = Sampling(drawn, temperature, min(longest, asker.max_tokens), _seed(request.seed))
        self.asker, self.batcher = asker, asker.sampler
        # Where the client leaves to the server how it answers, it is chosen as `/ask` does.
        self.chooses = request.temperature is None and self.n == 1 and asker.selection.candidates > 1
        self.refusal: str | None = None
        self._head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": self.model}

    def found(self) -> tuple[Candidate, ...]:
        if self.chooses:
            return (self._chosen(),)
        (found,) = self.batcher.sample([self.prompt], self.sampling, self.policy.step)
        return candidates(self.policy, found * (self.n // len(found)))

    def _chosen(self) -> Candidate:
        """Where too few agree there is no text, and `refusal` says so."""
        how = self.asker.selection
        found, place, confidence = self.asker.chosen(self.prompt, self.database, self.policy, how)
        self.refusal = how.why_not(confidence) or None
        return replace(found[place], text="" if self.refusal else found[place].text)

    def answer(self) -> dict[str, Any]:
        found = self.found()
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": one.text, "refusal": self.refusal},
                "finish_reason": one.finish_reason,
                "logprobs": None,
            }
            for index, one in enumerate(found)
        ]
        return {**self._head, "object": "chat.completion", "choices": choices, "usage": self._usage(found)}

    async def events(self) -> AsyncIterator[str]:
        """Server-sent events: the role, the text as it is written, why it ended."""
        loop, heard = asyncio.get_running_loop(), asyncio.Queue[Any]()

        def tell(item: Any) -> None:
            loop.call_soon_threadsafe(heard.put_nowait, item)

        def work() -> None:
            try:
                if self.chooses:
                    return tell(self._chosen())
                assert isinstance(self.batcher, Batcher)
                (samples,) = self.batcher.sample([self.prompt], self.sampling, self.policy.step, heard=tell)
                tell(candidates(self.policy, samples)[0])
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
            ended = isinstance(item, Candidate)
            # A letter whose bytes have not all come waits.
            whole = item.text if ended else self.policy.text(Sample(item, [], "stop")).rstrip("\ufffd")
            if len(whole) > len(said):
                yield self._event([_choice({"content": whole[len(said) :]})])
                said = whole
            if ended:
                break
        for line in self._end(item):
            yield line

    def _end(self, last: Candidate) -> Iterator[str]:
        yield self._event([_choice({"refusal": self.refusal} if self.refusal else {}, last.finish_reason)])
        if self.usage_asked:
            yield self._event([], usage=self._usage([last]))
        yield "data: [DONE]\n\n"

    def _event(self, choices: list[dict[str, Any]], **more: Any) -> str:
        chunk = {**self._head, "object": "chat.completion.chunk", "choices": choices, **more}
        return f"data: {json.dumps(chunk)}\n\n"

    def _usage(self, found: Sequence[Candidate]) -> dict[str, int]:
        written, read = sum(one.tokens for one in found), len(self.prompt)
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def dialogue(messages: Sequence[Message]) -> tuple[list[Turn], str]:
    """Earlier turns, as benchmarks of dialogues have them, and the last question. What was not answered by a query is
    no turn; what was answered twice, by the last one.

    >>> said = [("user", "How many?"), ("assistant", "SELECT 1"), ("user", "Hm."), ("assistant", "?"), ("user", "Now?")]
    >>> dialogue([Message(role=role, content=text) for role, text in said])
    ([Turn(question='How many?', sql='SELECT 1')], 'Now?')
    """
    turns: list[Turn] = []
    question, answered = "", ""
    for one in messages:
        if one.role == "user":
            turns += [Turn(question, answered)] * bool(question.strip() and answered)
            question, answered = one.text, ""
        elif one.role == "assistant":
            answered = extract_sql(one.text)
    return turns, question


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
