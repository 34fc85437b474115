"""The adapter that SFT begins with (init_adapter): what it must be to learn on as a new one would."""

from __future__ import annotations

import json
from pathlib import Path

import peft

from evaluation.errors import UserError
from sft.config import LoraConfig
from sft.policy import base as policy


def check_same_lora(directory: Path, lora: LoraConfig) -> None:
    """UserError when the adapter is not what `lora` describes."""
    stored = json.loads(policy.read_adapter(directory).adapter_config)
    for theirs, ours in {"r": "r", "lora_alpha": "alpha", "lora_dropout": "dropout"}.items():
        if stored.get(theirs) != getattr(lora, ours):
            raise UserError(
                f"the adapter {directory} must be one of lora.{ours} = {getattr(lora, ours)}, but has "
                f"{stored.get(theirs)}: set lora.{ours}={stored.get(theirs)}, or begin with another adapter"
            )


def check_on_every_layer(model: peft.PeftModel, directory: Path) -> None:
    """UserError when the adapter from `directory`, now on its base, is not on every linear layer, as ours are."""
    bare = set(policy.linear_layers(model.get_base_model())) - {"base_layer", "default"}  # parts of adapted layers
    if bare:
        raise UserError(
            f"the adapter {directory} must be on every linear layer of the base, but leaves out "
            f"{', '.join(sorted(bare))}: begin with another, or merge it (python -m sft.merge) and train on that"
        )
