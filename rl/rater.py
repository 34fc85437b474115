"""A reward model in the learner: an adapter on its base, and a head that reads a score off an answer's last token.

The end token is not read: the score is that of all before it, as in training, where some models pad with it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from evaluation.errors import UserError
from rl.critic import predicted
from rl.types import Episode, Segment
from sft.config import ModelConfig
from sft.policy import provenance
from sft.policy.adapter import CONFIG
from sft.policy.base import load_tokenizer, read_adapter
from sft.policy.packing import PackedBatch

NAME, HEAD = "rater", "head.safetensors"


def check(directory: Path, model: ModelConfig, style: str) -> None:
    """UserError unless it rates answers of this model, behind prompts of this style."""
    lacking = [name for name in (CONFIG, HEAD, provenance.FILE) if not (directory / name).is_file()]
    if lacking:
        raise UserError(f"reward.model: {directory} must be made by rl.reward_model: it lacks {lacking[0]}")
    theirs = json.loads((directory / provenance.FILE).read_text(encoding="utf-8"))
    if theirs.get("tokenizer") != vocabulary_digest(model.path):
        raise UserError(
            f"reward.model: {directory} reads the tokenizer of {theirs.get('base_model')}, another one than that of "
            f"{model.path}: its scores would be of other texts. Train one on a run of this model with rl.reward_model"
        )
    provenance.check(directory, model, style)


def vocabulary_digest(path: str) -> str:
    """Of a model's tokenizer."""
    words = sorted(load_tokenizer(path).get_vocab().items())
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:32]


def digest(directory: Path) -> str:
    """Of its weights."""
    return hashlib.sha256(read_adapter(directory).adapter + (directory / HEAD).read_bytes()).hexdigest()


def whole(episode: Episode) -> Episode:
    """With a last token that is not read: the end token, or one behind an answer that was cut."""
    return episode.then(Segment([episode.ids[-1]], [0.0])) if episode.finish_reason == "length" else episode


class Rater:
    """model: the learner's. The caller makes the policy's adapter the active one again."""

    def __init__(self, model: Any, directory: Path) -> None:
        self.model = model
        model.load_adapter(str(directory), adapter_name=NAME, is_trainable=False)
        weight = load_file(directory / HEAD)["weight"]
        place = next(parameter for name, parameter in model.named_parameters() if f".{NAME}." in name)
        self.head = torch.nn.Linear(weight.shape[1], 1, bias=False, device=place.device)
        self.head.weight.data = weight.float().to(place.device)
        self.head.requires_grad_(False)

    def scores(self, packed: PackedBatch, lengths: list[int], packing: str) -> list[float]:
        """Of each `whole` episode. lengths: of its written tokens."""
        with torch.no_grad():
            scores_N: Tensor = predicted(self.model, NAME, self.head, packed, packing)
        return [float(part[-1]) for part in scores_N.split(lengths)]
