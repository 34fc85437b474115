"""A group as one row: the prompt once, then its K episodes (`sft/policy/packing.py`)."""

from __future__ import annotations

from collections.abc import Sequence

from rl.types import Episode
from sft.policy.packing import Branch, PackedBatch, Row, micro_batches, pack_rows

__all__ = ["PackedBatch", "micro_batches", "pack", "packed_length"]


def packed_length(episodes: Sequence[Episode]) -> int:
    """Tokens of a group once packed: one prompt and all that follows it."""
    return len(episodes[0].prompt_ids) + sum(episode.length for episode in episodes)


def pack(groups: Sequence[Sequence[Episode]]) -> PackedBatch:
    """Groups of episodes → one micro-batch. Written tokens come out group by group, episode by episode."""
    return pack_rows([_row(episodes) for episodes in groups])


def _row(episodes: Sequence[Episode]) -> Row:
    prompt = list(episodes[0].prompt_ids)
    assert prompt and all(list(e.prompt_ids) == prompt for e in episodes), "a group shares one prompt"
    return Row(prompt, [Branch([(s.ids, s.log_probs is not None) for s in e.segments]) for e in episodes])
