"""Noise of the base while it trains, switched off: dropout, dropped layers, jitter of a router.

A policy's log-probabilities must be those that the engine computes with the same weights. What a LoRA drops is a
setting of its own, lora.dropout.
"""

from __future__ import annotations

import re

import torch
from transformers import PreTrainedModel

_NOISE = re.compile(r"dropout|pdrop|layerdrop|jitter")


def silence(base: PreTrainedModel) -> None:
    """Sets every probability of dropping to 0: of modules, of the attributes that functions read, of the config.

    Before a LoRA is put on, which may have a dropout of its own.
    """
    for holder in (base.config.get_text_config(), base.config, *base.modules()):
        for name, value in list(vars(holder).items()):
            if isinstance(value, float) and _NOISE.search(name):
                setattr(holder, name, 0.0)
        if isinstance(holder, torch.nn.modules.dropout._DropoutNd):
            holder.p = 0.0
