"""Which tokens of packed rows see which, for FlexAttention: found from the spans, 128 x 128 tokens at a time.

Every token sees at most three stretches of places: a part of its row's prefix, of the prefix of a row behind that one,
and its own branch up to itself. So the mask needs five numbers per token, and a block of it as many sums as it has
queries: nothing of size M x M is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from sft.policy.packing import Span

BLOCK = 128  # FlexAttention's; M is filled up to a multiple of it
AT_ONCE = 2**22  # (query, block of keys) pairs counted at once


def seen_places(spans: Sequence[Span], filled: int, window: int | None = None) -> Tensor:
    """(5, filled), for each token: the places [from, to) that it sees of its row's prefix, the same of the prefix of a
    row behind that one, and the first one of its own stretch, which goes up to itself. A stretch that is not there is
    empty. Filling is a row of its own."""
    columns = [column for span in spans for column in _of_row(span, (), window)]
    end = spans[-1].end if spans else 0
    columns.append(_stretches(end, filled - end, (), None))
    return torch.cat(columns, dim=1)


def _of_row(span: Span, before: tuple[tuple[int, int], ...], window: int | None) -> Iterator[Tensor]:
    """before: first place and length of the prefixes that it follows."""
    yield _stretches(span.start, span.prefix, before, window)
    first = span.start + span.prefix
    behind = (*before, (span.start, span.prefix))
    for length in span.branches:
        yield _stretches(first, length, behind, window)
        first += length
    for row in span.rows:
        yield from _of_row(row, behind, window)


def _stretches(first: int, length: int, before: tuple[tuple[int, int], ...], window: int | None) -> Tensor:
    """(5, length) of the places from `first` on, which follow up to two prefixes."""
    place_T = torch.arange(first, first + length)
    position_T = place_T - first + sum(prefix for _, prefix in before)
    oldest_T = torch.zeros_like(place_T) if window is None else position_T - window + 1
    found, position = [], 0
    for start, prefix in (*before, *((first, 0),) * (2 - len(before))):
        found += [(oldest_T - position).clamp(0, prefix) + start, torch.full_like(place_T, start + prefix)]
        position += prefix
    return torch.stack([*found, first + (oldest_T - position).clamp(min=0)])


def block_mask(spans: Sequence[Span], filled: int, window: int | None, device: torch.device) -> BlockMask:
    """The mask over `filled` tokens, a multiple of BLOCK."""
    seen = seen_places(spans, filled, window)
    partial, full = _kinds_of_blocks(seen, filled)
    prefix_from, prefix_to, inner_from, inner_to, own_from = seen.to(device)

    def visible(batch: Tensor, head: Tensor, q: Tensor, k: Tensor) -> Tensor:
        in_prefix = ((k >= prefix_from[q]) & (k < prefix_to[q])) | ((k >= inner_from[q]) & (k < inner_to[q]))
        return ((k >= own_from[q]) & (k <= q)) | in_prefix

    numbers = [tensor.to(device) for kind in (partial, full) for tensor in _listed(kind)]
    return BlockMask.from_kv_blocks(*numbers, BLOCK_SIZE=BLOCK, mask_mod=visible, seq_lengths=(filled, filled))


def _kinds_of_blocks(seen: Tensor, filled: int) -> tuple[Tensor, Tensor]:
    """(blocks of queries, blocks of keys), twice: of which some pairs are visible, and of which all are."""
    blocks, edges = filled // BLOCK, torch.arange(0, filled + 1, BLOCK)
    counts = []
    for first in range(0, blocks, max(1, AT_ONCE // (filled + BLOCK))):
        places = torch.arange(filled).view(blocks, BLOCK)[first : first + max(1, AT_ONCE // (filled + BLOCK))]
        *prefixes, own_from = (column[places][..., None] for column in seen)
        below = (edges.clamp(max=places[..., None] + 1) - own_from).clamp(min=0)  # keys seen at places below each edge
        for start, end in (prefixes[:2], prefixes[2:]):
            below = below + (edges.clamp(max=end) - start).clamp(min=0)
        counts.append(below.sum(1).diff(dim=-1))
    count = torch.cat(counts)
    return (count > 0) & (count < BLOCK * BLOCK), count == BLOCK * BLOCK


def _listed(kind: Tensor) -> tuple[Tensor, Tensor]:
    """How many blocks of keys each block of queries has, and which, those first: FlexAttention's own form."""
    numbers = kind.to(torch.int8)
    order = numbers.argsort(dim=-1, descending=True, stable=True)
    return numbers.sum(-1, dtype=torch.int32)[None, None], order.to(torch.int32)[None, None].contiguous()
