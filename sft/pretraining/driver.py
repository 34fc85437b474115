"""The birth of the bundled base model.

Draws the corpus, trains the tokenizer on it, then trains a small Qwen2 from scratch on CPU, in one process per core
with averaged gradients: small matrices gain little from threads, and nothing waits inside a product. The same command
again goes on where an interrupted run stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import logging

from evaluation.errors import UserError
from evaluation.tiny.build import FOLDER
from evaluation.tiny.domains import DOMAINS
from graph.linearize import compact
from sft.pretraining.base_model import new_model, save
from sft.pretraining.block_learner import Learner, load_state, save_state
from sft.pretraining.block_rows import RowMaker, Rows, Shape
from sft.pretraining.config import PretrainConfig, TrainConfig
from sft.pretraining.corpus import Document, documents, held_out, schema_of
from sft.pretraining.tokenizer import train_tokenizer
from sft.settings.file import write_resolved

PARTS = 16  # in which the corpus is drawn, whatever the number of workers
# One thread per worker; and freed memory is kept: giving each step's back to the system costs a tenth of the time.
WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(2**36),
    "MALLOC_TOP_PAD_": str(2**28),
}


# ---------------------------------------------------------------------------------------------------- corpus


def make_tokenizer(config: PretrainConfig) -> PreTrainedTokenizerFast:
    """The BPE of the corpus; tiny's words weigh more in it than in the model's text."""
    corpus = config.corpus
    drawn = documents(config.seed + 1, held_out(), DOMAINS, corpus.tokenizer_share, corpus.questions)
    drawn = islice(drawn, corpus.tokenizer_documents)
    chats = ["user\nWhich tables have a column?\nassistant\n"] * 50
    return train_tokenizer(
        [*(document.text for document in drawn), *chats], config.model.vocab_size, config.model.max_positions
    )


def make_rows(config: PretrainConfig, work: Path) -> Path:
    """Draw the corpus in all workers; returns the file of rows. What an equal config left there is used again."""
    text = config.corpus.model_dump_json() + str(config.seed) + (work / "tokenizer" / "tokenizer.json").read_text()
    target = work / f"rows-{hashlib.sha256(text.encode()).hexdigest()[:12]}.npz"
    if not target.exists():
        with mp.get_context("spawn").Pool(config.train.workers) as pool:
            parts = pool.starmap(_draw, [(config, work, part) for part in range(PARTS)], chunksize=1)
        rows, needed = Rows.joined(parts), config.train.documents_per_step
        if len(rows) < needed:
            raise UserError(
                f"a step reads {needed} documents, but of corpus.documents = {config.corpus.documents} only "
                f"{len(rows)} are short enough; raise corpus.documents, or model.vocab_size for shorter text"
            )
        save_rows(rows, target)
    return target


def _draw(config: PretrainConfig, work: Path, part: int) -> Rows:
    """One of the corpus's parts: a stream of its own."""
    corpus = config.corpus
    stream = documents(1000 * (config.seed + 1) + part, held_out(), DOMAINS, corpus.domain_share, corpus.questions)
    maker = RowMaker(AutoTokenizer.from_pretrained(work / "tokenizer"), Shape())
    return maker.rows(islice(stream, -(-corpus.documents // PARTS)))


def save_rows(rows: Rows, target: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=".npz", delete=False) as file:
        np.savez(file, **vars(rows))
    os.replace(file.name, target)


def load_rows(path: Path) -> Rows:
    with np.load(path) as file:
        return Rows(**{name: file[name] for name in file.files})


def probes(config: PretrainConfig, maker: RowMaker) -> dict[str, Rows]:
    """What the exact match is measured on: unseen random schemas, and tiny's own train questions."""
    unseen = islice(documents(config.seed + 500, held_out(), (), 0.0, 8), 100)
    asked: dict[str, list[tuple[str, str]]] = {}
    for line in (FOLDER / "train.jsonl").read_text("utf-8").splitlines()[::6]:
        row = json.loads(line)
        asked.setdefault(row["db_id"], []).append((row["question"], row["sql"]))
    schemas = {d.name: compact(schema_of(d, random.Random(0), shuffled=False)) for d in DOMAINS}
    own = (Document(schemas[db], tuple(qs[i : i + 8])) for db, qs in asked.items() for i in range(0, len(qs), 8))
    made = {"unseen": maker.rows(unseen), "tiny": maker.rows(own)}
    return {name: rows for name, rows in made.items() if len(rows)}


# ---------------------------------------------------------------------------------------------------- training


def batches(count: int, lengths: np.ndarray, config: TrainConfig, seed: int, rank: int) -> Iterator[list[np.ndarray]]:
    """Per step the row numbers of this worker's micro batches, epoch after epoch; all workers draw the same order."""
    each = config.documents_per_step
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(count)[: count // each * each].reshape(-1, each)
        for step in order:
            micro = step[np.argsort(lengths[step], kind="stable")].reshape(-1, config.workers, config.micro_batch)
            yield [micro[i, rank] for i in range(config.micro_batches)]


def work(rank: int, config: PretrainConfig, folder: Path, rows_file: Path, rendezvous: str) -> None:
    """One worker; rank 0 measures, prints and saves. Continues from the states that an interrupted run left."""
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    settings = config.train
    if settings.workers > 1:
        dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=settings.workers)
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    rows, learner = load_rows(rows_file), Learner(new_model(config.model, tokenizer, config.seed), settings, rank)
    scale = len(rows) / float(rows.weight.sum(dtype=np.float64)) / settings.documents_per_step
    held = probes(config, RowMaker(tokenizer, Shape())) if rank == 0 else {}
    step, tokens, before = load_state(learner, folder, rank)
    if rank == 0 and step:
        print(f"going on from step {step}, minute {before:.1f}", flush=True)
    saved, measured, begun = before, before, time.monotonic()
    clock = torch.zeros(1)  # minutes, told by rank 0, so that all workers agree on the rates and on the end
    recent = []
    for micro in islice(batches(len(rows), rows.lengths, settings, config.seed, rank), step, None):
        clock[0] = before + (time.monotonic() - begun) / 60
        if dist.is_initialized():
            dist.broadcast(clock, 0)
        progress = max(step / settings.steps, clock.item() / settings.max_minutes)
        if progress >= settings.stop_at:
            break
        parts = [rows.take(index) for index in micro]
        recent.append(sum(learner.gradients(part, scale) for part in parts) * settings.workers)
        norm = learner.step(progress)
        step += 1
        tokens += sum(int(part.lengths.sum() + (part.block > 0).sum()) for part in parts) * settings.workers
        if rank == 0 and step % 50 == 0:
            _say(folder, kind="train", step=step, minutes=round(clock.item(), 2), tokens=tokens,
                 loss=round(sum(recent) / len(recent), 4), norm=round(norm, 3))  # fmt: skip
            recent.clear()
        if clock.item() - saved > settings.save_minutes:
            saved = clock.item()
            save_state(learner, folder, rank, (step, tokens, saved))
        if clock.item() - measured > settings.eval_minutes:
            measured = clock.item()
            if rank == 0:
                _measure(folder, learner, held, step, measured)
                save(learner.model, tokenizer, folder / "model")
    if rank == 0:
        _measure(folder, learner, held, step, clock.item())
        save(learner.model, tokenizer, Path(config.out))
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def _measure(folder: Path, learner: Learner, held: dict[str, Rows], step: int, minutes: float) -> None:
    match = {f"exact_match_{name}": round(learner.exact_match(rows), 4) for name, rows in held.items()}
    _say(folder, kind="eval", step=step, minutes=round(minutes, 2), **match)


def _say(folder: Path, **values: float | str) -> None:
    print(" ".join(f"{name}={value}" for name, value in values.items()), flush=True)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(values) + "\n")


def pretrain(config: PretrainConfig) -> None:
    """Corpus, tokenizer, model: from nothing to a directory in Hugging Face layout."""
    folder = Path(config.work)
    before = (folder / "config.json").read_text() if (folder / "config.json").exists() else ""
    if write_resolved(config, folder).read_text() != before:  # what lies there is another run's
        for old in (*folder.glob("state-*.pt"), folder / "metrics.jsonl"):
            old.unlink(missing_ok=True)
        shutil.rmtree(folder / "tokenizer", ignore_errors=True)
    os.environ.update(WORKER_ENVIRONMENT)
    print("drawing the corpus", flush=True)
    if not (folder / "tokenizer" / "tokenizer.json").exists():
        make_tokenizer(config).save_pretrained(folder / "tokenizer")
    rows = make_rows(config, folder)
    print(f"training in {config.train.workers} processes for at most {config.train.max_minutes:g} minutes", flush=True)
    with tempfile.TemporaryDirectory() as meeting:
        mp.spawn(work, (config, folder, rows, f"file://{meeting}/meet"), nprocs=config.train.workers)
    for state in folder.glob("state-*.pt"):
        state.unlink()  # the run is over
