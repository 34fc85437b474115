"""Attention over packed rows: a prefix sees itself causally, a branch sees what it follows and itself. No M x M mask.

`install(model)` lets a transformers model use it; a forward pass gets the rows through `forward_arguments(spans)`.
On CUDA it is FlexAttention, which skips blocks that nothing sees; elsewhere each row is computed in its two parts.
A sliding window counts positions of the sequence that an answer would be alone, not places in the packed row.

Axes: H heads, G query heads per key head, M tokens, P of a prefix, B branches of T tokens (the longest), D per head.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from evaluation.errors import UserError
from sft.policy.packing import Span
from sft.policy.span_mask import BLOCK, block_mask

NAMES = {"sdpa": "rollsql_packed", "flex": "rollsql_packed_flex"}
"""What transformers calls the two implementations."""

UNKNOWN_TERMS = ("position_bias", "s_aux")
"""Arguments of transformers' attention that change the scores in ways not known here."""


class CannotPack(ValueError):
    """The model's attention cannot be computed over packed rows; the message says why."""


def install(model: PreTrainedModel, attention: str = "sdpa") -> None:
    """Make `model` understand `forward_arguments`; without them it works as before. attention: a key of NAMES."""
    for name, attend in ((NAMES["sdpa"], _packed_forward), (NAMES["flex"], _flex_forward)):
        AttentionInterface.register(name, attend)
        AttentionMaskInterface.register(name, sdpa_mask)
    model.set_attn_implementation(NAMES[attention])


def uninstall(model: PreTrainedModel) -> None:
    """Give `model` the attention of transformers that computes what its architecture says."""
    if own_attention(model) != model.config._attn_implementation and model._can_set_attn_implementation():
        model.set_attn_implementation(own_attention(model))


def own_attention(model: PreTrainedModel) -> str:
    """transformers' name of it: SDPA where there is one, but its call of SDPA leaves a soft cap out."""
    capped = getattr(model.config.get_text_config(), "attn_logit_softcapping", None) is not None
    return "sdpa" if model._supports_sdpa and not capped else "eager"


def chosen(setting: str, model: PreTrainedModel, dtype: str) -> str:
    """The key of NAMES that model.attention = `setting` stands for, with this model on its device."""
    config = model.config.get_text_config()
    heads = int(config.num_attention_heads)
    kv_heads = int(getattr(config, "num_key_value_heads", None) or heads)
    width = int(getattr(config, "head_dim", None) or config.hidden_size // heads)
    probe = partial(_flex_probe, heads, kv_heads, width, getattr(torch, dtype), model.device)
    return implementation(setting, model.device, probe)


def implementation(setting: str, device: torch.device, probe: Callable[[], object]) -> str:
    """As `chosen`. probe: tries FlexAttention on the device and raises where it cannot be compiled, or is wrong.

    UserError when FlexAttention is asked for and cannot be had; with auto a warning.
    """
    if setting == "sdpa" or (setting == "auto" and device.type == "cpu"):
        return "sdpa"
    if device.type == "cpu":
        raise UserError("model.attention = flex needs a GPU, and there is none: set model.attention=auto")
    try:
        probe()
    except Exception as error:  # Triton, the C compiler, the driver: each fails in its own way
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        why = f"FlexAttention does not work on {device}: {said[:200]}"
        if setting == "flex":
            raise UserError(f"{why}; model.attention=sdpa does without it") from error
        warnings.warn(f"{why}; going on with model.attention = sdpa, which takes more memory", stacklevel=2)
        return "sdpa"
    return "flex"


def _flex_probe(heads: int, kv_heads: int, width: int, dtype: torch.dtype, device: torch.device) -> None:
    """Two rows through FlexAttention, forward and backward, compared with the attention in two parts."""
    tree = Span(180, 30, rows=(Span(210, 10, (8, 6)), Span(234, 16)))
    spans, generator = (Span(0, 100, (30, 50)), tree), torch.Generator().manual_seed(0)
    numbers = torch.randn(heads + 2 * kv_heads, 250, width, generator=generator).to(device, dtype)
    query, key, value = numbers.split([heads, kv_heads, kv_heads])
    query.requires_grad_()
    ours = flex_packed_attention(query, key, value, spans, width**-0.5)
    ours.float().square().sum().backward()
    with torch.no_grad():
        difference = float((ours - packed_attention(query, key, value, spans, width**-0.5)).abs().max())
    if not difference < 0.1:
        raise RuntimeError(f"its result is {difference:.3g} away from the right one")


def forward_arguments(spans: tuple[Span, ...], device: torch.device) -> dict[str, Any]:
    """Keyword arguments of a forward pass over one row of M packed tokens.

    The mask is a stand-in: transformers passes one of four dimensions on as it is, and would otherwise make its own.
    """
    return {"spans": spans, "attention_mask": torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device)}


