"""Trains a reward model with TRL's RewardTrainer: −log σ(score of the right answer − score of the wrong one).

Pairs are those of a run's groups, hardest first in each; all pairs of a question are learned from, or held out.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import peft
import torch
from datasets import Dataset
from safetensors.torch import save as to_safetensors
from transformers import PrinterCallback
from trl import RewardConfig, RewardTrainer

from evaluation.errors import UserError
from evaluation.metrics import share
from rl import rater, replay
from rl.algorithms.dpo import hardest_pairs
from rl.types import Episode, Group
from sft.config import LoraConfig, ModelConfig
from sft.policy import provenance
from sft.policy.adapter import CONFIG, WEIGHTS
from sft.policy.base import load_scorer, load_tokenizer, scorer_config
from sft.policy.device import detect
from sft.policy.directories import replacing
from sft.settings.file import validate

Pair = dict[str, list[int]]


def train_and_save(args: argparse.Namespace) -> str:
    """What is printed: the accuracy on the held-out pairs. UserError: no pairs to learn from, or none to hold out."""
    groups, settings = replay.read(args.run), replay.settings(args.run)
    model = validate(ModelConfig, settings["model"], str(args.run / "config.json"))
    lora = validate(LoraConfig, settings["lora"] | {"dropout": 0.0}, str(args.run / "config.json"))
    learned, held_out = split(groups, args.held_out, args.seed)
    rate = args.learning_rate or settings["learner"]["learning_rate"]
    scorer = fit(model, lora, learned, args.epochs, rate, args.batch, args.seed)
    found = accuracy(scorer, held_out, args.batch)
    style, budget = settings["data"]["prompt_style"], settings["data"]["prompt_budget"]
    more = {"tokenizer": rater.vocabulary_digest(model.path), "accuracy": found, "run": args.run.name}
    save(scorer, args.out, provenance.as_file(model, style, budget, **more))
    low, high = found["ci95"]
    return (
        f"{len(learned)} pairs learned; of {found['n']} held-out pairs {found['correct']} in the right order: accuracy "
        f"{found['value']:.3f} (95 % {low:.3f} to {high:.3f})\nwrote {args.out}"
    )


def split(groups: Sequence[Group], held_out: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Pairs to learn from and pairs held out, of other questions."""
    questions = sorted({group.example.id for group in groups if hardest_pairs(group)})
    if len(questions) < 2:
        raise UserError(
            f"a reward model needs right and wrong answers to at least 2 questions, this run has them to "
            f"{len(questions)} of {len({group.example.id for group in groups})}"
        )
    random.Random(seed).shuffle(questions)
    kept = set(questions[: max(1, min(len(questions) - 1, round(held_out * len(questions))))])
    learned = [pair for group in groups if group.example.id not in kept for pair in pairs(group)]
    return learned, [pair for group in groups if group.example.id in kept for pair in pairs(group)]


def pairs(group: Group) -> list[Pair]:
    """As TRL's trainer takes them: prompt and answer, without the end token."""
    return [
        {"chosen_ids": read(group.episodes[right]), "rejected_ids": read(group.episodes[wrong])}
        for right, wrong in hardest_pairs(group)
    ]


def read(episode: Episode) -> list[int]:
    """What is read of an episode before its score is."""
    return rater.whole(episode).ids[:-1]


def fit(
    model: ModelConfig, lora: LoraConfig, learned: Sequence[Pair], epochs: int, rate: float, batch: int, seed: int
) -> Any:
    """A sequence classifier of one label, with its LoRA, on the learner's base."""
    torch.manual_seed(seed)
    scorer = peft.get_peft_model(load_scorer(model), scorer_config(model, lora)).train()
    bf16 = detect().computes_in(model.dtype) == "bfloat16"
    with tempfile.TemporaryDirectory() as place:
        args = RewardConfig(
            place, num_train_epochs=epochs, learning_rate=rate, per_device_train_batch_size=batch, seed=seed,
            max_length=None, bf16=bf16, use_cpu=not torch.cuda.is_available(), gradient_checkpointing=False,
            save_strategy="no", report_to="none", logging_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        trainer = RewardTrainer(
            scorer, args, train_dataset=Dataset.from_list(list(learned)), processing_class=load_tokenizer(model.path)
        )
        for parameter in scorer.parameters():  # TRL makes them bf16 over a 4-bit base
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return scorer


def accuracy(scorer: Any, held_out: Sequence[Pair], batch: int) -> dict[str, Any]:
    """Share of the pairs whose right answer scores higher."""
    right = list[bool]()
    for start in range(0, len(held_out), batch):
        some = held_out[start : start + batch]
        chosen, rejected = (scores(scorer, [pair[key] for pair in some]) for key in ("chosen_ids", "rejected_ids"))
        right += [a > b for a, b in zip(chosen, rejected, strict=True)]
    return share(right)


def scores(scorer: Any, sequences: Sequence[Sequence[int]]) -> list[float]:
    """One forward of all, padded on the right."""
    device, longest = next(scorer.parameters()).device, max(map(len, sequences))
    pad = scorer.config.get_text_config().pad_token_id
    ids = torch.tensor([[*one, *[pad] * (longest - len(one))] for one in sequences], device=device)
    mask = torch.tensor([[1] * len(one) + [0] * (longest - len(one)) for one in sequences], device=device)
    bf16 = scorer.dtype == torch.bfloat16
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        return [float(score) for score in scorer(input_ids=ids, attention_mask=mask).logits[:, 0]]


def save(scorer: Any, directory: Path, card: Mapping[str, str]) -> None:
    """A plain LoRA of the base in PEFT's layout, and the head beside it."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in scorer.state_dict().items()}
    config = scorer.peft_config["default"].to_dict() | {
        "task_type": "CAUSAL_LM", "modules_to_save": None, "inference_mode": True,
    }  # fmt: skip
    tensors = {name.replace(".default", ""): tensor.float() for name, tensor in state.items() if ".lora_" in name}
    head = next(tensor for name, tensor in state.items() if name.endswith("score.modules_to_save.default.weight"))
    directory.parent.mkdir(parents=True, exist_ok=True)
    with replacing(directory) as partial:
        (partial / WEIGHTS).write_bytes(to_safetensors(tensors, metadata={"format": "pt"}))
        (partial / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True, default=_plain) + "\n")
        (partial / rater.HEAD).write_bytes(to_safetensors({"weight": head.float()}))
        for name, text in card.items():
            (partial / name).write_text(text)


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else getattr(value, "value", str(value))
