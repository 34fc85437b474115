"""Which tokens of packed rows see which, for FlexAttention: found from the spans, 128 x 128 tokens at a time.

Every token sees at most two stretches of places: a part of its row's prefix, and its own branch up to itself. So the
mask needs three numbers per token, and a block of it as many sums as it has queries: nothing of size M x M is made.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from sft.policy.packing import Span

BLOCK = 128  # FlexAttention's; M is filled up to a multiple of it
AT_ONCE = 2**22  # (query, block of keys) pairs counted at once


def seen_places(spans: Sequence[Span], filled: int, window: int | None = None) -> Tensor:
    """(3, filled), for each token: the places [from, to) of its row's prefix that it sees, and the first one of its own
    stretch, which goes up to itself. For a prefix the first two are equal. Filling is a row of its own."""
    columns = []
    for span in spans:
        place = torch.arange(span.start, span.start + span.prefix)
        columns.append(_stretches(place, span.start, span.start, span.start, 0, window))
        first = span.start + span.prefix
        for length in span.branches:
            place = torch.arange(first, first + length)
            columns.append(_stretches(place, first, span.start, span.start + span.prefix, span.prefix, window))
            first += length
    end = spans[-1].end if spans else 0
    columns.append(_stretches(torch.arange(end, filled), end, end, end, 0, None))
    return torch.cat(columns, dim=1)


def _stretches(place_T: Tensor, first: int, start: int, end: int, before: int, window: int | None) -> Tensor:
    """(3, T) of a stretch from place `first` on, `before` positions into a sequence with the prefix [start, end)."""
    if window is None:
        own, prefix = torch.full_like(place_T, first), torch.full_like(place_T, start)
    else:
        own = (place_T - window + 1).clamp(min=first)
        prefix = (place_T - first + before - window + 1 + start).clamp(start, end)
    return torch.stack([prefix, torch.full_like(place_T, end), own])


def block_mask(spans: Sequence[Span], filled: int, window: int | None, device: torch.device) -> BlockMask:
    """The mask over `filled` tokens, a multiple of BLOCK."""
    seen = seen_places(spans, filled, window)
    partial, full = _kinds_of_blocks(seen, filled)
    prefix_from, prefix_to, own_from = seen.to(device)

    def visible(batch: Tensor, head: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return ((k >= own_from[q]) & (k <= q)) | ((k >= prefix_from[q]) & (k < prefix_to[q]))

    numbers = [tensor.to(device) for kind in (partial, full) for tensor in _listed(kind)]
    return BlockMask.from_kv_blocks(*numbers, BLOCK_SIZE=BLOCK, mask_mod=visible, seq_lengths=(filled, filled))


def _kinds_of_blocks(seen: Tensor, filled: int) -> tuple[Tensor, Tensor]:
    """(blocks of queries, blocks of keys), twice: of which some pairs are visible, and of which all are."""
    blocks, edges = filled // BLOCK, torch.arange(0, filled + 1, BLOCK)
    counts = []
    for first in range(0, blocks, max(1, AT_ONCE // (filled + BLOCK))):
        places = torch.arange(filled).view(blocks, BLOCK)[first : first + max(1, AT_ONCE // (filled + BLOCK))]
        prefix_from, prefix_to, own_from = (column[places][..., None] for column in seen)
        below = (edges.clamp(max=prefix_to) - prefix_from).clamp(min=0)  # keys seen at places below each edge
        below = below + (edges.clamp(max=places[..., None] + 1) - own_from).clamp(min=0)
        counts.append(below.sum(1).diff(dim=-1))
    count = torch.cat(counts)
    return (count > 0) & (count < BLOCK * BLOCK), count == BLOCK * BLOCK


def _listed(kind: Tensor) -> tuple[Tensor, Tensor]:
    """How many blocks of keys each block of queries has, and which, those first: FlexAttention's own form."""
    numbers = kind.to(torch.int8)
    order = numbers.argsort(dim=-1, descending=True, stable=True)
    return numbers.sum(-1, dtype=torch.int32)[None, None], order.to(torch.int32)[None, None].contiguous()
