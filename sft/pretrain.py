"""Rebuild the bundled base model: `python -m sft.pretrain --config sft/configs/pretrain.toml`.

Draws the corpus, trains the tokenizer on it, then trains a small Qwen2 from scratch on CPU, in one process per core
with averaged gradients: small matrices gain little from threads, and nothing waits inside a product. Weights are held
in float32 and multiplied in bfloat16. Matrices learn by Muon, the rest by AdamW; the rate falls linearly to zero.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from pydantic import Field, model_validator
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from evaluation.errors import exit_on_user_error
from evaluation.tiny.build import FOLDER
from evaluation.tiny.domains import DOMAINS
from graph.linearize import compact
from sft.block_model import losses, tensors
from sft.block_rows import RowMaker, Rows, Shape
from sft.config import Settings, load_config, write_resolved
from sft.corpus import Document, documents, held_out, schema_of
from sft.tokenizer import END, PAD, train_tokenizer


class ShapeConfig(Settings):
    """The model: a Qwen2 with tied embeddings. The default has 3.9 million parameters, 7.4 MiB in bfloat16."""

    vocab_size: int = Field(default=2048, ge=512, le=65536)
    hidden_size: int = Field(default=256, ge=32)
    intermediate_size: int = Field(default=512, ge=32)
    layers: int = Field(default=6, ge=1)
    heads: int = Field(default=8, ge=1)
    kv_heads: int = Field(default=2, ge=1)
    max_positions: int = Field(default=2048, ge=256)

    @model_validator(mode="after")
    def _divides(self) -> ShapeConfig:
        if self.hidden_size % (2 * self.heads) or self.heads % self.kv_heads:
            raise ValueError("2 * heads must divide hidden_size, and kv_heads must divide heads")
        return self


class CorpusConfig(Settings):
    """The text: how many schemas, and what share of them are the tiny benchmark's, with questions of their own."""

    documents: int = Field(default=36000, ge=8)
    domain_share: float = Field(default=0.25, ge=0, le=1)
    questions: int = Field(default=10, ge=1)  # per document
    tokenizer_documents: int = Field(default=2400, ge=8)
    tokenizer_share: float = Field(default=0.5, ge=0, le=1)  # domain_share of the tokenizer's text


class TrainConfig(Settings):
    """The run. A step reads workers * micro_batches * micro_batch documents."""

    max_minutes: float = Field(default=40, gt=0)  # the rates fall to zero by then at the latest
    steps: int = Field(default=8000, ge=1)
    workers: int = Field(default=2, ge=1)  # processes of one thread
    micro_batch: int = Field(default=4, ge=1)  # documents per forward
    micro_batches: int = Field(default=1, ge=1)  # per worker and step
    muon_rate: float = Field(default=0.02, gt=0)  # peak for matrices
    adam_rate: float = Field(default=0.004, gt=0)  # peak for embeddings, norms and biases
    weight_decay: float = Field(default=0.05, ge=0)
    warmup: float = Field(default=0.02, ge=0, lt=1)  # share of the run
    compile: bool = True
    eval_minutes: float = Field(default=3, gt=0)
    checkpoint: str = ""  # a directory that gets the model as it is at each evaluation


