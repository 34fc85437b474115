"""SFT of our settings against TRL's defaults: the same questions, model, adapter, optimizer and number of steps.

python -m tests.bench.sft [--config sft/configs/tiny.toml] [--data DIR] [--rounds 2] [key.sub=value …]

Three ways, in turns, the next turn with another seed: ours; TRL's SFTTrainer as it comes (padded batches, gradient
checkpointing); and the same without gradient checkpointing, which on a small model only costs time. samples/s counts
questions learned from; the loss on dev answers (nats per token) after training says whether they learned the same.
The last line is one JSON object; sft_vs_trl is ours over the faster of the other two.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from datasets import Dataset
from trl import SFTConfig as TrlConfig
from trl import SFTTrainer

from evaluation.benchmarks import load_examples
from sft.batches import packed_batches
from sft.config import SftConfig
from sft.policy import base as policy
from sft.policy.answers import answer_hidden, score_answers
from sft.policy.device import detect
from sft.policy.encoder import PromptEncoder, TrainingExample, training_examples
from sft.settings.file import load_config
from sft.train.driver import chosen_examples, training_items
from sft.trainer import AnswerTrainer

IGNORED = -100  # the label of a token without loss
WAYS = ("ours", "trl", "trl_without_checkpointing")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sft", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, default=Path("sft/configs/tiny.toml"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--dev", type=int, default=200, help="dev questions whose loss is compared")
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value")
    args = parser.parse_args(argv)
    _quiet()
    config = load_config(SftConfig, args.config, args.overrides)
    tokenizer = policy.load_tokenizer(config.model.path)
    encoder = PromptEncoder(tokenizer, config.data.prompt_style, config.model.max_length, config.data.prompt_budget)
    items, _ = training_items(config, encoder, chosen_examples(config.data, config.run.seed, args.data))
    dev_examples = load_examples(config.data.benchmark, "dev", args.data)[: args.dev]
    dev, _ = training_examples(dev_examples, encoder, config.model.max_length)
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for turn in range(args.rounds):
        for way in WAYS:
            runs[way].append(_run(way, turn, config, tokenizer, items, dev))
            print(f"round {turn + 1}, {way:<26} {_shown(runs[way][-1])}", flush=True)
    print(json.dumps(_result(config, runs, items)))
    return 0


def _run(
    way: str,
    turn: int,
    config: SftConfig,
    tokenizer: Any,
    items: Sequence[TrainingExample],
    dev: Sequence[TrainingExample],
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:
        run = config.run.model_copy(update={"dir": directory, "seed": config.run.seed + turn})
        config = config.model_copy(update={"run": run})
        transformers.set_seed(config.run.seed)
        model = policy.load_model(config.model, config.lora)
        ours = AnswerTrainer(config, model, tokenizer, items)
        steps = len(ours.train_dataset)
        trainer = ours if way == "ours" else _trl(way, config, model, tokenizer, items, steps)
        trainer.remove_callback(transformers.PrinterCallback)
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began
        curve = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    batch = config.train.batch_size
    questions = min(steps * batch, round(len(items) * config.train.epochs))
    return {"samples_per_s": questions / seconds, "seconds": seconds, "curve": curve, "dev_loss": _loss(ours, dev)}


def _trl(
    way: str, config: SftConfig, model: Any, tokenizer: Any, items: Sequence[TrainingExample], steps: int
) -> SFTTrainer:
    """TRL's trainer on our ids; what it does with them is its own default but for what both must share."""
    settings, per_forward = config.train, 8  # TRL's default batch per device
    changed = {} if way == "trl" else {"gradient_checkpointing": False}
    args = TrlConfig(
        output_dir=str(config.run.path),
        seed=config.run.seed,
        max_steps=steps,
        per_device_train_batch_size=per_forward,
        gradient_accumulation_steps=settings.batch_size // per_forward,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup_ratio,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim="paged_adamw_8bit",
        bf16=config.model.dtype == "bfloat16",
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        use_cpu=detect().kind == "cpu",
        logging_steps=settings.log_every,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **changed,
    )
    rows = {
        "input_ids": [item.prompt_ids + item.completion_ids for item in items],
        "labels": [[IGNORED] * len(item.prompt_ids) + item.completion_ids for item in items],
    }
    return SFTTrainer(model=model, args=args, train_dataset=Dataset.from_dict(rows), processing_class=tokenizer)


@torch.no_grad()
def _loss(trainer: AnswerTrainer, items: Sequence[TrainingExample]) -> float:
    """Nats per answer token; in train mode, without dropout, as the 4-bit weights of a CPU need it."""
    causal_lm: Any = trainer.model.get_base_model()
    total, count = 0.0, 0
    for batch in packed_batches(items, 4096):
        with torch.autocast(trainer.args.device.type, torch.bfloat16, enabled=trainer.in_bf16):
            hidden_ND = answer_hidden(causal_lm, batch.to(trainer.args.device))
            scores = score_answers(hidden_ND, causal_lm.get_output_embeddings(), batch.targets_N)
        total, count = total - float(scores.log_probs_N.sum()), count + len(batch.targets_N)
    return total / count


def _result(
    config: SftConfig, runs: dict[str, list[dict[str, Any]]], items: Sequence[TrainingExample]
) -> dict[str, Any]:
    def median(way: str, key: str) -> float:
        return statistics.median(run[key] for run in runs[way])

    speed = {way: median(way, "samples_per_s") for way in WAYS}
    return {
        "sft_vs_trl": round(speed["ours"] / max(speed[way] for way in WAYS[1:]), 3),
        "sft_vs_trl_defaults": round(speed["ours"] / speed["trl"], 3),
        **{f"{way}_samples_per_s": round(value, 2) for way, value in speed.items()},
        **{f"{way}_dev_loss": round(median(way, "dev_loss"), 4) for way in WAYS},
        **{f"{way}_curve": [round(loss, 3) for loss in runs[way][0]["curve"]] for way in WAYS},
        "questions": len(items),
        "tokens_per_question": round(statistics.fmean(item.length for item in items)),
        "together": config.train.together,
        "threads": torch.get_num_threads(),
        "device": detect().name,
    }


def _shown(run: dict[str, Any]) -> str:
    return f"{run['samples_per_s']:7.2f} samples/s  {run['seconds']:6.1f} s  dev loss {run['dev_loss']:.4f}"


def _quiet() -> None:
    warnings.filterwarnings("ignore")
    transformers.utils.logging.set_verbosity_error()
    for name in ("trl", "peft", "accelerate", "httpx"):
        logging.getLogger(name).setLevel(logging.ERROR)


if __name__ == "__main__":
    raise SystemExit(main())
