"""A model that learns from gold queries.

TRL's SFTTrainer; train.mode says what learns: an adapter on a 4-bit base (qlora) or a plain one (lora), or all weights
(full, pretrain). The loss is on the SQL and its EOS only; the prompts are, id for id, those of RL and prediction.
Questions too long for model.max_length are dropped and counted. The same line again resumes.
"""

from __future__ import annotations

import hashlib
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
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import peft
import transformers

from evaluation import console
from evaluation.benchmarks import Example
from evaluation.console import Count, log_to
from evaluation.errors import UserError
from evaluation.stop import keeps
from evaluation.usable import check_golds, useless
from graph.introspect import is_declared
from sft import finished, warm_start
from sft.augment import Faces, multiplied
from sft.config import SftConfig
from sft.dev import DevEvaluator
from sft.documents import documents
from sft.events import Events
from sft.gradient import Model
from sft.plan import require_dev_engine
from sft.plots import plot_dev_curve, plot_loss
from sft.policy import base as policy
from sft.policy import checkpoint, provenance
from sft.policy.device import allocator, detect
from sft.policy.encoder import PromptEncoder, TrainingExample, training_examples
from sft.policy.stores import Folder
from sft.progress import DevWatch, Progress
from sft.questions import chosen_examples
from sft.report import markdown, page
from sft.run_lock import locked
from sft.settings.file import leaves, write_resolved
from sft.spelling import respelled
from sft.trainer import AnswerTrainer, identity_of

GOLDS = "golds.json"
OUTPUTS = (
    "adapter", "model", "last", "best", "config.json", "metrics.jsonl", "dev.jsonl", "report", "tensorboard",
    "checkpoints", GOLDS, console.FILE, finished.FILE,
)  # fmt: skip


@dataclass(frozen=True)
class Golds:
    """of: a digest of the golds that were run; dropped: ids of questions whose gold fails."""

    of: str
    dropped: frozenset[str]


@dataclass(frozen=True)
class Job:
    """What one invocation trains. golds: which were dropped because they fail; dropped: questions that were too long;
    resumed: the checkpoint to go on from."""

    config: SftConfig
    model: Model
    trainer: AnswerTrainer
    items: Sequence[TrainingExample]
    golds: Golds
    dropped: int
    dev: DevEvaluator | None
    resumed: Path | None


def train(config: SftConfig, data: Path | None = None) -> Path:
    """Run it all and return the run's directory. UserError before anything is written when something is not right."""
    began = time.perf_counter()
    _set_up_libraries()
    if finished.is_finished(config, data) or _was_finished(config):
        return config.run.path
    with ExitStack() as stack:
        job = _prepare(config, data, stack)
        stack.enter_context(locked(config.run.path))
        _open_directory(job)
        print(_plan(job), flush=True)
        learning = time.perf_counter()
        rows = _learn(job)
        seconds = {"prepare": learning - began, "learn": time.perf_counter() - learning}
        run_dir = _finish(job, rows, seconds)
        finished.mark(config, data)
    return run_dir