class PretrainConfig(Settings):
    """All that `python -m sft.pretrain` needs."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    out: str = "sft/tiny"
    work: str = "runs/pretrain"  # the drawn corpus and the log
    model: ShapeConfig = ShapeConfig()
    corpus: CorpusConfig = CorpusConfig()
    train: TrainConfig = TrainConfig()


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
        count = 8 * config.train.workers
        with mp.get_context("spawn").Pool(config.train.workers) as pool:
            parts = pool.starmap(_draw, [(config, work, part, count) for part in range(count)], chunksize=1)
        save_rows(Rows.joined(parts), target)
    return target


def _draw(config: PretrainConfig, work: Path, part: int, parts: int) -> Rows:
    """Every `parts`-th thousand of the stream is too fine; each part simply has a stream of its own."""
    corpus = config.corpus
    stream = documents(1000 * (config.seed + 1) + part, held_out(), DOMAINS, corpus.domain_share, corpus.questions)
    maker = RowMaker(AutoTokenizer.from_pretrained(work / "tokenizer"), Shape())
    made = maker.rows(islice(stream, -(-corpus.documents // parts)))
    assert made is not None
    return made


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
    rng = np.random.default_rng(0)  # unused by unshuffled schemas
    schemas = {d.name: compact(schema_of(d, rng, shuffled=False)) for d in DOMAINS}  # type: ignore[arg-type]
    own = [Document(schemas[db], tuple(pairs[i : i + 8])) for db, pairs in asked.items() for i in range(0, len(pairs), 8)]
    made = {"unseen": maker.rows(unseen), "tiny": maker.rows(own)}
    return {name: rows for name, rows in made.items() if rows is not None}


# ---------------------------------------------------------------------------------------------------- training


def new_model(config: PretrainConfig, tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    """Fresh weights in float32, the same for the same seed."""
    torch.manual_seed(config.seed)
    shape = config.model
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=shape.vocab_size,
            hidden_size=shape.hidden_size,
            intermediate_size=shape.intermediate_size,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads,
            max_position_embeddings=shape.max_positions,
            tie_word_embeddings=True,
            bos_token_id=None,
            pad_token_id=tokenizer.convert_tokens_to_ids(PAD),
            eos_token_id=tokenizer.convert_tokens_to_ids(END),
        )
    )


class Learner:
    """float32 weights with their optimizers, and the bfloat16 copy that computes the gradients."""

    def __init__(self, config: PretrainConfig, tokenizer: PreTrainedTokenizerFast) -> None:
        self.settings = config.train
        self.master = new_model(config, tokenizer)
        self.model = new_model(config, tokenizer).to(torch.bfloat16)
        named = list(self.master.named_parameters())
        matrices = [p for name, p in named if p.ndim == 2 and "embed" not in name]
        others = [p for name, p in named if p.ndim != 2 or "embed" in name]
        decay = self.settings.weight_decay
        self.optimizers = (
            torch.optim.Muon(matrices, lr=self.settings.muon_rate, weight_decay=decay, momentum=0.95),
            torch.optim.AdamW(others, lr=self.settings.adam_rate, weight_decay=0.0, betas=(0.9, 0.95), foreach=True),
        )
        self.peaks = (self.settings.muon_rate, self.settings.adam_rate)
        self.losses = torch.compile(losses, dynamic=False) if self.settings.compile else losses

    def gradients(self, rows: Rows, scale: float) -> float:
        """Add the gradients of the weighted loss, scaled; returns that loss."""
        batch = tensors(rows)
        loss, _ = self.losses(self.model, batch)
        total = (loss * batch["weight"]).sum() * scale
        total.backward()
        return total.item()

    def step(self, progress: float) -> float:
        """Average the gradients over the workers and learn from them; returns their norm."""
        flat = torch.cat([p.grad.float().flatten() for p in self.model.parameters()])  # type: ignore[union-attr]
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
        with torch.no_grad():
            for copy, parameter in zip(self.model.parameters(), self.master.parameters(), strict=True):
                copy.copy_(parameter)
                copy.grad = None
        return norm

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


def batches(count: int, lengths: np.ndarray, config: TrainConfig, seed: int, rank: int) -> Iterator[list[np.ndarray]]:
    """Per step the row numbers of this worker's micro batches, epoch after epoch; all workers draw the same order."""
    each = config.workers * config.micro_batches * config.micro_batch
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(count)[: count // each * each].reshape(-1, each)
        for step in order:
            micro = step[np.argsort(lengths[step], kind="stable")].reshape(-1, config.workers, config.micro_batch)
            yield [micro[i, rank] for i in range(config.micro_batches)]


def work(rank: int, config: PretrainConfig, folder: Path, rows_file: Path, rendezvous: str) -> None:
    """One worker; rank 0 measures, prints and saves."""
    torch.set_num_threads(1)
    settings = config.train
    if settings.workers > 1:
        dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=settings.workers)
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    rows, learner = load_rows(rows_file), Learner(config, tokenizer)
    scale = len(rows) / float(rows.weight.sum(dtype=np.float64))
    scale /= settings.workers * settings.micro_batches * settings.micro_batch
    held = probes(config, RowMaker(tokenizer, Shape())) if rank == 0 else {}
    clock = torch.zeros(1)  # minutes, told by rank 0, so that all workers agree on the rates and on the end
    begun = measured = time.monotonic()
    seen, recent = 0, []
    for step, micro in enumerate(batches(len(rows), rows.lengths, settings, config.seed, rank)):
        clock[0] = (time.monotonic() - begun) / 60
        if dist.is_initialized():
            dist.broadcast(clock, 0)
        progress = max(step / settings.steps, clock.item() / settings.max_minutes)
        if progress >= 1:
            break
        loss = 0.0
        for index in micro:
            part = rows.take(index)
            loss += learner.gradients(part, scale)
            seen += int((part.lengths.sum() + (part.block > 0).sum()) * settings.workers)
        norm = learner.step(progress)
        recent.append(loss * settings.workers)
        if rank == 0 and (step + 1) % 50 == 0:
            _say(folder, kind="train", step=step + 1, minutes=round(clock.item(), 2), tokens=seen,
                 loss=round(sum(recent) / len(recent), 4), norm=round(norm, 3))  # fmt: skip
            recent = []
        if rank == 0 and time.monotonic() - measured > 60 * settings.eval_minutes:
            _measure(folder, learner, held, step + 1, clock.item())
            if settings.checkpoint:
                save(learner.master, tokenizer, Path(settings.checkpoint))
            measured = time.monotonic()
    if rank == 0:
        _measure(folder, learner, held, step, clock.item())
        save(learner.master, tokenizer, Path(config.out))
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


def save(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write the model in bfloat16 with its tokenizer; every file appears whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as partial:
        copy = Qwen2ForCausalLM(model.config)
        copy.load_state_dict(model.state_dict())
        copy.to(torch.bfloat16).save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        for file in Path(partial).iterdir():
            os.replace(file, out / file.name)


def pretrain(config: PretrainConfig) -> None:
    """Corpus, tokenizer, model: from nothing to a directory in Hugging Face layout."""
    folder = Path(config.work)
    shutil.rmtree(folder / "tokenizer", ignore_errors=True)
    (folder / "metrics.jsonl").unlink(missing_ok=True)
    write_resolved(config, folder)
    os.environ["OMP_NUM_THREADS"] = "1"  # for the workers
    print("drawing the corpus", flush=True)
    make_tokenizer(config).save_pretrained(folder / "tokenizer")
    rows = make_rows(config, folder)
    print(f"training in {config.train.workers} processes for at most {config.train.max_minutes:g} minutes", flush=True)
    with tempfile.TemporaryDirectory() as meeting:
        mp.spawn(work, (config, folder, rows, f"file://{meeting}/meet"), nprocs=config.train.workers)


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sft.pretrain", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--config", type=Path, required=True, help="a TOML file such as sft/configs/pretrain.toml")
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="settings that replace the file's")
    options = parser.parse_args(argv)
    config = load_config(PretrainConfig, options.config, options.overrides)
    pretrain(config)
    print(f"the model is in {config.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
