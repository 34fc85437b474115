"""The chat of a tokenizer: a prompt and an answer as ids, the same on every day.

The chat template is a file of the model and may do anything with a message. Thinking is switched off, or closed where
the template opens it, the date stands still, and what ends an answer is what the template puts behind one. Text of
strangers never becomes one of the tokens that were added to the vocabulary: those steer the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from typing import Any

from jinja2 import TemplateError

from evaluation.errors import UserError

_DAY = datetime(2024, 7, 26)  # what Llama 3.1's template says when it is told nothing
_VARIABLES: dict[str, Any] = {
    "enable_thinking": False,  # Qwen3, SmolLM3, GLM
    "thinking": False,  # Granite, DeepSeek
    "thinking_budget": 0,  # Seed
    "date_string": _DAY.strftime("%d %b %Y"),
    "strftime_now": _DAY.strftime,
}
_OPEN_THOUGHT = re.compile(r"([<\[])((?:\w+:)?(?:think|thinking|thought|reasoning))([>\]])\s*\Z", re.IGNORECASE)
_QUESTION, _ANSWER = "Which of these?", "SELECT 1"
_PASSES = 1000  # each breaks or shortens what is still read as an added token


class Chat:
    """Prompts and answers of one tokenizer as ids. UserError when its template cannot hold a question."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        steering = {id_: token.content for id_, token in tokenizer.added_tokens_decoder.items() if _steers(token)}
        self._steering = set(steering)
        self._contents = sorted(steering.values(), key=len, reverse=True)

    def prompt_ids(self, content: str) -> list[int]:
        """One message of the user, whose text may be a stranger's, and the opening of the answer."""
        return self._encode(self._prompt(self.without_added_tokens(content)))

    def answer_ids(self, text: str) -> list[int]:
        """The text, letter by letter, and the end of the turn."""
        return [*self.text_ids(text), self.end_id]

    def reply_ids(self, content: str) -> list[int]:
        """What follows the end of an answer: one more message of the user, and the opening of the next answer."""
        said = [("user", _QUESTION), ("assistant", _ANSWER), ("user", self.without_added_tokens(content))]
        text = self._opened([{"role": role, "content": text} for role, text in said])
        ids = self._encode(text.partition(_ANSWER)[2])
        return ids[ids.index(self.end_id) + 1 :] if self.end_id in ids else ids

    def text_ids(self, text: str) -> list[int]:
        """Ids that decode to the text, none of an added token: where one would be read the text is encoded in parts."""
        parts, done = list[str](), 0
        for start, end in self._added_spans(text):
            alone = len(text[start:end].strip()) == 1  # a letter that stands for a token is left out
            cut = start if alone else start + _inside(text[start:end])
            parts.append(text[done:cut])
            done = end if alone else cut
        if done == 0:
            return self._encode(text)
        return [id_ for part in (*parts, text[done:]) for id_ in self.text_ids(part)]

    @cached_property
    def end_id(self) -> int:
        """The first added token behind an answer in the template; the tokenizer's end of text where there is none."""
        said = [{"role": "user", "content": _QUESTION}, {"role": "assistant", "content": _ANSWER}]
        _, found, tail = self._render(said).rpartition(_ANSWER)
        added = self.tokenizer.added_tokens_decoder
        ends = [id_ for id_ in self._encode(tail) if id_ in added and added[id_].content.strip()] if found else []
        return int(ends[0] if ends else self.tokenizer.eos_token_id)

    def check(self) -> None:
        """UserError when a question would not reach the model through this template."""
        if _QUESTION not in self._prompt(_QUESTION):
            raise UserError("the chat template drops a question that is plain text: give a text model's template")

    def template_options(self) -> dict[str, Any] | None:
        """What another program must give the template to make this prompt: {} for nothing, None when that cannot be."""
        asked, wanted = [{"role": "user", "content": _QUESTION}], self._prompt(_QUESTION)
        fixed = {name: value for name, value in _VARIABLES.items() if not callable(value)}
        for options in ({}, *({name: value} for name, value in fixed.items()), fixed):
            made = self.tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True, **options)
            if made == wanted:
                return dict(options)
        return None

    def without_added_tokens(self, text: str) -> str:
        """The text with a space within whatever the tokenizer reads as an added token."""
        for _ in range(_PASSES):
            broken = text
            for start, end in reversed(list(self._added_spans(text))):
                broken = broken[:start] + _broken(broken[start:end]) + broken[end:]
            if broken == text:
                break
            text = broken
        return text

    def _added_spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where the tokenizer itself, its normalisation included, reads an added token; a character that it does not
        know is none."""
        if not self._steering:
            return
        if not self.tokenizer.is_fast:  # it tells no places
            yield from (match.span() for match in re.finditer("|".join(map(re.escape, self._contents)), text))
            return
        unknown, word = self.tokenizer.unk_token_id, self.tokenizer.unk_token
        read = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        for id_, (start, end) in zip(read["input_ids"], read["offset_mapping"], strict=True):
            if id_ in self._steering and text[start:end].strip() and (id_ != unknown or word in text[start:end]):
                yield start, end

    def _prompt(self, content: str) -> str:
        return self._opened([{"role": "user", "content": content}])

    def _opened(self, messages: list[dict[str, str]]) -> str:
        text = self._render(messages, add_generation_prompt=True)
        thought = _OPEN_THOUGHT.search(text)
        return f"{text.rstrip()}\n\n{thought[1]}/{thought[2]}{thought[3]}\n\n" if thought else text

    def _render(self, messages: list[dict[str, str]], **options: Any) -> str:
        try:
            return str(self.tokenizer.apply_chat_template(messages, tokenize=False, **options, **_VARIABLES))
        except (TemplateError, TypeError, ValueError, KeyError) as error:
            raise UserError(f"the chat template takes no question from a user: {error}") from error

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))


def _steers(token: Any) -> bool:
    """Not so: white space and single letters, which some vocabularies were extended by."""
    return bool(token.special or len(token.content.strip()) > 1)


def _inside(token: str) -> int:
    """Where to cut: between its first two characters without a space between them, or else behind its first one."""
    pair = re.search(r"(?<=\S)(?=\S)", token)
    return pair.start() if pair else len(token) - len(token.lstrip()) + 1


def _broken(token: str) -> str:
    """With a space at that cut; a token without one loses a character."""
    if re.search(r"\S\S", token):
        return f"{token[: _inside(token)]} {token[_inside(token) :]}"
    return re.sub(r"\S", " ", token, count=1)
