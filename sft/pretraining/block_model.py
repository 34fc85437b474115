"""The forward pass of a Qwen2 model over `block_rows.py`: the same numbers as separate sequences, at a fraction.

Attention is written out as matrix products over the few keys that a token may see (the schema and its own chunk), so
that no product is spent on masked pairs of other blocks; `torch.compile` fuses the rest.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Qwen2Config, Qwen2ForCausalLM
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention

from sft.pretraining.block_rows import Rows

MASKED = -1e9
STRIDE = 64


def tensors(rows: Rows) -> dict[str, Tensor]:
    """The rows as tensors: ids and numbers int64, weights float32, sql bool; S cut to the longest schema's 64s."""
    size = max(2, -(-int(rows.lengths.max()) // STRIDE)) * STRIDE  # few sizes, since each is compiled
    numbers = ("lengths", "body", "block", "offset")
    made = {name: torch.from_numpy(vars(rows)[name]).long() for name in numbers}
    made["schema"] = torch.from_numpy(rows.schema[:, :size]).long()
    return made | {"weight": torch.from_numpy(rows.weight).float(), "sql": torch.from_numpy(rows.sql)}


def losses(model: Qwen2ForCausalLM, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """(negative log-likelihood of each next token, whether the most likely token is the right one), both [D, C, W]."""
    body = batch["body"]
    logits = F.linear(hidden(model, batch), model.model.embed_tokens.weight).float()
    target = F.pad(body[:, :, 1:], (0, 1))
    loss = F.cross_entropy(logits.flatten(0, 2), target.flatten(), reduction="none").view(body.shape)
    return loss, logits.argmax(-1) == target


def hidden(model: Qwen2ForCausalLM, batch: dict[str, Tensor]) -> Tensor:
    """The last hidden states of the body, [D, C, W, hidden]."""
    config, (docs, chunks, width) = model.config, batch["body"].shape
    size = batch["schema"].shape[1]
    masks = _masks(batch)
    positions = torch.arange(size).expand(docs, size)
    positions = torch.cat((positions, (batch["lengths"][:, None, None] + batch["offset"]).flatten(1)), 1)
    dtype = model.model.embed_tokens.weight.dtype
    turn = _turns(positions, config, dtype)
    x = F.embedding(torch.cat((batch["schema"], batch["body"].flatten(1)), 1), model.model.embed_tokens.weight)
    for layer in model.model.layers:
        h = _norm(x, layer.input_layernorm.weight, config.rms_norm_eps)
        h = _attention(layer.self_attn, h, turn, masks, (docs, chunks, width))
        x = x + layer.self_attn.o_proj(h)
        h = _norm(x, layer.post_attention_layernorm.weight, config.rms_norm_eps)
        x = x + layer.mlp.down_proj(F.silu(layer.mlp.gate_proj(h)) * layer.mlp.up_proj(h))
    return _norm(x[:, size:], model.model.norm.weight, config.rms_norm_eps).view(docs, chunks, width, -1)


def _masks(batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """What may be seen, as numbers to add to scores: by the schema [D, 1, 1, S, S], by a chunk [D*C, 1, 1, W, S+W]."""
    block, (docs, size) = batch["block"], batch["schema"].shape
    _, chunks, width = block.shape
    there = torch.arange(size) < batch["lengths"][:, None]
    causal = torch.ones(size, size, dtype=torch.bool).tril() & there[:, None, :]
    same = (block[..., :, None] == block[..., None, :]) & torch.ones(width, width, dtype=torch.bool).tril()
    own = torch.cat((there[:, None, None, :].expand(docs, chunks, width, size), same), -1).flatten(0, 1)
    return _added(causal), _added(own)


def _added(seen: Tensor) -> Tensor:
    return torch.zeros(seen.shape, dtype=torch.bfloat16).masked_fill(~seen, MASKED)[:, None, None]


def _attention(
    attention: Qwen2Attention,
    h: Tensor,
    turn: tuple[Tensor, Tensor],
    masks: tuple[Tensor, Tensor],
    shape: tuple[int, int, int],
) -> Tensor:
    """h [D, S + C*W, hidden] -> what the heads say, of the same shape; shape is (D, C, W)."""
    config, (docs, chunks, width) = attention.config, shape
    heads, kv = config.num_attention_heads, config.num_key_value_heads
    per, dim, length = heads // kv, config.hidden_size // heads, h.shape[1]
    size = length - chunks * width
    q = _turned(attention.q_proj(h).view(docs, length, heads, dim), turn)
    k = _turned(attention.k_proj(h).view(docs, length, kv, dim), turn)
    v = attention.v_proj(h).view(docs, length, kv, dim)
    asked = q[:, :size].reshape(docs, size, kv, per, dim).permute(0, 2, 3, 1, 4)
    first = _attend(asked, k[:, :size].transpose(1, 2), v[:, :size].transpose(1, 2), masks[0])
    first = first.permute(0, 3, 1, 2, 4).reshape(docs, size, heads * dim)

    def seen(x: Tensor) -> Tensor:
        schema = x[:, None, :size].expand(docs, chunks, size, kv, dim)
        both = torch.cat((schema, x[:, size:].view(docs, chunks, width, kv, dim)), 2)
        return both.permute(0, 1, 3, 2, 4).reshape(docs * chunks, kv, size + width, dim)

    asked = q[:, size:].reshape(docs * chunks, width, kv, per, dim).permute(0, 2, 3, 1, 4)
    rest = _attend(asked, seen(k), seen(v), masks[1])
    rest = rest.permute(0, 3, 1, 2, 4).reshape(docs, chunks * width, heads * dim)
    return torch.cat((first, rest), 1)


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """q [N, kv, per, L, dim], k and v [N, kv, K, dim], mask [N, 1, 1, L, K] -> [N, kv, per, L, dim]."""
    n, kv, per, length, dim = q.shape
    scores = torch.matmul(q.reshape(n, kv, per * length, dim), k.transpose(-1, -2)).view(n, kv, per, length, -1)
    weights = torch.softmax(scores.float() * dim**-0.5 + mask.float(), -1).to(v.dtype)
    return torch.matmul(weights.view(n, kv, per * length, -1), v).view(q.shape)


def _norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    wide = x.float()
    return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)).to(x.dtype) * weight


def _turns(positions: Tensor, config: Qwen2Config, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the rotary angles, [D, T, 1, dim / 2]."""
    dim = config.hidden_size // config.num_attention_heads
    rates = config.rope_parameters["rope_theta"] ** -(torch.arange(0, dim, 2).float() / dim)
    angles = positions.float()[:, :, None, None] * rates
    return angles.cos().to(dtype), angles.sin().to(dtype)


def _turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = turn
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)
