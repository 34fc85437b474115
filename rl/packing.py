"""A group as one sequence: the prompt once, then its K answers, each seeing the prompt and itself.

    tokens     p p p p | a a a | b b b b        positions continue from the prompt for every answer:
    positions  0 1 2 3 | 4 5 6 | 4 5 6 7        so the result equals K separate sequences exactly.

Axes: R rows (groups) of a micro-batch, L padded length of a row, N answer tokens of the micro-batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rl.types import Rollout

PROMPT = 0
PADDING = -1


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


def packed_length(rollouts: Sequence[Rollout]) -> int:
    """Tokens of a group once packed: one prompt and all its answers."""
    return len(rollouts[0].prompt_ids) + sum(len(r.token_ids) for r in rollouts)


def micro_batches(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Indices of groups per micro-batch, longest first, so that rows × longest row ≤ token_budget.

    A group longer than the budget gets a micro-batch of its own.

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


def pack(groups: Sequence[Sequence[Rollout]], pad_id: int) -> PackedBatch:
    """R groups of rollouts → one padded micro-batch. Answer tokens come out group by group, answer by answer."""
    length = max(packed_length(rollouts) for rollouts in groups)
    rows = [_row(rollouts, length, pad_id) for rollouts in groups]
    ids, positions, segments = (torch.tensor([row[i] for row in rows]) for i in range(3))
    predictors = [r * length + p for r, row in enumerate(rows) for p in row[3]]
    targets = [t for rollouts in groups for rollout in rollouts for t in rollout.token_ids]
    return PackedBatch(ids, positions, _mask(segments), torch.tensor(predictors), torch.tensor(targets))


def _row(rollouts: Sequence[Rollout], length: int, pad_id: int) -> tuple[list[int], list[int], list[int], list[int]]:
    """ids, positions, segments (0 prompt, k answers, −1 padding) and predictor indices of one group."""
    prompt = list(rollouts[0].prompt_ids)
    assert prompt and all(list(r.prompt_ids) == prompt for r in rollouts), "a group shares one prompt"
    ids, positions, segments = list(prompt), list(range(len(prompt))), [PROMPT] * len(prompt)
    predictors: list[int] = []
    for k, rollout in enumerate(rollouts, start=1):
        start, n = len(ids), len(rollout.token_ids)
        predictors += [len(prompt) - 1, *range(start, start + n - 1)]
        ids += rollout.token_ids
        positions += range(len(prompt), len(prompt) + n)
        segments += [k] * n
    padding = length - len(ids)
    return ids + [pad_id] * padding, positions + [0] * padding, segments + [PADDING] * padding, predictors


def _mask(segments_RL: Tensor) -> Tensor:
    """Causal, and: same segment or the prompt. Padding sees itself, so that no row of the softmax is empty."""
    length = segments_RL.shape[1]
    query, key = segments_RL[:, :, None], segments_RL[:, None, :]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    return causal & ((query == key) | ((key == PROMPT) & (query != PADDING)))
