"""TRL's SFTTrainer on packed batches: an item of its data is an optimizer step; a checkpoint is whole or absent."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from datasets import Dataset
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import SequentialSampler
from transformers import PreTrainedTokenizerBase
from transformers.trainer import TRAINER_STATE_NAME
from trl import SFTConfig as TrlConfig
from trl import SFTTrainer

from evaluation.errors import UserError
from evaluation.stop import keeps
from sft.batches import schedule, shared_out
from sft.config import SftConfig
from sft.gradient import Gradient, Model, keep_in_fp32
from sft.policy import checkpoint
from sft.policy.answers import Packing
from sft.policy.device import detect
from sft.policy.encoder import TrainingExample
from sft.policy.packing import PackedBatch
from sft.policy.stores import Folder
from sft.settings.file import leaves

if TYPE_CHECKING:
    from sft.ranks import Others

FLOOR = 0.1
"""Of the peak: the learning rate of the last step."""


def rate(step: int, steps: int, warmup: int) -> float:
    """The share of the peak learning rate at `step` = 1 … steps: linear up to 1 at step `warmup`, then a cosine down to
    FLOOR at the last step, so that every step learns.

    >>> [round(rate(step, 5, 2), 3) for step in (1, 2, 3, 4, 5)]
    [0.5, 1.0, 0.775, 0.325, 0.1]
    """
    if step <= warmup:
        return step / warmup
    start = max(1, warmup)
    done = (step - start) / max(1, steps - start)
    return FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * done)) / 2


class Steps:
    """Item s: the micro-batches of optimizer step s, those of other ranks, and how many tokens its questions have,
    written out one by one."""

    def __init__(self, config: SftConfig, items: Sequence[TrainingExample], packing: Packing) -> None:
        settings, self.packing = config.train, packing
        self.ranks = settings.ranks
        self.items, self.token_budget = items, settings.token_budget
        self.steps = schedule(items, settings.batch_size, settings.epochs, settings.together, config.run.seed)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, step: int) -> dict[str, Any]:
        items = [self.items[index] for index in self.steps[step]]
        ours, *others = shared_out(items, self.token_budget, self.packing, self.ranks)
        return {"micro_batches": ours, "others": others, "tokens": sum(item.length for item in items)}


class AnswerTrainer(SFTTrainer):
    """The loss is the mean over the answer tokens of a step, exact however the step is cut into micro-batches."""

    def __init__(
        self,
        config: SftConfig,
        model: Model,
        tokenizer: PreTrainedTokenizerBase,
        items: Sequence[TrainingExample],
        identity: dict[str, str] | None = None,
        others: Others | None = None,
    ) -> None:
        """others: the other ranks of train.ranks."""
        self.gradient, self.others = Gradient(config, model), others
        if notice := self.gradient.support.notice:
            print(f"{config.model.path} {notice}", flush=True)
        steps = Steps(config, items, self.gradient.packing)
        super().__init__(
            model=model,
            args=trl_config(config, len(steps)),
            train_dataset=Dataset.from_dict({"step": range(len(steps))}),
            data_collator=lambda rows: steps[rows[0]["step"]],
            processing_class=tokenizer,
        )
        self.remove_callback(transformers.PrinterCallback)
        self.settings, self.identity = config, identity or {}
        keep_in_fp32(self.gradient.parameters())  # TRL rounds the adapter of a 4-bit base to bf16

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        """`rate` over the steps; torch counts them from 0."""
        warmup = math.ceil(self.settings.train.warmup_ratio * num_training_steps)
        optimizer = optimizer or self.optimizer
        self.lr_scheduler = LambdaLR(optimizer, lambda done: rate(done + 1, num_training_steps, warmup))
        return self.lr_scheduler

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(train_dataset or self.train_dataset)

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Forward and backward of every micro-batch; returns the step's loss, nats per answer token."""
        ours: list[PackedBatch] = inputs["micro_batches"]
        theirs: list[list[PackedBatch]] = inputs["others"]
        answer_tokens = sum(len(batch.targets_N) for share in (ours, *theirs) for batch in share)
        if self.others is None:
            loss, right = self.gradient.add(ours, answer_tokens)
        else:
            loss, right = self.others.step(self.gradient, ours, theirs, answer_tokens)
        self._total_train_tokens += inputs["tokens"]
        self._metrics["train"]["mean_token_accuracy"].append(right / answer_tokens)
        self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
        return loss

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder, keep = Folder(self.settings.run.path / "checkpoints"), self.settings.checkpoint.keep
        with checkpoint.filling(folder, self.state.global_step, self.identity, keep) as directory:
            self.save_model(str(directory), _internal_call=True)
            self._save_optimizer_and_scheduler(str(directory))
            self._save_rng_state(str(directory))
            (directory / "tokens.json").write_text(json.dumps(self._total_train_tokens))
            self.state.save_to_json(str(directory / TRAINER_STATE_NAME))
        keeps(f"{self.settings.run.path} keeps step {self.state.global_step} of {self.state.max_steps}")

    def resume(self, directory: Path) -> None:
        """Train on from a checkpoint of `_save_checkpoint`."""
        self._total_train_tokens = json.loads((directory / "tokens.json").read_text())
        self.train(resume_from_checkpoint=str(directory))


def trl_config(config: SftConfig, steps: int) -> TrlConfig:
    """Our settings in TRL's words; whatever is not ours is left at its default or switched off."""
    device, settings = detect(), config.train
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("sft.train starts its own processes: give train.ranks=N, and start it with python alone")
    made = TrlConfig(
        output_dir=str(config.run.path),
        seed=config.run.seed,
        max_steps=steps,
        per_device_train_batch_size=1,  # one item of the data is a whole step
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim="paged_adamw_8bit",
        bf16=config.model.dtype == "bfloat16",  # matrix products in bf16; what learns stays in fp32
        gradient_checkpointing=settings.gradient_checkpointing,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        max_length=None,
        use_cpu=device.kind == "cpu",
        dataloader_pin_memory=False,
        logging_steps=settings.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        save_strategy="steps" if config.checkpoint.every else "no",
        save_steps=config.checkpoint.every or steps,
        report_to="none",
        disable_tqdm=True,
    )
    made._n_gpu = min(1, made.n_gpu)  # more GPUs in sight do not make it data-parallel
    return made


def identity_of(config: SftConfig, items: Sequence[TrainingExample]) -> dict[str, str]:
    """What a resumed run must share with its checkpoint: settings by key, and a digest of the data."""
    unread: Any = {
        "run": True, "checkpoint": True, "init_adapter": True, "train": {"log_every", "ranks"}, "model": {"attention"}
    }  # fmt: skip
    kept = config.model_dump(mode="json", exclude=unread)  # of files the content counts, not where they lie
    data = hashlib.sha256()
    for item in items:
        data.update(repr((item.example.id, item.prompt_ids, item.completion_ids)).encode())
    settings = {key: json.dumps(value) for key, value in leaves(kept)}
    return settings | {"run.seed": str(config.run.seed), "training data": data.hexdigest()[:16]}
