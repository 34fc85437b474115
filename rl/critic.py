"""The critic: V of the prompt and what was written so far, by a value head on a second LoRA over the learner's base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sft.policy.answers import answer_hidden
from sft.policy.packing import PackedBatch

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
        self.model.set_adapter(NAME)
        causal_lm = self.model.get_base_model()
        hidden_ND = answer_hidden(causal_lm, packed) if packing == "shared" else _one_by_one(causal_lm, packed)
        return self.head(hidden_ND.float())[:, 0]


def _one_by_one(causal_lm: Any, packed: PackedBatch) -> Tensor:
    """(N, D) of rows that are a sequence each."""
    parts = []
    for span in packed.spans:
        ours_N = (packed.predictors_N >= span.start) & (packed.predictors_N < span.end)
        hidden = causal_lm.get_decoder()(input_ids=packed.ids_M[None, span.start : span.end], use_cache=False)[0][0]
        parts.append(hidden[packed.predictors_N[ours_N] - span.start])
    return torch.cat(parts)
