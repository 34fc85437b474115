"""Sequences that begin alike as one: the shared beginning once, then the branches, each seeing it and itself.

    tokens     p p p p | a a a | b b b b        positions continue from the prefix for every branch:
    positions  0 1 2 3 | 4 5 6 | 4 5 6 7        so the result equals separate sequences exactly.

In SFT the prefix is the schema, and each branch is the rest of a question's prompt and its answer. In RL it is the
prompt and the branches are its K answers; several questions about one schema are rows behind it, each with its own K.
The rows of a micro-batch lie end to end, without padding.
A branch may be read in parts: a question behind its schema, what an environment said between two answers.
Axes: M tokens of a micro-batch, N answer tokens among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Branch:
    """Segments behind the prefix, in order: ids, and whether they are predicted or only read."""

    segments: Sequence[tuple[Sequence[int], bool]]

    @classmethod
    def of(cls, context: Sequence[int], answer: Sequence[int]) -> Branch:
        """An answer behind ids that are read."""
        return cls(((context, False), (answer, True)))

    @property
    def context(self) -> list[int]:
        """What is read."""
        return [id_ for ids, predicted in self.segments if not predicted for id_ in ids]

    @property
    def answer(self) -> list[int]:
        """What is predicted."""
        return [id_ for ids, predicted in self.segments if predicted for id_ in ids]

    @property
    def length(self) -> int:
        return sum(len(ids) for ids, _ in self.segments)


@dataclass(frozen=True)
class Row:
    """A prefix of at least one id, and its branches, or rows that all begin with it; these have branches."""

    prefix: Sequence[int]
    branches: Sequence[Branch] = ()
    rows: Sequence[Row] = ()

    @property
    def length(self) -> int:
        return len(self.prefix) + sum(b.length for b in self.branches) + sum(row.length for row in self.rows)


@dataclass(frozen=True)
class Span:
    """A row among the M tokens: its first place, the length of its prefix, those of its branches, in order, or the rows
    behind its prefix."""

    start: int
    prefix: int
    branches: tuple[int, ...] = ()
    rows: tuple[Span, ...] = ()

    @property
    def end(self) -> int:
        return self.rows[-1].end if self.rows else self.start + self.prefix + sum(self.branches)


@dataclass(frozen=True)
class PackedBatch:
    """ids_M, positions_M: model input; spans: which tokens see which, for `sft.policy.attention`.

    predictors_N: place of the token whose logits predict answer token n; targets_N: its id.
    """

    ids_M: Tensor
    positions_M: Tensor
    predictors_N: Tensor
    targets_N: Tensor
    spans: tuple[Span, ...]

    def to(self, device: torch.device) -> PackedBatch:
        ids, positions, predictors, targets = (
            tensor.to(device) for tensor in (self.ids_M, self.positions_M, self.predictors_N, self.targets_N)
        )
        return PackedBatch(ids, positions, predictors, targets, self.spans)


def micro_batches(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Indices of rows per micro-batch, longest first, each into the first one where it fits in token_budget.

    A row longer than the budget gets a micro-batch of its own.

    >>> micro_batches([10, 30, 20, 11], 40)
    [[1, 0], [2, 3]]
    """
    batches: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        place = next((b for b, left in enumerate(room) if lengths[index] <= left), None)
        if place is None:
            batches.append([index])
            room.append(token_budget - lengths[index])
        else:
            batches[place].append(index)
            room[place] -= lengths[index]
    return batches


def pack_rows(rows: Sequence[Row]) -> PackedBatch:
    """Rows → one micro-batch. Answer tokens come out row by row, branch by branch."""
    layout = _Layout()
    spans = tuple([layout.add(row) for row in rows])
    ids, positions = torch.tensor(layout.ids), torch.tensor(layout.positions)
    return PackedBatch(ids, positions, torch.tensor(layout.predictors), torch.tensor(layout.targets), spans)


class _Layout:
    """The tokens of a micro-batch, as they are laid down."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.positions: list[int] = []
        self.predictors: list[int] = []
        self.targets: list[int] = []

    def add(self, row: Row, position: int = 0) -> Span:
        """position: of the first token of its prefix. One branch alone is the prefix going on: causal attention."""
        assert row.prefix, "a row has a prefix of at least one id"
        start, behind = len(self.ids), position + len(row.prefix)
        self.ids += row.prefix
        self.positions += range(position, behind)
        last = len(self.ids) - 1
        for branch in row.branches:
            self._add_branch(branch, last, behind)
        rows = tuple([self.add(inner, behind) for inner in row.rows])
        if len(row.branches) == 1:
            return Span(start, row.length)
        return Span(start, len(row.prefix), tuple(branch.length for branch in row.branches), rows)

    def _add_branch(self, branch: Branch, before: int, position: int) -> None:
        """before: place of the token that its first one follows."""
        for segment, predicted in branch.segments:
            first = len(self.ids)
            if predicted and segment:
                self.predictors += [before, *range(first, first + len(segment) - 1)]
                self.targets += segment
            self.ids += segment
            before = len(self.ids) - 1 if segment else before
        self.positions += range(position, position + branch.length)
