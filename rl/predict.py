"""`python -m rl.predict --model M [--adapter A] --benchmark B --split dev --out preds.jsonl`: a query per question.

Greedy answers, one row {"id", "sql"} per question in split order; with --samples K also "samples": K queries drawn at
--temperature. The prompts and the served base are those of training: with --quantization nf4 an adapter meets the
4-bit weights that it was trained on. A question whose prompt does not fit gets "" and is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.benchmarks import Example, find_sources, load_examples
from evaluation.command import CommandLine, add_benchmark, at_least, check_output, folder, positive
from evaluation.console import EVERY_S, Count
from evaluation.errors import UserError, exit_on_user_error
from graph.answer import extract_sql
from sft.config import DataConfig, ModelConfig
from sft.policy import provenance
from sft.policy.adapter import largest_rank, read_config
from sft.policy.device import detect
from sft.policy.encoder import PromptEncoder
from sft.policy.engine_memory import Served, kv_cache_gib
from sft.policy.generator import AdapterNotApplied, Generator, GeneratorConfig, Sample, Sampling
from sft.policy.model_files import context_length, local_model
from sft.policy.shapes import local_shape
from sft.settings.file import validate

if TYPE_CHECKING:
    from sft.policy.base import PolicyVersion


@dataclass(frozen=True)
class Questions:
    """The examples, and the prompts of those that fit: indices into `examples`, token ids."""

    examples: list[Example]
    fitting: list[int]
    prompts: list[list[int]]


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    _check(args)
    from sft.policy.base import load_tokenizer, read_adapter  # slow: after the arguments

    model, style, budget = _trained_as(args)
    if args.adapter:
        provenance.check(args.adapter, model, style)
    adapter = read_adapter(args.adapter) if args.adapter else None
    encoder = PromptEncoder(load_tokenizer(model.path), style, model.max_length - args.max_tokens, budget)
    examples = load_examples(args.benchmark, args.split, args.data, rows=False)[: args.limit]
    questions = _encode(examples, encoder)
    generator = _start(model, adapter, args.seed)
    try:
        rows = _predict(generator, questions, encoder, args, None if adapter is None else adapter.step)
    finally:
        generator.close()
    _write(args.out, rows)
    print(f"{args.out}: {len(rows)} predictions, {generator.stats.tokens_per_second:,.0f} tokens/s", flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").split("\n\n", 1)[1]
    parser = CommandLine("rl.predict", about)
    parser.add_argument("--model", required=True, help="base model: a directory in Hugging Face layout, e.g. sft/tiny")
    parser.add_argument("--adapter", type=folder, help="LoRA adapter in PEFT's layout, e.g. runs/rl/adapter")
    add_benchmark(parser)
    parser.add_argument("--out", type=Path, required=True, help="the .jsonl file to write")
    parser.add_argument("--samples", type=at_least(0), default=0, metavar="K", help="also draw K queries per question")
    parser.add_argument("--temperature", type=positive, help="of the K samples; 1.0 when not given")
    parser.add_argument("--limit", type=at_least(1), metavar="N", help="the first N questions only")
    parser.add_argument("--max-tokens", type=at_least(1), default=256, help="longest answer (default 256)")
    parser.add_argument("--max-length", type=at_least(1), help="prompt and answer (default: 1024, or the model's)")
    parser.add_argument("--quantization", choices=("nf4", "none"), help="default: the adapter's, else nf4")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), help="default: the adapter's, else bfloat16")
    parser.add_argument("--prompt-style", help="e.g. mschema+graph; default: the adapter's, else compact")
    parser.add_argument("--prompt-budget", type=at_least(0), help="most tokens of a prompt; default: the adapter's")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def _check(args: argparse.Namespace) -> None:
    """What argparse cannot: combinations, before anything slow starts."""
    if args.temperature is not None and not args.samples:
        raise UserError("--temperature needs --samples K: without samples the answer is greedy")
    local_model(args.model)
    if args.adapter:
        read_config(args.adapter)
    find_sources(args.benchmark, args.split, args.data)
    check_output(args.out, suffixes=(".jsonl",))


def _trained_as(args: argparse.Namespace) -> tuple[ModelConfig, str, int]:
    """Model settings, prompt style and budget: as given, else as the adapter was trained, else the defaults."""
    from sft.policy.base import model_directory

    directory = model_directory(args.model)
    trained = _read_provenance(args.adapter or directory)  # a merged or fully trained model has a record of its own
    room = context_length(directory) or sys.maxsize
    values: dict[str, Any] = {
        "path": args.model,
        "quantization": args.quantization or trained.get("quantization", "nf4"),
        "dtype": args.dtype or trained.get("dtype", "bfloat16"),
        "max_length": args.max_length or min(ModelConfig().max_length, room),
    }
    model = validate(ModelConfig, values, "the command line")
    if model.max_length <= args.max_tokens:
        raise UserError(f"--max-length ({model.max_length}) must leave room for --max-tokens ({args.max_tokens})")
    style = args.prompt_style or trained.get("prompt_style", "compact")
    budget = trained.get("prompt_budget", 0) if args.prompt_budget is None else args.prompt_budget
    data = validate(DataConfig, {"prompt_style": style, "prompt_budget": budget}, "the command line")
    return model, data.prompt_style, data.prompt_budget


def _read_provenance(directory: Path) -> dict[str, Any]:
    path = directory / provenance.FILE
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise UserError(f"{path} must be JSON: {error}") from None


def _encode(examples: list[Example], encoder: PromptEncoder) -> Questions:
    """UserError when no prompt leaves room for an answer; some that do not are counted on the screen."""
    prompts = [encoder.encode(example) for example in examples]
    fitting = [index for index, prompt in enumerate(prompts) if encoder.fits(prompt)]
    dropped = len(prompts) - len(fitting)
    if not fitting:
        raise UserError(
            f"each of the {len(prompts)} prompts is longer than {encoder.max_prompt_tokens} tokens (--max-length less "
            f"--max-tokens; the shortest has {min(map(len, prompts))}): raise --max-length"
        )
    if dropped:
        print(f"{dropped} of {len(prompts)} prompts are over {encoder.max_prompt_tokens} tokens: no query for them")
    return Questions(examples, fitting, [prompts[index] for index in fitting])


def _start(model: ModelConfig, adapter: PolicyVersion | None, seed: int) -> Generator:
    from sft.policy.base import served_base

    device, directory = detect(), served_base(model)
    rank = largest_rank(json.loads(adapter.adapter_config)) if adapter else 1
    served = Served(local_shape(directory), model.dtype, model.max_length, rank)
    config = GeneratorConfig(
        model=str(directory),
        dtype=model.dtype,
        max_model_len=model.max_length,
        max_lora_rank=rank,
        kv_cache_gib=kv_cache_gib(served, device.memory_gib),
        seed=seed,
    )
    print(f"starting the engine on {device.name}", flush=True)
    generator = Generator(config)
    try:
        if adapter is not None:
            generator.load(adapter)
    except AdapterNotApplied as error:
        generator.close()
        raise UserError(f"the adapter does not belong to this model: {error}") from error
    return generator


def _predict(
    generator: Generator, questions: Questions, encoder: PromptEncoder, args: argparse.Namespace, step: int | None
) -> list[dict[str, Any]]:
    """One row per question, in order; those without a prompt get empty queries."""
    passes = [("greedy", Sampling(1, 0.0, args.max_tokens))]
    if args.samples:
        passes.append(("samples", Sampling(args.samples, args.temperature or 1.0, args.max_tokens, args.seed)))
    answers = {}
    for name, sampling in passes:
        seen, groups = Count(name, len(questions.prompts)), list[list[Sample]]()
        generator.submit(name, questions.prompts, sampling, step)
        while len(groups) < len(questions.prompts):
            groups += generator.take(name, within_s=EVERY_S)
            seen(len(groups))
        answers[name] = dict(zip(questions.fitting, groups, strict=True))
    return [_row(index, example, answers, encoder, args.samples) for index, example in enumerate(questions.examples)]


def _row(
    index: int, example: Example, answers: dict[str, dict[int, list[Sample]]], encoder: PromptEncoder, samples: int
) -> dict[str, Any]:
    def queries(name: str, count: int) -> list[str]:
        found = answers[name].get(index)
        return [""] * count if found is None else [_sql(encoder, sample) for sample in found]

    row: dict[str, Any] = {"id": example.id, "sql": queries("greedy", 1)[0]}
    return row | {"samples": queries("samples", samples)} if samples else row


def _sql(encoder: PromptEncoder, sample: Sample) -> str:
    return extract_sql(str(encoder.tokenizer.decode(sample.token_ids, skip_special_tokens=True)))


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    os.replace(partial, path)


if __name__ == "__main__":
    raise SystemExit(main())
