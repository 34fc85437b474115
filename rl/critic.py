"""The critic: V of the prompt and what was written so far, by a value head on a second LoRA over the learner's base."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rl.algorithms.advantages import EPSILON
from rl.algorithms.ppo import Estimates
from sft.policy.answers import answer_hidden
from sft.policy.packing import PackedBatch
from sft.policy.ranks import Ranks

NAME = "critic"


class Critic:
    """trained: its parameters by name. It begins as the policy's first adapter with a head of zeros: V = 0."""

    def __init__(self, model: Any, adapter: Path | None) -> None:
        self.model = model
        if adapter is None:
            model.add_adapter(NAME, model.peft_config["default"])
        else:
            model.load_adapter(str(adapter), adapter_name=NAME, is_trainable=True)
        weight = next(parameter for name, parameter in model.named_parameters() if f".{NAME}." in name)
        width = model.get_base_model().get_output_embeddings().weight.shape[-1]
        self.head = torch.nn.Linear(width, 1, device=weight.device)
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)
        own = {name: parameter for name, parameter in model.named_parameters() if f".{NAME}." in name}
        self.trained = own | {f"{NAME}.head.{name}": p for name, p in self.head.named_parameters()}

    def values(self, packed: PackedBatch, packing: str) -> Tensor:
        """(N,): V before each predicted token, fp32. The caller makes the policy's adapter the active one again."""
        return predicted(self.model, NAME, self.head, packed, packing)


def predicted(model: Any, adapter: str, head: torch.nn.Module, packed: PackedBatch, packing: str) -> Tensor:
    """(N,): what a head makes of the output, under an adapter, at the places that predict answer tokens, fp32. The
    adapter stays the active one."""
    model.set_adapter(adapter)
    causal_lm = model.get_base_model()
    hidden_ND = answer_hidden(causal_lm, packed) if packing == "shared" else _one_by_one(causal_lm, packed)
    values_N: Tensor = head(hidden_ND.float())[:, 0]
    return values_N


def _one_by_one(causal_lm: Any, packed: PackedBatch) -> Tensor:
    """(N, D) of rows that are a sequence each."""
    parts = []
    for span in packed.spans:
        ours_N = (packed.predictors_N >= span.start) & (packed.predictors_N < span.end)
        hidden = causal_lm.get_decoder()(input_ids=packed.ids_M[None, span.start : span.end], use_cache=False)[0][0]
        parts.append(hidden[packed.predictors_N[ours_N] - span.start])
    return torch.cat(parts)


def standardise(found: dict[int, Estimates], ranks: Ranks) -> None:
    """In place: the advantages with mean 0 and deviation 1 over the tokens of all ranks."""
    flat = [a for one in found.values() for a in one.advantages]
    count, total, squares = ranks.sum([len(flat), sum(flat), sum(a * a for a in flat)])
    mean = total / max(1.0, count)
    deviation = max(0.0, squares / max(1.0, count) - mean * mean) ** 0.5 + EPSILON
    for key, one in found.items():
        found[key] = replace(one, advantages=[(a - mean) / deviation for a in one.advantages])