def _prepare(config: SftConfig, data: Path | None, stack: ExitStack) -> Job:
    """stack: ends the other ranks."""
    tokenizer = policy.load_tokenizer(config.model.path)
    encoder = PromptEncoder(
        tokenizer, config.data.prompt_style, config.model.max_length, config.data.prompt_budget
    )
    require_dev_engine(config)
    examples = chosen_examples(config.data, config.run.seed, data)
    golds = checked_golds(config.run.path, examples)
    examples = [example for example in examples if example.id not in golds.dropped]
    if config.train.spelling == "canonical":
        examples, kept = respelled(examples, encoder.schema)
        print(f"train: {len(examples) - kept} golds in one spelling, {kept} as they are given", flush=True)
    items, dropped = training_items(config, encoder, examples)
    dev = DevEvaluator(config, encoder, data) if config.dev.every else None
    start = Path(config.init_adapter) if config.init_adapter else None
    if start:
        provenance.check(start, config.model, config.data.prompt_style)
        warm_start.check_same_lora(start, config.lora)
    identity = identity_of(config, items) | ({"init_adapter": policy.read_adapter(start).digest} if start else {})
    resumed = None
    if config.checkpoint.every and not config.run.overwrite:
        resumed = checkpoint.newest_directory(Folder(config.run.path / "checkpoints"), identity)
    others = None
    if config.train.ranks > 1:
        from sft.ranks import other_ranks  # slow: Ray

        others = stack.enter_context(other_ranks(config))
    transformers.set_seed(config.run.seed)
    print(f"loading {config.model.path}", flush=True)
    whole = config.learns_all
    model: Model = policy.load_whole(config.model) if whole else policy.load_model(config.model, config.lora, start)
    if start and isinstance(model, peft.PeftModel):
        warm_start.check_on_every_layer(model, start)
    trainer = AnswerTrainer(config, model, tokenizer, items, identity, others)
    if others:
        others.join(trainer.args.device)
    return Job(config, model, trainer, items, golds, dropped, dev, resumed)


def checked_golds(run_dir: Path, examples: Sequence[Example]) -> Golds:
    """As this run has found before, or by running each gold; those whose database is not there are trusted."""
    path, asked = run_dir / GOLDS, [(e.id, e.database, e.gold_sql) for e in examples]
    of = hashlib.sha256(repr(asked).encode("utf-8", "surrogatepass")).hexdigest()
    known = json.loads(path.read_text()) if path.is_file() else {}
    if known.get("of") == of:
        return Golds(of, frozenset(known["dropped"]))
    there = [e for e in examples if not is_declared(e.database) and Path(e.database).is_file()]
    if len(there) < len(examples):
        print(f"train: {len(examples) - len(there)} golds are not run: their databases are not there", flush=True)
    checks = check_golds(there, Count("checking golds", len(there), "queries"))
    return Golds(of, useless(checks, rewarded=False) if there else frozenset())


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
    history = provenance.history(config, "SFT", config.init_adapter)
    extra = provenance.as_file(config.model, config.data.prompt_style, config.data.prompt_budget, **history)
    if config.learns_all:
        policy.save_model(model, config.model.path, config.model.dtype, directory, extra)
    else:
        policy.save_adapter(policy.publish(model, step), directory, extra)


