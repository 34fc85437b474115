"""Questions as token ids: the same ids in SFT, RL and prediction."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.benchmarks import Example
from evaluation.errors import UserError
from graph.introspect import is_declared, schema_of
from graph.linearize import Labels
from graph.prompt import messages_from_text
from graph.schema import Schema
from graph.values import Values, sample_values
from graph.writer import PromptStyle, PromptWriter
from sft.policy.chat import Chat

KEPT_PROMPTS = 20_000

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class TrainingExample:
    """prompt_ids then completion_ids is one sequence; the loss is on completion_ids, which end the turn."""

    example: Example
    prompt_ids: list[int]
    completion_ids: list[int]

    @property
    def length(self) -> int:
        return len(self.prompt_ids) + len(self.completion_ids)


class PromptEncoder:
    """Example -> ids of its prompt, chat template and opening of the answer included.

    max_prompt_tokens is what the caller can take: `encode` returns longer prompts too, `fits` tells. budget: where it
    is above 0, schemas are cut down until the prompt has no more tokens. A database is read once, and the prompt of a
    question is made once: filters, draws and evaluations ask for it again and again.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        style: str = "compact",
        max_prompt_tokens: int = 1024,
        budget: int = 0,
    ) -> None:
        try:
            self.style = PromptStyle.parse(style)
        except ValueError as error:
            raise UserError(f"the prompt style {error}") from None
        self.tokenizer, self.max_prompt_tokens, self.budget = tokenizer, max_prompt_tokens, budget
        self.chat = Chat(tokenizer)
        self._writers: dict[str, PromptWriter] = {}
        self._kept = lru_cache(maxsize=KEPT_PROMPTS)(self._own_prompt)

    def encode(self, example: Example, schema: Schema | None = None, labels: Labels | None = None) -> list[int]:
        """The prompt's ids; with another schema in place of the database's own when one is given.

        SchemaError when the database cannot be described.
        """
        if schema is None:
            return self._kept(replace(example, id="", gold_sql="", hardness="")).tolist()
        writer = PromptWriter(schema, self.style, self.values(example.database), labels)
        return self._ids(self._schema_text(writer, example), example)

    def schema_text(self, example: Example) -> str:
        """The schema as the prompt of this question shows it."""
        return self._schema_text(self._writer(example.database), example)

    def text_ids(self, text: str) -> list[int]:
        """Ids of plain text, outside any chat."""
        return self.chat.text_ids(text)

    @property
    def eos_id(self) -> int:
        return int(self.tokenizer.eos_token_id)

    def _own_prompt(self, example: Example) -> array[int]:
        """The ids in 4 bytes each: some 10 MB for all questions of Spider."""
        return array("i", self._ids(self.schema_text(example), example))

    def _schema_text(self, writer: PromptWriter, example: Example) -> str:
        def fits(text: str) -> bool:
            return len(self._ids(text, example)) <= self.budget

        asked = " ".join([*(turn.question for turn in example.history), example.question])
        return writer.schema_text(asked, example.evidence, fits if self.budget else None)

    def _ids(self, schema_text: str, example: Example) -> list[int]:
        turns, shots = ([(t.question, t.sql) for t in part] for part in (example.history, example.shots))
        (message,) = messages_from_text(schema_text, example.question, example.evidence, turns, shots)
        return self.chat.prompt_ids(message["content"])

    def schema(self, database: str) -> Schema:
        """The schema of the SQLite file, with example values where the style shows them."""
        return self._writer(database).schema

    def values(self, database: str) -> Values:
        """Sampled cells; {} where the style needs none."""
        return _values(database) if self.style.needs_values else {}

    def completion_ids(self, sql: str) -> list[int]:
        """The answer's ids: the SQL without its final semicolon, then the end of the turn."""
        return self.chat.answer_ids(sql.strip().rstrip(";").rstrip())

    def reply_ids(self, text: str) -> list[int]:
        """Behind an answer: a message of the user, untrusted text, and the opening of the next answer."""
        return self.chat.reply_ids(text)

    def fits(self, prompt_ids: Sequence[int]) -> bool:
        return len(prompt_ids) <= self.max_prompt_tokens

    def _writer(self, database: str) -> PromptWriter:
        if database not in self._writers:
            schema = schema_of(database)
            self._writers[database] = PromptWriter(schema, self.style, self.values(database))
        return self._writers[database]


@lru_cache(maxsize=1000)
def _values(database: str) -> Values:
    return {} if is_declared(database) else sample_values(Path(database), schema_of(database))


def training_examples(
    examples: Sequence[Example],
    encoder: PromptEncoder,
    max_length: int,
    face: Callable[[Example], tuple[Schema | None, Labels | None]] = lambda example: (None, None),
) -> tuple[list[TrainingExample], int]:
    """Those whose prompt and gold answer fit in max_length tokens, and how many were dropped.

    face: the schema that the prompt shows in place of the database's own, and its labels. UserError when none fits.
    """
    encoded = (
        TrainingExample(example, encoder.encode(example, *face(example)), encoder.completion_ids(example.gold_sql))
        for example in examples
    )
    kept, shortest = [], 0
    for item in encoded:
        if item.length <= max_length:
            kept.append(item)
        shortest = min(shortest or item.length, item.length)
    if not kept:
        raise UserError(
            f"every one of {len(examples)} questions is longer than model.max_length = {max_length} tokens with its "
            f"schema and answer (the shortest has {shortest}): raise model.max_length"
        )
    return kept, len(examples) - len(kept)
