"""A group as one row: the prompt once, then its K answers (`sft/policy/packing.py`)."""

from __future__ import annotations

from collections.abc import Sequence

from rl.types import Rollout
from sft.policy.packing import Branch, PackedBatch, Row, micro_batches, pack_rows

__all__ = ["PackedBatch", "micro_batches", "pack", "packed_length"]


def packed_length(rollouts: Sequence[Rollout]) -> int:
    """Tokens of a group once packed: one prompt and all its answers."""
    return len(rollouts[0].prompt_ids) + sum(len(r.token_ids) for r in rollouts)


def pack(groups: Sequence[Sequence[Rollout]]) -> PackedBatch:
    """Groups of rollouts → one micro-batch. Answer tokens come out group by group, answer by answer."""
    return pack_rows([_row(rollouts) for rollouts in groups])


def _row(rollouts: Sequence[Rollout]) -> Row:
    prompt = list(rollouts[0].prompt_ids)
    assert prompt and all(list(r.prompt_ids) == prompt for r in rollouts), "a group shares one prompt"
    return Row(prompt, [Branch((), r.token_ids) for r in rollouts])