def _learn(job: Job) -> list[dict[str, Any]]:
    """Train, and return the rows of metrics.jsonl."""
    config, model = job.config, job.model
    done = checkpoint.step_of(job.resumed) if job.resumed else 0
    events = Events(config.run.path, config.run.report_to, done)
    progress = Progress(config.run.path, events, done)
    job.trainer.add_callback(progress)
    if job.dev is not None:
        save = partial(save_policy, config, model)
        job.trainer.add_callback(DevWatch(config.run.path, config.dev.every, done, job.dev, save, events))
    try:
        if job.resumed is not None:
            print(f"resuming {config.run.path} after step {done} of {len(job.trainer.train_dataset)}", flush=True)
            keeps(f"{config.run.path} keeps step {done} of {len(job.trainer.train_dataset)}")
            job.trainer.resume(job.resumed)
        else:
            job.trainer.train()
    finally:
        events.close()
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
        plot_dev_curve(dev, run_dir / "report" / "dev.png")
        kept = DevWatch.best(dev)["step"]
    if kept == last["step"]:
        save_policy(config, job.model, kept, run_dir / "best")
    else:
        save_policy(config, job.model, last["step"], run_dir / "last")
    summary = {
        "questions": len(job.items),
        "dropped": job.dropped,
        "failed_golds": len(job.golds.dropped),
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
    (run_dir / "report" / "report.md").write_text(markdown(config.run.name, _plan(job), summary, dev))
    (run_dir / "report" / "index.html").write_text(page(config.run.name, _plan(job), summary, rows, dev))
    os.replace(run_dir / "best", result)  # last: a run with a result is a finished run
    shutil.rmtree(run_dir / "checkpoints", ignore_errors=True)
    best = f" of step {kept}, the best on dev" if dev else ""
    print(f"{result.name}{best} in {result}, curves in {run_dir / 'report'}", flush=True)
    return run_dir


def _was_finished(config: SftConfig) -> bool:
    """Whether the run holds a result of these very settings, from before it was marked as such. UserError when it is
    one of other settings, data or start."""
    if config.run.overwrite or not any((config.run.path / name).exists() for name in ("adapter", "model")):
        return False
    stored, asked = json.loads((config.run.path / "config.json").read_text()), config.model_dump(mode="json")
    for key in ("overwrite", "report_to"):  # they say what to do with the run, not what it is
        stored["run"][key] = asked["run"][key]
    if stored == asked and not (config.run.path / finished.FILE).exists():
        finished.say(config.run.path)
        return True
    keys = [key for key, value in leaves(asked) if dict(leaves(stored)).get(key) != value]
    what = f"other settings ({', '.join(keys[:5])})" if keys else "other data or of another init_adapter"
    raise UserError(
        f"{config.run.path} holds a finished run of {what}: give another run.name, or run.overwrite=true to replace it"
    )


def _open_directory(job: Job) -> None:
    """From here on the run is on the disk. What it has found out about golds stays."""
    config, run_dir = job.config, job.config.run.path
    if job.resumed is None:
        config.run.clear(OUTPUTS)
        write_resolved(config, run_dir)
        (run_dir / "report").mkdir()
        kept = f"{run_dir} keeps no step yet" if config.checkpoint.every else f"{run_dir} keeps no step"
        remedy = "" if config.checkpoint.every else " (checkpoint.every=N keeps every Nth)"
        keeps(kept + remedy, "start again with")
    golds = {"of": job.golds.of, "dropped": sorted(job.golds.dropped)}
    (run_dir / GOLDS).write_text(json.dumps(golds) + "\n")
    finished.unmark(run_dir)
    log_to(run_dir)


def _plan(job: Job) -> str:
    config, items = job.config, job.items
    learning, total = _parameters(job.model)
    tokens = sum(item.length for item in items)
    answers = sum(len(item.completion_ids) for item in items)
    kind = "documents" if config.train.mode == "pretrain" else "questions"
    lost = f" ({job.dropped} dropped: longer than {config.model.max_length} tokens)" if job.dropped else ""
    lost += f" ({len(job.golds.dropped)} dropped: their golds fail)" if job.golds.dropped else ""
    ranks = f" on {config.train.ranks} ranks" * (config.train.ranks > 1)
    what = "all weights" if config.learns_all else f"adapter: r = {config.lora.r}"
    return (
        f"SFT of {config.model.path} ({config.train.mode}, {config.model.quantization}, {config.model.dtype}) on "
        f"{config.data.benchmark}, {detect().name}\n"
        f"{len(items):,} {kind}{lost}, {tokens / len(items):.0f} tokens each, {answers / len(items):.0f} of them "
        f"learned; {len(job.trainer.train_dataset)} steps of {config.train.batch_size}{ranks}\n"
        f"{what}, {learning / 1e6:.2f} M of {total / 1e6:.2f} M parameters learn"
    )


def _parameters(model: Model) -> tuple[int, int]:
    """How many parameters learn, and how many there are; 4-bit ones counted one by one."""
    if isinstance(model, peft.PeftModel):
        learning, total = model.get_nb_trainable_parameters()
        return learning, total
    return model.num_parameters(only_trainable=True), model.num_parameters()


def _set_up_libraries() -> None:
    os.environ.update(allocator(os.environ))
    warnings.filterwarnings("ignore", message="Paged optimizers are not supported on CPU")  # they are plain ones there
    transformers.utils.logging.set_verbosity_error()
    for name in ("trl", "peft", "accelerate", "httpx"):
        logging.getLogger(name).setLevel(logging.ERROR)