def _packed_forward(*args: Any, **options: Any) -> tuple[Tensor, None]:
    return _forward(packed_attention, *args, **options)


def _flex_forward(*args: Any, **options: Any) -> tuple[Tensor, None]:
    return _forward(flex_packed_attention, *args, **options)


def _forward(
    attend: Callable[..., Tensor],
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    spans: tuple[Span, ...] | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """transformers' contract: query (1, H, M, D), key and value (1, H / G, M, D) → (1, M, H, D)."""
    if spans is None:
        if attention_mask is not None and attention_mask.numel() == 1 < query.shape[2]:
            raise CannotPack("its layers do not pass on which tokens belong together")
        return _plain(module, query, key, value, attention_mask, scaling, softcap, **options), None
    unknown = [name for name in UNKNOWN_TERMS if options.get(name) is not None]
    if unknown:
        raise CannotPack(f"its attention adds {' and '.join(unknown)} to the scores")
    if torch.is_autocast_enabled(query.device.type):  # rotary embeddings leave q and k in fp32 where weights are
        dtype = torch.get_autocast_dtype(query.device.type)
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    output = attend(query[0], key[0], value[0], spans, scale, sliding_window, softcap)
    return output.transpose(0, 1)[None], None


def _plain(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None,
    softcap: float | None,
    **options: Any,
) -> Tensor:
    """What transformers itself would compute; its own call of SDPA knows no soft cap."""
    if softcap is None:
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **options)
        return output
    visible = attention_mask
    if visible is None:
        visible = _visible(query.shape[2], None, query.device)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return torch.stack(
        [_capped_attention(*qkv, visible[0, 0] if visible.dim() == 4 else visible, scale, softcap).transpose(0, 1)
         for qkv in zip(query, key, value, strict=True)]
    )  # fmt: skip


def packed_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    spans: Sequence[Span],
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
) -> Tensor:
    """(H, M, D) from query (H, M, D), key and value (H / G, M, D): row by row.

    window: a token sees the `window` last positions, its own included. softcap: scores become c · tanh(score / c).
    """
    rows = []
    for span in spans:
        place = slice(span.start, span.end)
        rows.append(_row(query[:, place], key[:, place], value[:, place], span, scale, window, softcap))
    return torch.cat(rows, dim=1)


def _row(
    query: Tensor, key: Tensor, value: Tensor, span: Span, scale: float, window: int | None, softcap: float | None
) -> Tensor:
    prefix = span.prefix
    found = [_causal(query[:, :prefix], key[:, :prefix], value[:, :prefix], scale, window, softcap)]
    if span.branches:
        found.append(_branches(query[:, prefix:], key, value, span, scale, window, softcap))
    if span.rows:
        found += _rows_behind(query, key, value, span, scale, window, softcap)
    return torch.cat(found, dim=1)


def _rows_behind(
    query: Tensor, key: Tensor, value: Tensor, span: Span, scale: float, window: int | None, softcap: float | None
) -> list[Tensor]:
    """Their prefixes are branches of the common one; to their own branches the common prefix and theirs are one."""
    places = [slice(row.start - span.start, row.start - span.start + row.prefix) for row in span.rows]
    own = [torch.cat([tensor[:, place] for place in places], 1) for tensor in (query, key, value)]
    keys, values = (torch.cat([x[:, : span.prefix], mine], 1) for x, mine in zip((key, value), own[1:], strict=True))
    lengths = tuple(row.prefix for row in span.rows)
    prefixes = _branches(own[0], keys, values, Span(0, span.prefix, lengths), scale, window, softcap)
    found: list[Tensor] = []
    for row, place, prefix in zip(span.rows, places, prefixes.split(lengths, 1), strict=True):
        found.append(prefix)
        if row.branches:
            end = row.end - span.start
            keys, values = (torch.cat([x[:, : span.prefix], x[:, place.start : end]], 1) for x in (key, value))
            behind = Span(0, span.prefix + row.prefix, row.branches)
            found.append(_branches(query[:, place.stop : end], keys, values, behind, scale, window, softcap))
    return found


def _causal(
    query: Tensor, key: Tensor, value: Tensor, scale: float, window: int | None, softcap: float | None
) -> Tensor:
    length = query.shape[1]
    if softcap is not None:
        return _capped_attention(query, key, value, _visible(length, window, query.device), scale, softcap)
    if window is None or length <= window:
        return scaled_dot_product_attention(
            query[None], key[None], value[None], is_causal=True, scale=scale, enable_gqa=True
        )[0]
    groups = len(query) // len(key)  # with a mask, GPUs have no fast kernel for grouped heads
    key, value = key.repeat_interleave(groups, 0), value.repeat_interleave(groups, 0)
    mask = _visible(length, window, query.device)
    return scaled_dot_product_attention(query[None], key[None], value[None], attn_mask=mask, scale=scale)[0]


