"""Sequences that begin alike as one: the shared beginning once, then the branches, each seeing it and itself.

    tokens     p p p p | a a a | b b b b        positions continue from the prefix for every branch:
    positions  0 1 2 3 | 4 5 6 | 4 5 6 7        so the result equals separate sequences exactly.

In RL the prefix is the prompt and the branches are its K answers; in SFT it is the schema, and each branch is the rest
of a question's prompt and its answer.
Axes: R rows of a micro-batch, L padded length of a row, N answer tokens of the micro-batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

PREFIX = 0
PADDING = -1


@dataclass(frozen=True)
class Branch:
    """context: ids that are read, after the prefix; answer: ids that are predicted."""

    context: Sequence[int]
    answer: Sequence[int]

    @property
    def length(self) -> int:
        return len(self.context) + len(self.answer)


@dataclass(frozen=True)
class Row:
    """A prefix of at least one id, and its branches."""

    prefix: Sequence[int]
    branches: Sequence[Branch]

    @property
    def length(self) -> int:
        return len(self.prefix) + sum(branch.length for branch in self.branches)


@dataclass(frozen=True)
class PackedBatch:
    """ids_RL, positions_RL: model input. mask_RLL: True where a query may see a key.

    predictors_N: flat index into R·L of the position whose logits predict answer token n; targets_N: its id.
    """

    ids_RL: Tensor
    positions_RL: Tensor
    mask_RLL: Tensor
    predictors_N: Tensor
    targets_N: Tensor

    def to(self, device: torch.device) -> PackedBatch:
        return PackedBatch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def micro_batches(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Indices of rows per micro-batch, longest first, so that rows × longest row ≤ token_budget.

    A row longer than the budget gets a micro-batch of its own.

    >>> micro_batches([10, 30, 20, 11], 40)
    [[1], [2, 3], [0]]
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= token_budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def pack_rows(rows: Sequence[Row], pad_id: int) -> PackedBatch:
    """R rows → one padded micro-batch. Answer tokens come out row by row, branch by branch."""
    length = max(row.length for row in rows)
    laid_out = [_lay_out(row, length, pad_id) for row in rows]
    ids, positions, segments = (torch.tensor([row[i] for row in laid_out]) for i in range(3))
    predictors = [r * length + p for r, row in enumerate(laid_out) for p in row[3]]
    targets = [token for row in rows for branch in row.branches for token in branch.answer]
    return PackedBatch(ids, positions, _mask(segments), torch.tensor(predictors), torch.tensor(targets))


def _lay_out(row: Row, length: int, pad_id: int) -> tuple[list[int], list[int], list[int], list[int]]:
    """ids, positions, segments (0 prefix, k branches, −1 padding) and predictor indices of one row."""
    shared = len(row.prefix)
    assert shared, "a row has a prefix of at least one id"
    ids, positions, segments = list(row.prefix), list(range(shared)), [PREFIX] * shared
    predictors: list[int] = []
    for k, branch in enumerate(row.branches, start=1):
        first = len(ids) + len(branch.context)  # place of the first answer token
        before = first - 1 if branch.context else shared - 1
        predictors += [before, *range(first, first + len(branch.answer) - 1)]
        ids += [*branch.context, *branch.answer]
        positions += range(shared, shared + branch.length)
        segments += [k] * branch.length
    padding = length - len(ids)
    return ids + [pad_id] * padding, positions + [0] * padding, segments + [PADDING] * padding, predictors


def _mask(segments_RL: Tensor) -> Tensor:
    """Causal, and: same segment or the prefix. Padding sees itself, so that no row of the softmax is empty."""
    length = segments_RL.shape[1]
    query, key = segments_RL[:, :, None], segments_RL[:, None, :]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    return causal & ((query == key) | ((key == PREFIX) & (query != PADDING)))
