"""Attention over packed rows: a prefix sees itself causally, a branch sees its prefix and itself. No M x M mask.

`install(model)` lets a transformers model use it; a forward pass gets the rows through `forward_arguments(spans)`.
On CUDA it is FlexAttention, which skips blocks that nothing sees; elsewhere each row is computed in its two parts.

Axes: H heads, G query heads per key head, M tokens, P of a prefix, B branches of T tokens (the longest), D per head.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from sft.packing import Span

NAME = "rollsql_packed"
BLOCK = 128  # FlexAttention's; M is filled up to a multiple of it


def install(model: PreTrainedModel) -> None:
    """Make `model` understand `forward_arguments`; without them it works as before."""
    AttentionInterface.register(NAME, _forward)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)


def forward_arguments(spans: tuple[Span, ...], device: torch.device) -> dict[str, Any]:
    """Keyword arguments of a forward pass over one row of M packed tokens.

    The mask is a stand-in: transformers passes one of four dimensions on as it is, and would otherwise make its own.
    """
    return {"spans": spans, "attention_mask": torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device)}


def _forward(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    spans: tuple[Span, ...] | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """transformers' contract: query (1, H, M, D), key and value (1, H / G, M, D) → (1, M, H, D)."""
    if spans is None:
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **options)
        return output, None
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    attend = flex_packed_attention if query.device.type == "cuda" else packed_attention
    return attend(query[0], key[0], value[0], spans, scale).transpose(0, 1)[None], None


def packed_attention(query: Tensor, key: Tensor, value: Tensor, spans: Sequence[Span], scale: float) -> Tensor:
    """(H, M, D) from query (H, M, D), key and value (H / G, M, D): row by row."""
    rows = []
    for span in spans:
        place = slice(span.start, span.end)
        rows.append(_row(query[:, place], key[:, place], value[:, place], span, scale))
    return torch.cat(rows, dim=1)


def _row(query: Tensor, key: Tensor, value: Tensor, span: Span, scale: float) -> Tensor:
    prefix = span.prefix
    ours = scaled_dot_product_attention(
        query[None, :, :prefix], key[None, :, :prefix], value[None, :, :prefix], is_causal=True, scale=scale,
        enable_gqa=True,
    )[0]  # fmt: skip
    if not span.branches:
        return ours
    theirs = _branches(query[:, prefix:], key, value, span, scale)
    return torch.cat([ours, theirs], dim=1)


def _branches(query: Tensor, key: Tensor, value: Tensor, span: Span, scale: float) -> Tensor:
    """(H, tokens of the branches, D): one softmax over the keys of the prefix and those of the branch itself."""
    (heads, _, width), kv_heads, prefix = query.shape, key.shape[0], span.prefix
    groups, branches, longest = heads // kv_heads, len(span.branches), max(span.branches)
    query_BT = _padded(query, span.branches).view(kv_heads, groups, branches, longest, width)
    key_BT = _padded(key[:, prefix:], span.branches).view(kv_heads, 1, branches, longest, width)
    value_BT = _padded(value[:, prefix:], span.branches).view(kv_heads, 1, branches, longest, width)
    flat = query_BT.reshape(kv_heads, groups * branches * longest, width)
    to_prefix = (flat @ key[:, :prefix].transpose(1, 2)).view(kv_heads, groups, branches, longest, prefix)
    to_self = query_BT @ key_BT.transpose(-1, -2)
    future = torch.ones(longest, longest, dtype=torch.bool, device=query.device).triu(1)
    scores = torch.cat([to_prefix, to_self.masked_fill(future, float("-inf"))], dim=-1).float() * scale
    weights = scores.softmax(-1).to(value.dtype)
    from_prefix = weights[..., :prefix].reshape(kv_heads, -1, prefix) @ value[:, :prefix]
    output = from_prefix.view_as(query_BT) + weights[..., prefix:] @ value_BT
    return _unpadded(output.reshape(heads, branches * longest, width), span.branches)


def _padded(tokens: Tensor, lengths: tuple[int, ...]) -> Tensor:
    """(H, branches · longest, D) from branches end to end. The filling lies in the future of every real token."""
    if len(set(lengths)) == 1:
        return tokens
    return tokens[:, _places(lengths)[0].to(tokens.device)]


def _unpadded(tokens: Tensor, lengths: tuple[int, ...]) -> Tensor:
    if len(set(lengths)) == 1:
        return tokens
    return tokens[:, _places(lengths)[1].to(tokens.device)]


@lru_cache(maxsize=256)
def _places(lengths: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Where each place of the padded branches is taken from, and where each real token lies among them."""
    longest, starts = max(lengths), [sum(lengths[:b]) for b in range(len(lengths))]
    source = [start + min(t, length - 1) for start, length in zip(starts, lengths, strict=True) for t in range(longest)]
    real = [b * longest + t for b, length in enumerate(lengths) for t in range(length)]
    return torch.tensor(source), torch.tensor(real)


def flex_packed_attention(query: Tensor, key: Tensor, value: Tensor, spans: Sequence[Span], scale: float) -> Tensor:
    """As `packed_attention`, in one call of FlexAttention."""
    tokens = query.shape[1]
    filled = -(-tokens // BLOCK) * BLOCK
    query, key, value = (pad(x, (0, 0, 0, filled - tokens))[None] for x in (query, key, value))
    mask = _block_mask(tuple(spans), filled, query.device)
    attend = _compiled_flex() if query.device.type == "cuda" else flex_attention
    return attend(query, key, value, block_mask=mask, scale=scale, enable_gqa=True)[0, :, :tokens]


@cache
def _compiled_flex() -> Any:
    return torch.compile(flex_attention, dynamic=True)


@lru_cache(maxsize=4)
def _block_mask(spans: tuple[Span, ...], filled: int, device: torch.device) -> BlockMask:
    """The layers of one forward and backward pass share it."""
    row_M, branch_M = (labels.to(device) for labels in labels_of(spans, filled))

    def visible(batch: Tensor, head: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return (q >= k) & (row_M[q] == row_M[k]) & ((branch_M[k] == 0) | (branch_M[k] == branch_M[q]))

    return create_block_mask(visible, 1, 1, filled, filled, device=str(device), BLOCK_SIZE=BLOCK)


def labels_of(spans: Sequence[Span], filled: int) -> tuple[Tensor, Tensor]:
    """Per token its row, −1 for filling, and its branch from 1 on, 0 for the prefix."""
    rows, branches = [], []
    for number, span in enumerate(spans):
        rows += [number] * (span.end - span.start)
        branches += [0] * span.prefix
        branches += [b for b, length in enumerate(span.branches, start=1) for _ in range(length)]
    missing = filled - len(rows)
    return torch.tensor(rows + [-1] * missing), torch.tensor(branches + [0] * missing)
