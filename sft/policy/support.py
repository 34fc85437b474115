"""Is what is trained what the model is? Proved at load: one packed row against plain forwards of the model itself.

The row has two different answers behind a shared prefix, longer than a sliding window that training would reach. A
model for which they agree learns packed. For another each answer is a sequence of its own, through the model's own
forward; one that does not even then give the same log-probabilities in training as in use is refused.

Cost: six forward passes of 60 tokens, or of a window and 60, in fp32 whatever the dtype of the weights: a tenth of a
second for a small model. A second model of the same config is not tried again in a process.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from evaluation.errors import UserError
from sft.config import ModelConfig
from sft.policy import attention
from sft.policy.answers import Packing, answer_scores
from sft.policy.in_fp32 import in_fp32
from sft.policy.packing import Branch, PackedBatch, Row, pack_rows

TOLERANCE = 1e-4
"""Largest |Δ log π| of a token that counts as none, in nats; or ten times what the model's own rounding makes."""
NOT_CAUSAL = 3e-3
"""Largest |Δ log π| that a longer sequence may make in the tokens before, in nats."""
BEYOND = 60
"""Tokens of a trial, or beyond a window."""
WHOLE_LOGITS = 2**28
"""Logits made for every token of a trial, in numbers; above it for the answers only."""


@dataclass(frozen=True)
class Support:
    """How a model can be trained. max_difference: largest |Δ log π| of an answer token, nats, None where it could not
    be had; reason: why it is not packed, or not supported."""

    supported: bool
    packing: Packing
    max_difference: float | None
    reason: str = ""

    @property
    def notice(self) -> str:
        """A line for whoever trains it; "" when there is nothing to say."""
        return "" if self.packing == "shared" else f"learns unpacked, which is slower and as exact: {self.reason}"


_FOUND: dict[str, Support] = {}


def ready(causal_lm: PreTrainedModel, model: ModelConfig, sampled: bool = False) -> Support:
    """How the model learns, with the attention for it put in. UserError when it cannot.

    causal_lm: with or without LoRA layers in it. sampled: its answers come from an engine.
    """
    found = support_of(causal_lm, model.max_length)
    if not found.supported:
        raise UserError(f"the model {model.path} cannot be trained: {found.reason}")
    if found.packing == "shared":
        attention.install(causal_lm, attention.chosen(model.attention, causal_lm, model.dtype))
        return found
    if sampled and (rope := _moving_rope(causal_lm, model.max_length)):
        raise UserError(f"the model {model.path} cannot be trained by reward: its {rope}; an engine keeps to one side")
    return found


def support_of(causal_lm: PreTrainedModel, max_length: int) -> Support:
    """Leaves the model as it was, with the attention that its packing needs: the packed one, or its own."""
    key = f"{type(causal_lm).__qualname__} {max_length} {causal_lm.config.to_json_string()}"
    if key not in _FOUND:
        with torch.no_grad(), _modes_kept(causal_lm), in_fp32(causal_lm):
            _FOUND[key] = _prove(causal_lm, max_length)
    if _FOUND[key].packing == "shared":
        attention.install(causal_lm)
    else:
        attention.uninstall(causal_lm)
    return _FOUND[key]


def _prove(causal_lm: PreTrainedModel, max_length: int) -> Support:
    row = _trial(causal_lm, max_length)
    attention.uninstall(causal_lm)
    try:
        wanted, noise = _as_served(causal_lm, row)
    except Exception as error:  # whatever an architecture raises is why it is not supported
        return Support(False, "none", None, f"its own forward fails: {_first_line(error)}")
    if noise > NOT_CAUSAL:
        return Support(False, "none", noise, "it is not causal: what it predicts depends on the tokens after it")
    rope, tolerance = _moving_rope(causal_lm, max_length), max(TOLERANCE, 10 * noise)
    if rope.startswith("dynamic"):
        return Support(False, "none", None, rope)
    shared, why = _difference(lambda: _packed(causal_lm, row), wanted)
    if shared is not None and shared <= tolerance and not rope:
        return Support(True, "shared", shared)
    why = rope or why or f"packed, log-probabilities differ by {shared:.2g}"
    attention.uninstall(causal_lm)
    plain, failed = _difference(lambda: _plain(causal_lm, row), wanted)
    if plain is not None and plain <= tolerance:
        return Support(True, "none", plain, why)
    differ = f"its log-probabilities differ by {plain:.2g} between training and use" if plain is not None else ""
    return Support(False, "none", plain, failed or differ)


def _difference(scored: Callable[[], Tensor], wanted: Tensor) -> tuple[float | None, str]:
    try:
        difference = float((scored() - wanted).abs().max())
    except attention.CannotPack as error:
        return None, str(error)
    except Exception as error:  # as above
        return None, f"its forward fails in training: {_first_line(error)}"
    return (difference, "") if difference == difference else (None, "its log-probabilities are not numbers")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{lines[0][:200]}" if lines else type(error).__name__


