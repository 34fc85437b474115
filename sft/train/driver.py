"""A model that learns from gold queries.

TRL's SFTTrainer; train.mode says what learns: an adapter on a 4-bit base (qlora) or a plain one (lora), or all weights
(full, pretrain). The loss is on the SQL and its EOS only; the prompts are, id for id, those of RL and prediction.
Questions too long for model.max_length are dropped and counted. The same line again resumes.
"""

from __future__ import annotations

import json
import logging
import math
import os
import random
import resource
import shutil
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import peft
import transformers

from evaluation.benchmarks import Example, load_examples
from evaluation.check_data import read_actions
from evaluation.errors import UserError
from sft import checkpoint, policy, provenance
from sft.augment import Faces, multiplied
from sft.config import DataConfig, SftConfig
from sft.config_file import write_resolved
from sft.dev import DevEvaluator
from sft.device import detect
from sft.documents import documents
from sft.examples import PromptEncoder, TrainingExample, training_examples
from sft.progress import DevWatch, Progress
from sft.report import plot_dev, plot_loss
from sft.stores import Folder
from sft.trainer import AnswerTrainer, Model, identity_of

OUTPUTS = (
    "adapter", "model", "last", "best", "config.json", "metrics.jsonl", "dev.jsonl", "report", "tensorboard",
    "checkpoints",
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """What one invocation trains. dropped: questions that were too long; resumed: the checkpoint to go on from."""

    config: SftConfig
    model: Model
    trainer: AnswerTrainer
    items: Sequence[TrainingExample]
    dropped: int
    dev: DevEvaluator | None
    resumed: Path | None


def train(config: SftConfig, data: Path | None = None) -> Path:
    """Run it all and return the run's directory. UserError before anything is written when something is not right."""
    began = time.perf_counter()
    _quiet_libraries()
    if _is_finished(config):
        print(f"{config.run.path} is finished: nothing to do (run.overwrite=true trains it again)", flush=True)
        return config.run.path
    job = _prepare(config, data)
    if job.resumed is None:
        _start_directory(config)
    print(_plan(job), flush=True)
    learning = time.perf_counter()
    rows = _learn(job)
    seconds = {"prepare": learning - began, "learn": time.perf_counter() - learning}
    return _finish(job, rows, seconds)


def _prepare(config: SftConfig, data: Path | None) -> Job:
    tokenizer = policy.load_tokenizer(config.model.path)
    encoder = PromptEncoder(
        tokenizer, config.data.prompt_style, config.model.max_length, config.data.prompt_budget
    )
    examples = chosen_examples(config.data, config.run.seed, data)
    items, dropped = training_items(config, encoder, examples)
    dev = DevEvaluator(config, encoder, data) if config.dev.every else None
    identity = identity_of(config, items)
    resumed = None
    if config.checkpoint.every and not config.run.overwrite:
        resumed = checkpoint.newest_directory(Folder(config.run.path / "checkpoints"), identity)
    transformers.set_seed(config.run.seed)
    whole = config.learns_all
    model: Model = policy.load_whole(config.model) if whole else policy.load_model(config.model, config.lora)
    return Job(config, model, AnswerTrainer(config, model, tokenizer, items, identity), items, dropped, dev, resumed)


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
    """The examples as ids, augment.multiplier times, and how many were dropped for their length.

    With train.mode = pretrain they are documents of a schema and its queries.
    """
    if config.train.mode == "pretrain":
        return documents(examples, encoder, config.model.max_length)
    rng = random.Random(config.run.seed)
    copies = [example for example, _ in multiplied(examples, config.augment.multiplier, rng)]
    if config.augment.level == "none":
        return training_examples(copies, encoder, config.model.max_length)
    databases = [example.database for example in examples]
    faces = Faces(encoder.schema, encoder.values, databases, config.augment.level, rng)
    return training_examples(copies, encoder, config.model.max_length, faces)


def result_directory(config: SftConfig) -> Path:
    """Where the run leaves what it trained."""
    return config.run.path / ("model" if config.learns_all else "adapter")


def save_policy(config: SftConfig, model: Model, step: int, directory: Path) -> None:
    """The adapter, or the whole model in model.dtype, with what it was trained on; whole or not at all."""
    extra = provenance.as_file(config.model, config.data.prompt_style, config.data.prompt_budget)
    if config.learns_all:
        policy.save_model(model, config.model.path, config.model.dtype, directory, extra)
    else:
        policy.save_adapter(policy.publish(model, step), directory, extra)


def _learn(job: Job) -> list[dict[str, Any]]:
    """Train, and return the rows of metrics.jsonl."""
    config, model = job.config, job.model
    done = checkpoint.step_of(job.resumed) if job.resumed else 0
    progress = Progress(config.run.path, done)
    job.trainer.add_callback(progress)
    if job.dev is not None:
        save = partial(save_policy, config, model)
        job.trainer.add_callback(DevWatch(config.run.path, config.dev.every, done, job.dev, save))
    try:
        if job.resumed is not None:
            print(f"resuming {config.run.path} after step {done} of {len(job.trainer.train_dataset)}", flush=True)
            job.trainer.resume(job.resumed)
        else:
            job.trainer.train()
    finally:
        progress.close()
        if job.dev is not None:
            job.dev.close()
    return progress.rows


def _finish(job: Job, rows: list[dict[str, Any]], seconds: dict[str, float]) -> Path:
    config, last = job.config, rows[-1]
    run_dir, result = config.run.path, result_directory(config)
    if not math.isfinite(last["loss"]):
        raise UserError(f"the loss became {last['loss']} at step {last['step']}: lower train.learning_rate")
    plot_loss(rows, run_dir / "report" / "sft_loss.png")
    kept = last["step"]
    dev = DevWatch.read(run_dir)
    if dev:
        plot_dev(dev, run_dir / "report" / "dev.png")
        kept = DevWatch.best(dev)["step"]
    if kept == last["step"]:
        save_policy(config, job.model, kept, run_dir / "best")
    else:
        save_policy(config, job.model, last["step"], run_dir / "last")
    summary = {
        "questions": len(job.items),
        "dropped": job.dropped,
        "steps": last["step"],
        "kept_step": kept,
        "tokens": last["tokens"],
        "loss": last["loss"],
        "token_accuracy": last["token_accuracy"],
        "adapter_digest": "" if config.learns_all else policy.read_adapter(run_dir / "best").digest,
        "seconds": seconds,
        "tokens_per_s": last["tokens"] / max(last["seconds"], 1e-9),
        "peak_memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    (run_dir / "report" / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    os.replace(run_dir / "best", result)  # last: a run with a result is a finished run
    shutil.rmtree(run_dir / "checkpoints", ignore_errors=True)
    best = f" of step {kept}, the best on dev" if dev else ""
    print(f"{result.name}{best} in {result}, curves in {run_dir / 'report'}", flush=True)
    return run_dir


def _is_finished(config: SftConfig) -> bool:
    """Whether the run holds a result of these very settings. UserError when it is one of other settings."""
    if config.run.overwrite or not any((config.run.path / name).exists() for name in ("adapter", "model")):
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
    config.run.clear(OUTPUTS)
    write_resolved(config, config.run.path)
    (config.run.path / "report").mkdir()


def _plan(job: Job) -> str:
    config, items = job.config, job.items
    learning, total = _parameters(job.model)
    tokens = sum(item.length for item in items)
    answers = sum(len(item.completion_ids) for item in items)
    kind = "documents" if config.train.mode == "pretrain" else "questions"
    lost = f" ({job.dropped} dropped: longer than {config.model.max_length} tokens)" if job.dropped else ""
    what = "all weights" if config.learns_all else f"adapter: r = {config.lora.r}"
    return (
        f"SFT of {config.model.path} ({config.train.mode}, {config.model.quantization}, {config.model.dtype}) on "
        f"{config.data.benchmark}, {detect().name}\n"
        f"{len(items):,} {kind}{lost}, {tokens / len(items):.0f} tokens each, {answers / len(items):.0f} of them "
        f"learned; {len(job.trainer.train_dataset)} steps of {config.train.batch_size}\n"
        f"{what}, {learning / 1e6:.2f} M of {total / 1e6:.2f} M parameters learn"
    )


def _parameters(model: Model) -> tuple[int, int]:
    """How many parameters learn, and how many there are; 4-bit ones counted one by one."""
    if isinstance(model, peft.PeftModel):
        learning, total = model.get_nb_trainable_parameters()
        return learning, total
    return model.num_parameters(only_trainable=True), model.num_parameters()


def _quiet_libraries() -> None:
    warnings.filterwarnings("ignore", message="Paged optimizers are not supported on CPU")  # they are plain ones there
    transformers.utils.logging.set_verbosity_error()
    for name in ("trl", "peft", "accelerate", "httpx"):
        logging.getLogger(name).setLevel(logging.ERROR)
