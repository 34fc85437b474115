"""The teacher of on-policy distillation: an adapter on the learner's own base, or a model of the same tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from evaluation.errors import UserError
from rl.packing import pack
from rl.types import Episode
from sft.config import ModelConfig
from sft.policy import provenance
from sft.policy.adapter import CONFIG
from sft.policy.answers import answer_scores
from sft.policy.base import fingerprint, load_base, load_tokenizer, model_directory, read_adapter
from sft.policy.device import detect
from sft.policy.model_files import context_length
from sft.policy.support import ready

NAME = "teacher"


def is_adapter(path: str) -> bool:
    return (Path(path) / CONFIG).is_file()


def check(path: str, model: ModelConfig, style: str) -> None:
    """UserError unless it can judge the tokens of this policy, behind the prompts of this style."""
    if is_adapter(path):
        return provenance.check(Path(path), model, style)
    try:
        directory = model_directory(path)
    except UserError as error:
        raise UserError(f"learner.teacher: no adapter, and {error}") from None
    ours, theirs = (load_tokenizer(one).get_vocab() for one in (model.path, path))
    if ours != theirs:
        other = next(iter(dict(ours.items() ^ theirs.items())))
        raise UserError(
            f"learner.teacher: {path} must have the tokenizer of {model.path}, whose ids it is to judge; they differ "
            f"in {other!r}: give a model of the same family"
        )
    if (room := context_length(directory)) is not None and room < model.max_length:
        raise UserError(f"learner.teacher: {path} reads {room} tokens, and model.max_length is {model.max_length}")
    return None


def digest(path: str) -> str:
    """Of its weights."""
    return read_adapter(Path(path)).digest if is_adapter(path) else fingerprint(path)


class TeacherModel:
    """One with a base of its own, frozen, held like the learner's."""

    def __init__(self, path: str, model: ModelConfig) -> None:
        own = model.model_copy(update={"path": path})
        self.causal_lm = load_base(own).train()
        self.packing = ready(self.causal_lm, own).packing
        self.bf16 = detect().computes_in(model.dtype) == "bfloat16"

    def log_probs(self, episodes: Sequence[Sequence[Episode]], temperature: float) -> Tensor:
        """(N,): of the written tokens, group by group, fp32."""
        shared = self.packing == "shared"
        rows = episodes if shared else [[one] for group in episodes for one in group]
        packed = pack(rows, shared).to(self.causal_lm.device)
        with torch.no_grad(), torch.autocast(packed.ids_M.device.type, torch.bfloat16, enabled=self.bf16):
            return answer_scores(self.causal_lm, packed, self.packing, temperature).log_probs_N