def _trial(causal_lm: PreTrainedModel, max_length: int) -> Row:
    """Random ids of the vocabulary, special ones left out."""
    config = causal_lm.config.get_text_config()
    windows = [w for w in _windows(config) if w < max_length]
    window = max((w for w in windows if _fits(causal_lm, w + BEYOND)), default=0)
    positions = getattr(config, "max_position_embeddings", None) or max_length
    length = max(8, min(window + BEYOND, max_length, positions))
    first, second = (max(2, length // 4), max(3, length // 3)) if length <= 2 * BEYOND else (10, 15)
    special = {value for key, value in config.to_dict().items() if key.endswith("token_id")}
    ids = [i for i in range(min(config.vocab_size, 2**16)) if i not in special] or [0]
    rng = random.Random(0)
    prefix, one, other = (rng.choices(ids, k=k) for k in (length - second, first, second))
    return Row(prefix, [Branch.of((), one), Branch.of((), other)])


def _windows(config: Any) -> list[int]:
    """Every distance that might matter to attention or to a scan: sliding windows, chunks."""
    named = {key: value for key, value in config.to_dict().items() if "window" in key or "chunk" in key}
    return [value for value in named.values() if type(value) is int and value > 0]


def _fits(causal_lm: PreTrainedModel, tokens: int) -> bool:
    """Whether plain attention over so many tokens takes at most half of the free memory."""
    device = causal_lm.device
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        lines = Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").exists() else []
        free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), 2**32)
    heads = getattr(causal_lm.config.get_text_config(), "num_attention_heads", 32)
    return 4 * 4 * heads * tokens**2 <= free // 2


def _moving_rope(causal_lm: PreTrainedModel, max_length: int) -> str:
    """Why rotary frequencies that depend on the longest sequence of a batch are in the way; "" when they are not."""
    config = causal_lm.config.get_text_config()
    ropes = getattr(config, "rope_parameters", None) or {}
    for rope in [ropes, *(value for value in ropes.values() if isinstance(value, dict))]:
        kind = rope.get("rope_type")
        original = rope.get("original_max_position_embeddings")
        switch = original or getattr(config, "original_max_position_embeddings", None) or config.max_position_embeddings
        if kind in ("longrope", "dynamic") and max_length > switch:
            return (
                f"{kind} rotary frequencies change beyond {switch} tokens, and model.max_length is {max_length}: "
                f"set model.max_length={switch}"
            )
    return ""


def _as_served(causal_lm: PreTrainedModel, row: Row) -> tuple[Tensor, float]:
    """log π of the answer tokens by the model's own forward, one answer after the other; and how much of the first
    token's distribution changes when the sequence ends before it."""
    causal_lm.eval()
    parts = []
    for branch in row.branches:
        ids = torch.tensor([[*row.prefix, *branch.answer]], device=causal_lm.device)
        log_probs = _logits(causal_lm, ids, len(branch.answer) + 1)[:-1].float().log_softmax(-1)
        targets = torch.tensor(branch.answer, device=causal_lm.device)
        parts.append(log_probs.gather(1, targets[:, None])[:, 0])
    alone = _logits(causal_lm, ids[:, : len(row.prefix)], 1)[-1].float().log_softmax(-1)
    return torch.cat(parts), float((alone - log_probs[0]).abs().max())


def _logits(causal_lm: Any, ids: Tensor, last: int) -> Tensor:
    """(last, V): those of the last tokens."""
    if ids.shape[1] * causal_lm.config.get_text_config().vocab_size <= WHOLE_LOGITS:
        return causal_lm(input_ids=ids).logits[0, -last:]
    return causal_lm(input_ids=ids, logits_to_keep=last).logits[0]


def _packed(causal_lm: PreTrainedModel, row: Row) -> Tensor:
    if not causal_lm._can_set_attn_implementation():
        raise attention.CannotPack("its attention cannot be replaced")
    attention.install(causal_lm)
    return _as_trained(causal_lm, [row], "shared")


def _plain(causal_lm: PreTrainedModel, row: Row) -> Tensor:
    return _as_trained(causal_lm, [Row(row.prefix, [branch]) for branch in row.branches], "none")


def _as_trained(causal_lm: PreTrainedModel, rows: list[Row], packing: Packing) -> Tensor:
    """In train mode, but for what the settings ask a LoRA to drop."""
    for module in causal_lm.modules():
        module.training = not isinstance(module, torch.nn.Dropout)
    batch: PackedBatch = pack_rows(rows).to(causal_lm.device)
    return answer_scores(causal_lm, batch, packing).log_probs_N


@contextmanager
def _modes_kept(causal_lm: PreTrainedModel) -> Iterator[None]:
    modes = [(module, module.training) for module in causal_lm.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
