"""Questions as token ids: the same ids in SFT, RL and prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from evaluation.benchmarks import Example
from evaluation.errors import UserError
from graph.introspect import schema_from_sqlite
from graph.linearize import STYLES
from graph.prompt import messages_from_text


@dataclass(frozen=True)
class TrainingExample:
    """prompt_ids then completion_ids is one sequence; the loss is on completion_ids, which end with EOS."""

    example: Example
    prompt_ids: list[int]
    completion_ids: list[int]

    @property
    def length(self) -> int:
        return len(self.prompt_ids) + len(self.completion_ids)


class PromptEncoder:
    """Example -> ids of its prompt, chat template and opening of the answer included.

    max_prompt_tokens is what the caller can take: `encode` returns longer prompts too, `fits` tells. A database is
    read once.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, style: str = "compact", max_prompt_tokens: int = 1024):
        if style not in STYLES:
            raise UserError(f"the prompt style must be one of {', '.join(STYLES)}, got {style!r}")
        self.tokenizer, self.style, self.max_prompt_tokens = tokenizer, style, max_prompt_tokens
        self._schema_texts: dict[str, str] = {}

    def encode(self, example: Example) -> list[int]:
        """The prompt's ids. SchemaError when the database cannot be described."""
        messages = messages_from_text(self._schema_text(example.database), example.question, example.evidence)
        for message in messages:
            message["content"] = self._without_special_tokens(message["content"])
        ids = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        return list(ids)

    def completion_ids(self, sql: str) -> list[int]:
        """The answer's ids: the SQL without its final semicolon, then EOS."""
        sql = sql.strip().rstrip(";").rstrip()
        return [*self.tokenizer.encode(sql, add_special_tokens=False), self.tokenizer.eos_token_id]

    def fits(self, prompt_ids: Sequence[int]) -> bool:
        return len(prompt_ids) <= self.max_prompt_tokens

    def _schema_text(self, database: str) -> str:
        if database not in self._schema_texts:
            self._schema_texts[database] = STYLES[self.style](schema_from_sqlite(Path(database)))
        return self._schema_texts[database]

    def _without_special_tokens(self, content: str) -> str:
        """graph.prompt breaks the tokens of the usual templates; this breaks whatever else this tokenizer has."""
        for token in self.tokenizer.all_special_tokens:
            if token in content:
                content = content.replace(token, f"{token[0]} {token[1:]}")
        return content


def training_examples(
    examples: Sequence[Example], encoder: PromptEncoder, max_length: int
) -> tuple[list[TrainingExample], int]:
    """Those whose prompt and gold answer fit in max_length tokens, and how many were dropped.

    UserError when none fits.
    """
    encoded = (
        TrainingExample(example, encoder.encode(example), encoder.completion_ids(example.gold_sql))
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