def _capped_attention(
    query: Tensor, key: Tensor, value: Tensor, visible: Tensor, scale: float, softcap: float
) -> Tensor:
    """(H, M, D) under a mask (M, M), with capped scores."""
    groups = len(query) // len(key)
    scores = query @ key.repeat_interleave(groups, 0).transpose(1, 2)
    scores = _scaled(scores, scale, softcap).masked_fill(~visible, float("-inf"))
    return scores.softmax(-1).to(value.dtype) @ value.repeat_interleave(groups, 0)


def _scaled(scores: Tensor, scale: float, softcap: float | None) -> Tensor:
    scores = scores.float() * scale
    return scores if softcap is None else softcap * torch.tanh(scores / softcap)


def _visible(length: int, window: int | None, device: torch.device) -> Tensor:
    """(length, length): the past, itself included, as far as the window goes."""
    past = torch.ones(length, length, dtype=torch.bool, device=device).tril()
    return past if window is None else past.triu(1 - window)


def _branches(
    query: Tensor, key: Tensor, value: Tensor, span: Span, scale: float, window: int | None, softcap: float | None
) -> Tensor:
    """(H, tokens of the branches, D): one softmax over the keys of the prefix and those of the branch itself."""
    (heads, _, width), kv_heads, prefix = query.shape, key.shape[0], span.prefix
    groups, branches, longest = heads // kv_heads, len(span.branches), max(span.branches)
    first = 0 if window is None else max(0, prefix - window + 1)  # what the first token of a branch sees
    query_BT = _padded(query, span.branches).view(kv_heads, groups, branches, longest, width)
    key_BT = _padded(key[:, prefix:], span.branches).view(kv_heads, 1, branches, longest, width)
    value_BT = _padded(value[:, prefix:], span.branches).view(kv_heads, 1, branches, longest, value.shape[-1])
    flat = query_BT.reshape(kv_heads, groups * branches * longest, width)
    key_P, value_P = key[:, first:prefix], value[:, first:prefix]
    to_prefix = (flat @ key_P.transpose(1, 2)).view(kv_heads, groups, branches, longest, prefix - first)
    to_prefix = _scaled(to_prefix, scale, softcap)
    to_self = _scaled(query_BT @ key_BT.transpose(-1, -2), scale, softcap)
    unseen = torch.ones(longest, longest, dtype=torch.bool, device=query.device).triu(1)
    if window is not None and prefix + longest > window:
        unseen = unseen | unseen.new_ones(longest, longest).tril(-window)
        past = torch.arange(longest, device=query.device)[:, None] + prefix - window  # the last position too far back
        to_prefix = to_prefix.masked_fill(past >= torch.arange(first, prefix, device=query.device), float("-inf"))
    scores = torch.cat([to_prefix, to_self.masked_fill(unseen, float("-inf"))], dim=-1)
    weights = scores.softmax(-1).to(value.dtype)
    from_prefix = weights[..., : prefix - first].reshape(kv_heads, -1, prefix - first) @ value_P
    from_prefix = from_prefix.view(kv_heads, groups, branches, longest, value.shape[-1])
    output = from_prefix + weights[..., prefix - first :] @ value_BT
    return _unpadded(output.reshape(heads, branches * longest, value.shape[-1]), span.branches)


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


def flex_packed_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    spans: Sequence[Span],
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
) -> Tensor:
    """As `packed_attention`, in one call of FlexAttention."""
    tokens = query.shape[1]
    filled = -(-tokens // BLOCK) * BLOCK
    query, key, value = (pad(x, (0, 0, 0, filled - tokens))[None] for x in (query, key, value))
    mask = _block_mask(tuple(spans), filled, window, query.device)
    attend = _compiled_flex() if query.device.type == "cuda" else flex_attention
    score = None if softcap is None else _score_mod(softcap)
    return attend(query, key, value, score_mod=score, block_mask=mask, scale=scale, enable_gqa=True)[0, :, :tokens]


@cache
def _compiled_flex() -> Any:
    return torch.compile(flex_attention, dynamic=True)


@cache
def _score_mod(softcap: float) -> Callable[..., Tensor]:
    def capped(score: Tensor, batch: Tensor, head: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return softcap * torch.tanh(score / softcap)

    return capped


@lru_cache(maxsize=8)
def _block_mask(spans: tuple[Span, ...], filled: int, window: int | None, device: torch.device) -> BlockMask:
    """The layers of one forward and backward pass share it; a model may have layers with and without a window."""
    return block_mask(spans, filled, window, device)
