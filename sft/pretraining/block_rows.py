"""Documents as rows of fixed shape: a schema, then chunks that hold blocks, where a block sees the schema and itself.

    row    | schema, padded to S | chunk of W | chunk of W | ...      each chunk: whole blocks, then padding
    block  "-- question\\nSQL\\n", its positions counted on from the end of the schema

Every block so is what a sequence of its own (schema + block) would be, while the schema is read once for all of them.
Axes: D documents, S schema tokens, C chunks, W tokens of a chunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

from sft.pretraining.corpus import Document
from sft.pretraining.tokenizer import END, START

SQL, QUESTION, ANSWER = 1.0, 0.15, 0.4  # weights in the loss of a query, a question, an answer about the schema
Block = tuple[list[int], list[float]]  # token ids, and the weight of predicting each of them


@dataclass(frozen=True)
class Shape:
    """schema, chunk: tokens (S, W); chunks: how many (C). Longer schemas and blocks are left out."""

    schema: int = 256
    chunks: int = 4
    chunk: int = 128


@dataclass(frozen=True)
class Rows:
    """schema [D, S], lengths [D], body [D, C, W]: token ids; block [D, C, W]: 1, 2, … within the row, 0 = padding.

    offset [D, C, W]: position within the block; weight [D, C, W]: of predicting the next token from this one.
    sql [D, C, W]: whether the next token belongs to a query.
    """

    schema: np.ndarray
    lengths: np.ndarray
    body: np.ndarray
    block: np.ndarray
    offset: np.ndarray
    weight: np.ndarray
    sql: np.ndarray

    def __len__(self) -> int:
        return len(self.schema)

    def take(self, index: Sequence[int] | np.ndarray | slice) -> Rows:
        return Rows(*(value[index] for value in vars(self).values()))

    @staticmethod
    def joined(parts: Sequence[Rows]) -> Rows:
        return Rows(*(np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])))


class RowMaker:
    """Turns documents into rows of one shape."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, shape: Shape) -> None:
        self.tokenizer, self.shape = tokenizer, shape
        self.turn = {name: tokenizer.convert_tokens_to_ids(name) for name in (START, END)}

    def rows(self, documents: Iterable[Document]) -> Rows:
        """One row per document whose schema and at least one block fit; it may be that none does."""
        made = [row for row in map(self._row, documents) if row is not None]
        return Rows.joined([_empty(self.shape).take(slice(0, 0)), *made])

    def _row(self, document: Document) -> Rows | None:
        schema = self._ids(document.schema + "\n")
        blocks = [self._chat(*chat) for chat in document.chats] + [self._query(*pair) for pair in document.blocks]
        fitting = [block for block in blocks if len(block[0]) <= self.shape.chunk]
        if len(schema) > self.shape.schema or not fitting:
            return None
        row = _empty(self.shape)
        row.schema[0, : len(schema)], row.lengths[0] = schema, len(schema)
        used = [0] * self.shape.chunks
        for number, block in enumerate(fitting, start=1):
            chunk = next((c for c, n in enumerate(used) if n + len(block[0]) <= self.shape.chunk), None)
            if chunk is not None:
                _place(row, chunk, used[chunk], number, block)
                used[chunk] += len(block[0])
        return row

    def _query(self, question: str, sql: str) -> Block:
        asked, answer = self._ids(f"-- {question}\n"), self._ids(f"{sql}\n")
        return asked + answer, [QUESTION] * len(asked) + [SQL] * len(answer)

    def _chat(self, question: str, answer: str) -> Block:
        start, end = self.turn[START], self.turn[END]
        asked = [start, *self._ids(f"user\n{question}"), end, *self._ids("\n"), start, *self._ids("assistant\n")]
        said = [*self._ids(answer), end]
        return asked + said, [QUESTION] * len(asked) + [ANSWER] * len(said)

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]


def _empty(shape: Shape) -> Rows:
    body = (1, shape.chunks, shape.chunk)
    return Rows(
        np.zeros((1, shape.schema), np.int16), np.zeros(1, np.int16), np.zeros(body, np.int16),
        np.zeros(body, np.int8), np.zeros(body, np.int16), np.zeros(body, np.float16), np.zeros(body, bool),
    )  # fmt: skip


def _place(row: Rows, chunk: int, start: int, number: int, block: Block) -> None:
    ids, weights = block
    place = (0, chunk, slice(start, start + len(ids)))
    row.body[place], row.block[place], row.offset[place] = ids, number, np.arange(len(ids))
    row.weight[0, chunk, start : start + len(ids) - 1] = weights[1:]
    row.sql[0, chunk, start : start + len(ids) - 1] = np.array(weights[1:]) == SQL
