"""The gradient of a step of SFT: of the mean over its answer tokens, exact however it is cut into micro-batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import peft
import torch
from torch import Tensor
from transformers import PreTrainedModel

from sft.config import SftConfig
from sft.policy.answers import Packing, answer_scores
from sft.policy.base import keep_input_dtype
from sft.policy.device import detect
from sft.policy.packing import PackedBatch
from sft.policy.support import ready

Model: TypeAlias = PreTrainedModel | peft.PeftModel


class Gradient:
    """Of the loss of packed answers, for one model on one device."""

    def __init__(self, config: SftConfig, model: Model) -> None:
        self.model, self.support = model, ready(causal_lm(model), config.model)
        self.in_bf16 = detect().computes_in(config.model.dtype) == "bfloat16"
        if isinstance(model, peft.PeftModel) and self.in_bf16:
            keep_input_dtype(model)

    @property
    def packing(self) -> Packing:
        return self.support.packing

    def parameters(self) -> list[torch.nn.Parameter]:
        """Those that learn."""
        return [value for value in self.model.parameters() if value.requires_grad]

    def add(self, batches: Sequence[PackedBatch], answer_tokens: int) -> tuple[Tensor, int]:
        """Add that of the mean over answer_tokens, of which the batches hold some. Returns their part of the loss, in
        nats, and how many of their tokens were right."""
        self.model.train()
        device = self.parameters()[0].device
        loss, right = torch.zeros((), device=device), 0
        for batch in batches:
            with torch.autocast(device.type, torch.bfloat16, enabled=self.in_bf16):
                scores = answer_scores(causal_lm(self.model), batch.to(device), self.packing)
            share = -scores.log_probs_N.sum() / answer_tokens
            share.backward()
            loss += share.detach()
            right += int(scores.top_N.sum())
        return loss, right


def keep_in_fp32(parameters: Sequence[torch.nn.Parameter]) -> None:
    """Of what learns: in bf16 small updates vanish."""
    for value in parameters:
        value.data = value.data.float()


def causal_lm(model: Model) -> Any:
    """Without the adapter's wrapping."""
    return model.get_base_model() if isinstance(model, peft.PeftModel) else model
