"""`python -m sft.train --config FILE [--data DIR] [key.sub=value …]`: an adapter that has learned from gold queries.

TRL's SFTTrainer on a 4-bit base under LoRA. The loss is on the SQL and its EOS only; the prompts are, id for id, those
of RL and prediction. Questions too long for model.max_length are dropped and counted.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import random
import resource
import shutil
import signal
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peft
import transformers
from datasets import Dataset
from peft.helpers import disable_input_dtype_casting
from torch.utils.tensorboard import SummaryWriter
from transformers import PreTrainedTokenizerBase
from trl import SFTConfig as TrlConfig
from trl import SFTTrainer

from evaluation.benchmarks import Example, load_examples
from evaluation.check_data import read_actions
from evaluation.errors import UserError, exit_on_user_error
from sft import policy, provenance
from sft.augment import Faces, multiplied
from sft.config import DataConfig, SftConfig, load_config, write_resolved
from sft.device import detect
from sft.examples import PromptEncoder, TrainingExample, training_examples
from sft.plan import format_plan, plan
from sft.report import plot_loss

IGNORED = -100  # the label of a token without loss
OUTPUTS = ("adapter", "config.json", "metrics.jsonl", "report", "tensorboard")


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sft.train", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, required=True, help="TOML file, e.g. sft/configs/tiny.toml")
    parser.add_argument("--data", type=Path, help="folder of the benchmark; tiny is bundled")
    parser.add_argument("--dry-run", action="store_true", help="print the plan; load no weights")
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="settings that override the file's")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = load_config(SftConfig, args.config, args.overrides)
    if args.dry_run:
        print(format_plan(plan(config, args.data)), flush=True)
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _quiet_libraries()
    train(config, args.data)
    return 0


def train(config: SftConfig, data: Path | None = None) -> Path:
    """Run it all and return the run's directory. UserError before anything is written when something is not right."""
    began = time.perf_counter()
    if _is_finished(config):
        print(f"{config.run.path} is finished: nothing to do (run.overwrite=true trains it again)", flush=True)
        return config.run.path
    tokenizer = policy.load_tokenizer(config.model.path)
    encoder = PromptEncoder(
        tokenizer, config.data.prompt_style, config.model.max_length, config.data.prompt_budget
    )
    examples = chosen_examples(config.data, config.run.seed, data)
    items, dropped = training_items(config, encoder, examples)
    transformers.set_seed(config.run.seed)
    model = policy.load_model(config.model, config.lora)
    trainer = make_trainer(config, model, tokenizer, items)
    _start_directory(config)
    print(_plan(config, model, items, dropped), flush=True)
    learning = time.perf_counter()
    rows = _learn(config, model, trainer)
    seconds = {"prepare": learning - began, "learn": time.perf_counter() - learning}
    return _finish(config, model, {"questions": len(items), "dropped": dropped}, rows, seconds)


def chosen_examples(data: DataConfig, seed: int, directory: Path | None) -> list[Example]:
    """The training questions, or data.max_examples of them drawn with the seed, in the order of the file.

    Those that data.checked says to drop are left out; a gold that makes a weak reward is still a query to learn from.
    """
    examples = load_examples(data.benchmark, "train", directory)
    if data.checked:
        actions = read_actions(Path(data.checked), examples)
        examples = [example for example in examples if actions.get(example.id) != "drop"]
    if data.max_examples == 0 or data.max_examples >= len(examples):
        return examples
    places = random.Random(seed).sample(range(len(examples)), data.max_examples)
    return [examples[place] for place in sorted(places)]


def training_items(
    config: SftConfig, encoder: PromptEncoder, examples: Sequence[Example]
) -> tuple[list[TrainingExample], int]:
    """The examples as ids, augment.multiplier times, and how many were dropped for their length."""
    rng = random.Random(config.run.seed)
    copies = [example for example, _ in multiplied(examples, config.augment.multiplier, rng)]
    if config.augment.level == "none":
        return training_examples(copies, encoder, config.model.max_length)
    databases = [example.database for example in examples]
    faces = Faces(encoder.schema, encoder.values, databases, config.augment.level, rng)
    return training_examples(copies, encoder, config.model.max_length, faces)


