"""Learning from block rows: weights in float32, products in bfloat16, matrices by Muon and the rest by AdamW.

The rates rise in a short warm-up, then fall linearly to zero.
"""

from __future__ import annotations

import copy
import os
import shutil
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from transformers import Qwen2ForCausalLM

from sft.pretraining.block_model import losses, tensors
from sft.pretraining.block_rows import Rows
from sft.pretraining.config import TrainConfig


class Learner:
    """float32 weights with their optimizers, and the bfloat16 copy that computes the gradients.

    Each worker learns its share of the matrices, Muon's work being a tenth of a step, and tells the others.
    """

    def __init__(self, model: Qwen2ForCausalLM, settings: TrainConfig, rank: int = 0) -> None:
        self.settings, self.master = settings, model
        self.model = copy.deepcopy(model).to(torch.bfloat16)
        named = list(self.master.named_parameters())
        matrices = [p for name, p in named if p.ndim == 2 and "embed" not in name][rank :: self.settings.workers]
        others = [p for name, p in named if p.ndim != 2 or "embed" in name]
        decay = self.settings.weight_decay
        self.optimizers = (
            torch.optim.Muon(matrices, lr=self.settings.muon_rate, weight_decay=decay, momentum=0.95),
            torch.optim.AdamW(others, lr=self.settings.adam_rate, weight_decay=0.0, betas=(0.9, 0.95), foreach=True),
        )
        self.peaks = (self.settings.muon_rate, self.settings.adam_rate)
        self.losses = torch.compile(losses, dynamic=False) if settings.compile and _compiler() else losses

    def gradients(self, rows: Rows, scale: float) -> float:
        """Add the gradients of the weighted loss, scaled; returns that loss."""
        batch = tensors(rows)
        loss, _ = self.losses(self.model, batch)
        total = (loss * batch["weight"]).sum() * scale
        total.backward()
        return total.item()

    def step(self, progress: float) -> float:
        """Average the gradients over the workers and learn from them; returns their norm."""
        flat = torch.cat([p.grad.float().flatten() for p in self.model.parameters()])
        if dist.is_initialized():
            dist.all_reduce(flat)
        norm = flat.norm().item()
        flat *= min(1.0, 1.0 / (norm + 1e-6))
        parts = flat.split([p.numel() for p in self.master.parameters()])
        for parameter, part in zip(self.master.parameters(), parts, strict=True):
            parameter.grad = part.view_as(parameter)
        warm = self.settings.warmup
        share = min(progress / warm if warm else 1.0, (1 - progress) / (1 - warm))
        for optimizer, peak in zip(self.optimizers, self.peaks, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = peak * max(share, 0.0)
            optimizer.step()
        self.share()
        return norm

    @torch.no_grad()
    def share(self) -> None:
        """Round the weights into the copy, each matrix by the worker that learned it."""
        matrices: list[torch.Tensor] = []
        for (name, rounded), parameter in zip(self.model.named_parameters(), self.master.parameters(), strict=True):
            rounded.copy_(parameter)
            rounded.grad = None
            if rounded.ndim == 2 and "embed" not in name:
                matrices.append(rounded)
        for owner in range(self.settings.workers if dist.is_initialized() else 0):
            own = matrices[owner :: self.settings.workers]
            flat = torch.cat([matrix.flatten() for matrix in own])
            dist.broadcast(flat, owner)
            for matrix, part in zip(own, flat.split([matrix.numel() for matrix in own]), strict=True):
                matrix.copy_(part.view_as(matrix))

    @torch.no_grad()
    def exact_match(self, rows: Rows) -> float:
        """Share of queries of which every token is the most likely one, given the tokens before it."""
        right = total = 0
        for start in range(0, len(rows), 8):
            part = rows.take(slice(start, start + 8))
            _, hits = losses(self.model, tensors(part))
            number = part.block + 100 * np.arange(len(part))[:, None, None]
            asked, failed = set(number[part.sql]), set(number[part.sql & ~hits.numpy()])
            right, total = right + len(asked - failed), total + len(asked)
        return right / total


def save_state(learner: Learner, folder: Path, rank: int, place: tuple[int, int, float]) -> None:
    """Leave all that this worker needs to go on; `place` is (steps, tokens, minutes). The state before is dropped."""
    target = folder / f"state-{place[0]}-{rank}.pt"
    old = [file for file in folder.glob(f"state-*-{rank}.pt") if file != target]
    optimizers = [optimizer.state_dict() for optimizer in learner.optimizers]
    torch.save({"place": place, "master": learner.master.state_dict(), "optimizers": optimizers}, f"{target}.partial")
    os.replace(f"{target}.partial", target)
    if dist.is_initialized():
        dist.barrier()  # the old states go when all new ones are there
    for file in old:
        file.unlink()


def load_state(learner: Learner, folder: Path, rank: int) -> tuple[int, int, float]:
    """(steps, tokens, minutes) of the newest state of all workers, put into the learner; zeros when there is none."""
    files = [folder.glob(f"state-*-{worker}.pt") for worker in range(learner.settings.workers)]
    common = set.intersection(*({int(file.name.split("-")[1]) for file in own} for own in files))
    if not common:
        return 0, 0, 0.0
    state = torch.load(folder / f"state-{max(common)}-{rank}.pt", weights_only=True)
    learner.master.load_state_dict(state["master"])
    for optimizer, values in zip(learner.optimizers, state["optimizers"], strict=False):
        optimizer.load_state_dict(values)
    learner.share()
    step, tokens, minutes = state["place"]
    return step, tokens, minutes


def _compiler() -> bool:
    return any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++"))