def as_dataset(items: Sequence[TrainingExample]) -> Dataset:
    """Columns input_ids and labels, both (T,) per row; labels are -100 on the prompt."""
    return Dataset.from_dict(
        {
            "input_ids": [item.prompt_ids + item.completion_ids for item in items],
            "labels": [[IGNORED] * len(item.prompt_ids) + item.completion_ids for item in items],
        }
    )


def trl_config(config: SftConfig) -> TrlConfig:
    """Our settings in TRL's words; whatever is not ours is left at its default or switched off."""
    device, settings = detect(), config.train
    return TrlConfig(
        output_dir=str(config.run.path),
        seed=config.run.seed,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.per_forward,
        gradient_accumulation_steps=settings.batch_size // settings.per_forward,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup_ratio,  # below 1: a share of the steps
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim="paged_adamw_8bit",
        bf16=config.model.dtype == "bfloat16",  # matrix products in bf16; the adapter itself stays in fp32
        gradient_checkpointing=settings.gradient_checkpointing,
        train_sampling_strategy="group_by_length",
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        use_cpu=device.kind == "cpu",
        dataloader_pin_memory=device.kind == "cuda",
        logging_steps=settings.log_every,
        logging_first_step=True,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


@dataclass
class Progress(transformers.TrainerCallback):
    """A line on the screen, in metrics.jsonl and in TensorBoard every train.log_every steps."""

    run_dir: Path
    rows: list[dict[str, Any]] = field(default_factory=list)
    began: float = 0.0

    def __post_init__(self) -> None:
        self._events = SummaryWriter(str(self.run_dir / "tensorboard"))

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.began = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        if not logs or "loss" not in logs:
            return
        row = self._row(state.global_step, logs)
        self.rows.append(row)
        with (self.run_dir / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        for name, value in row.items():
            self._events.add_scalar(f"sft/{name}", value, row["step"])
        print(_line(row, state.max_steps), flush=True)

    def close(self) -> None:
        self._events.close()

    def _row(self, step: int, logs: dict[str, float]) -> dict[str, Any]:
        seconds, tokens = time.perf_counter() - self.began, logs.get("num_tokens", 0.0)
        before = self.rows[-1] if self.rows else {"seconds": 0.0, "tokens": 0.0}
        return {
            "step": step,
            "loss": logs["loss"],
            "token_accuracy": logs.get("mean_token_accuracy", 0.0),
            "learning_rate": logs["learning_rate"],
            "grad_norm": float(logs.get("grad_norm", 0.0)),
            "tokens": tokens,
            "tokens_per_s": (tokens - before["tokens"]) / max(seconds - before["seconds"], 1e-9),
            "seconds": seconds,
        }


def make_trainer(
    config: SftConfig, model: peft.PeftModel, tokenizer: PreTrainedTokenizerBase, items: Sequence[TrainingExample]
) -> SFTTrainer:
    """TRL's trainer on our token ids, the adapter in fp32."""
    trainer = SFTTrainer(
        model=model, args=trl_config(config), train_dataset=as_dataset(items), processing_class=tokenizer
    )
    trainer.remove_callback(transformers.PrinterCallback)
    for value in model.parameters():  # TRL rounds the adapter of a 4-bit base to bf16, where small updates vanish
        if value.requires_grad:
            value.data = value.data.float()
    return trainer


def _learn(config: SftConfig, model: peft.PeftModel, trainer: SFTTrainer) -> list[dict[str, Any]]:
    """Train, and return the rows of metrics.jsonl."""
    progress = Progress(config.run.path)
    trainer.add_callback(progress)
    try:
        # Autocast casts for the products; casting activations up to the adapter's fp32 first would only cost time.
        with disable_input_dtype_casting(model, active=config.model.dtype == "bfloat16"):
            trainer.train()
    finally:
        progress.close()
    return progress.rows


def _finish(
    config: SftConfig,
    model: peft.PeftModel,
    counts: dict[str, int],
    rows: list[dict[str, Any]],
    seconds: dict[str, float],
) -> Path:
    run_dir, last = config.run.path, rows[-1]
    if not math.isfinite(last["loss"]):
        raise UserError(f"the loss became {last['loss']} at step {last['step']}: lower train.learning_rate")
    version = policy.publish(model, last["step"])
    plot_loss(rows, run_dir / "report" / "sft_loss.png")
    summary = {
        **counts,
        "steps": last["step"],
        "tokens": last["tokens"],
        "loss": last["loss"],
        "token_accuracy": last["token_accuracy"],
        "adapter_digest": version.digest,
        "seconds": seconds,
        "tokens_per_s": last["tokens"] / max(seconds["learn"], 1e-9),
        "peak_memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    (run_dir / "report" / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    extra = provenance.as_file(config.model, config.data.prompt_style, config.data.prompt_budget)
    policy.save_adapter(version, run_dir / "adapter", extra)  # last: a run with an adapter is a finished run
    print(f"adapter in {run_dir / 'adapter'}, loss curve in {run_dir / 'report'}", flush=True)
    return run_dir


def _is_finished(config: SftConfig) -> bool:
    """Whether the run holds an adapter of these very settings. UserError when it is one of other settings."""
    if config.run.overwrite or not (config.run.path / "adapter").exists():
        return False
    stored, asked = json.loads((config.run.path / "config.json").read_text()), config.model_dump(mode="json")
    stored["run"]["overwrite"] = asked["run"]["overwrite"]  # says what to do with the run, not what it is
    if stored == asked:
        return True
    raise UserError(
        f"{config.run.path} holds a finished run of other settings: give another run.name, or run.overwrite=true to "
        "replace it"
    )


def _start_directory(config: SftConfig) -> None:
    for name in OUTPUTS:
        path = config.run.path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    write_resolved(config, config.run.path)
    (config.run.path / "report").mkdir()


def _plan(config: SftConfig, model: peft.PeftModel, items: Sequence[TrainingExample], dropped: int) -> str:
    learning, total = model.get_nb_trainable_parameters()
    tokens = sum(item.length for item in items)
    answers = sum(len(item.completion_ids) for item in items)
    steps = math.ceil(len(items) / config.train.batch_size) * config.train.epochs
    lost = f" ({dropped} dropped: longer than {config.model.max_length} tokens)" if dropped else ""
    return (
        f"SFT of {config.model.path} ({config.model.quantization}, {config.model.dtype}) on {config.data.benchmark}, "
        f"{detect().name}\n"
        f"{len(items):,} questions{lost}, {tokens / len(items):.0f} tokens each, {answers / len(items):.0f} of them "
        f"answer; about {steps:.0f} steps of {config.train.batch_size}\n"
        f"adapter: r = {config.lora.r}, {learning / 1e6:.2f} M of {total / 1e6:.2f} M parameters learn"
    )


def _line(row: dict[str, Any], steps: int) -> str:
    left = row["seconds"] / row["step"] * (steps - row["step"])
    return (
        f"step {row['step']:>{len(str(steps))}}/{steps}  loss {row['loss']:.4f}  "
        f"tokens right {row['token_accuracy']:.1%}  lr {row['learning_rate']:.2e}  "
        f"{row['tokens_per_s']:,.0f} tokens/s  {left / 60:.0f}:{left % 60:02.0f} left"
    )


def _quiet_libraries() -> None:
    warnings.filterwarnings("ignore", message="Paged optimizers are not supported on CPU")  # they are plain ones there
    transformers.utils.logging.set_verbosity_error()
    for name in ("trl", "peft", "accelerate", "httpx"):
        logging.getLogger(name).setLevel(logging.ERROR)


if __name__ == "__main__":
    raise SystemExit(main())
