"""`python -m sft.plan --config FILE [--data DIR] [key.sub=value …]`: what a run of sft.train would take.

Parameters, questions, tokens, steps and memory by part, counted from shapes: no weights are read. The memory is that of
the longest forward: train.token_budget tokens, or one question of model.max_length. Activations and logits are a
formula that no GPU has confirmed.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cluster.fit import GIB, USABLE, Bundle
from cluster.needs import Needs
from evaluation.benchmarks import is_bundled
from evaluation.errors import UserError, exit_on_user_error
from graph.writer import PromptStyle
from sft.config import ModelConfig, SftConfig
from sft.policy.encoder import PromptEncoder, training_examples
from sft.policy.engine_memory import BYTES, CONTEXT_GIB, Served, check_here, engine_memory, export_memory
from sft.policy.shapes import ModelShape, local_directory, shape_of
from sft.questions import chosen_examples
from sft.settings.command import ConfigCommand

CPU_PARAMETERS = 100_000_000
"""A base with fewer is planned for machines without a GPU unless the device is given."""
# Resident on a host before the first weight: Python, torch, Ray's worker; with CUDA its libraries and buffers.
PROCESS_GIB, CUDA_HOST_GIB = 1.5, 2.5
GPU_SIZES_GIB = (16, 24, 40, 80)
# Measured with Qwen's vocabulary on 300 training questions of Spider; the example values of mschema cost most.
CHARACTERS_PER_TOKEN = {"compact": 4.0, "ddl": 3.9, "mschema": 2.4}
_TEMPLATE_TOKENS = 5  # of a message: its role and its marks


@dataclass(frozen=True)
class Questions:
    """What an epoch reads. estimated: the tokens come from characters, the model's tokenizer not being on disk."""

    kept: int
    dropped: int
    tokens: int
    estimated: bool


@dataclass(frozen=True)
class Plan:
    """What a run takes. parameters: of the base; questions: None without data; steps: of the optimizer, None likewise.

    memory: bytes by part of training, on one GPU; engine: of the dev engine, which shares it from the first evaluation
    to the end, empty without one; export: while its base is made.
    """

    config: SftConfig
    parameters: int
    trainable: int
    questions: Questions | None
    steps: int | None
    memory: Mapping[str, int]
    engine: Mapping[str, int]
    export: Mapping[str, int]

    @property
    def share(self) -> float:
        """Of all parameters, adapter included, those that learn."""
        total = self.parameters if self.config.learns_all else self.parameters + self.trainable
        return self.trainable / total

    @property
    def total_gib(self) -> float:
        beside = max(sum(self.engine.values()), sum(self.export.values()))
        return (sum(self.memory.values()) + beside) / GIB

    @property
    def fitting(self) -> list[int]:
        """The common GPU sizes, in GiB, that hold it."""
        return [size for size in GPU_SIZES_GIB if self.total_gib <= USABLE * size]


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    about = (__doc__ or "").splitlines()[0]
    config, args = ConfigCommand("sft.plan", about, SftConfig, "sft/configs/tiny.toml").add_data().read(argv)
    print(format_plan(plan(config, args.data)))
    return 0


def plan(config: SftConfig, data: Path | None = None) -> Plan:
    """Count it all. UserError: a model of unknown shape, or data that sft.train would refuse."""
    shape, model = shape_of(config.model.path), config.model
    rank = None if config.learns_all else config.lora.r
    questions, steps = None, None
    if data is not None or is_bundled(config.data.benchmark):
        questions = count_questions(config, data)
        steps = math.ceil(math.ceil(questions.kept / config.train.batch_size) * config.train.epochs)
    memory = training_memory(shape, model, rank, _batch_tokens(config), config.train.gradient_checkpointing)
    engine = engine_memory(_served(config, shape), config.dev.kv_cache_gib) if config.dev.every else {}
    export = export_memory(shape, model.dtype, model.quantization, host=False) if config.dev.every else {}
    return Plan(config, shape.parameters, _trainable(shape, rank), questions, steps, memory, engine, export)


def needs(config: SftConfig, args: argparse.Namespace) -> Needs:
    """What sft.train answers to --needs. Data that is not on this machine is looked into by the job."""
    made = plan(config, args.data if args.data and args.data.exists() else None)
    if not (args.data or is_bundled(config.data.benchmark)):
        raise UserError("the benchmark's folder must be given: --data DIR, an absolute path where the job runs")
    on_cpu = made.parameters < CPU_PARAMETERS if args.needs == "auto" else args.needs == "cpu"
    size, host = round(made.total_gib * GIB), round(PROCESS_GIB * GIB)
    if on_cpu:
        way, first = "on CPUs", Bundle("rank 0", host_bytes=host + size)
    else:
        way, first = "a GPU each", Bundle("rank 0", 1, 1, 1, size, host + round(CUDA_HOST_GIB * GIB))
    others = replace(first, name="other rank", count=config.train.ranks - 1, cpus=1)
    return Needs({way: [others] if others.count else []}, first, about=format_plan(made))


def count_questions(config: SftConfig, data: Path | None) -> Questions:
    """Encode every training question, as sft.train does. UserError when none fits in model.max_length."""
    from transformers import PreTrainedTokenizerBase

    from sft.policy.base import load_tokenizer

    directory = local_directory(config.model.path)
    on_disk = directory is not None and (directory / "tokenizer_config.json").is_file()
    tokenizer: Any = load_tokenizer(str(directory)) if on_disk else EstimatedTokenizer(_ratio(config))
    if isinstance(tokenizer, PreTrainedTokenizerBase):
        tokenizer.model_max_length = 10**9  # no warning of prompts that are dropped anyway
    encoder = PromptEncoder(tokenizer, config.data.prompt_style, config.model.max_length, config.data.prompt_budget)
    examples = chosen_examples(config.data, config.run.seed, data)
    items, dropped = training_examples(examples, encoder, config.model.max_length)
    return Questions(len(items), dropped, sum(item.length for item in items), estimated=not on_disk)


class EstimatedTokenizer:
    """Stands in for a tokenizer that is not on disk: right in how many tokens there are, more or less, not in which."""

    eos_token_id = 0
    added_tokens_decoder: Mapping[int, Any] = MappingProxyType({})

    def __init__(self, characters_per_token: float) -> None:
        self.characters_per_token = characters_per_token

    def encode(self, text: str, **_: Any) -> list[int]:
        return [0] * math.ceil(len(text) / self.characters_per_token)

    def apply_chat_template(self, messages: Sequence[Mapping[str, str]], **_: Any) -> str:
        """The texts, and as many characters more as the marks of the messages and of the answer's opening take."""
        marks = " " * math.ceil(_TEMPLATE_TOKENS * (len(messages) + 1) * self.characters_per_token)
        return marks + "".join(message["content"] for message in messages)


def training_memory(
    shape: ModelShape, model: ModelConfig, rank: int | None, tokens: int, checkpointing: bool
) -> dict[str, int]:
    """Bytes by part while a forward of so many tokens learns. rank: of the adapter; None where all weights learn."""
    four_bit, trainable = model.quantization == "nf4", _trainable(shape, rank)
    dtype = "float32" if rank is None else model.dtype  # weights that learn are kept in fp32
    parts = base_bytes(shape, four_bit, dtype) | {
        "adapter, float32": 4 * trainable if rank else 0,
        "gradients": 4 * trainable,
        "8-bit AdamW states": adamw_bytes(trainable),
        "activations": activation_bytes(shape, rank, tokens, checkpointing),
        "largest layer, de-quantised": shape.largest_linear * BYTES[model.dtype] if four_bit else 0,
        "logits, by slices": logit_bytes(shape, tokens),
        "CUDA context": round(CONTEXT_GIB * GIB),
    }
    return {part: size for part, size in parts.items() if size}


def base_bytes(shape: ModelShape, four_bit: bool, dtype: str) -> dict[str, int]:
    """By part, of a model that is loaded."""
    return {
        "linear layers, " + ("NF4" if four_bit else dtype): (
            four_bit_bytes(shape) if four_bit else shape.linear_weights * BYTES[dtype]
        ),
        f"embedding, head, norms, {dtype}": (shape.parameters - shape.linear_weights) * BYTES[dtype],
    }


def adamw_bytes(trainable: int) -> int:
    """Two moments of 8 bits, and a float of scale for each block of 256."""
    return 2 * trainable + 2 * 4 * math.ceil(trainable / 256)


def four_bit_bytes(shape: ModelShape) -> int:
    """NF4 with double quantisation: half a byte per weight, a byte per 64, a float per 64 * 256; tables per layer."""

    def layer(weights: int) -> int:
        blocks = math.ceil(weights / 64)
        return math.ceil(weights / 2) + blocks + 4 * math.ceil(blocks / 256) + 4 * (16 + 256 + 1)

    return sum(linear.count * layer(linear.inputs * linear.outputs) for linear in shape.linears)


def activation_bytes(shape: ModelShape, rank: int | None, tokens: int, checkpointing: bool) -> int:
    """What the backward needs. With checkpointing: every layer's input in bf16, and one layer whole at a time.

    A layer keeps, per token: two norms' input in fp32 and output in bf16 (12 hidden); q, k, v, spread over all heads,
    and the attention's output (8 query); gate, its silu, up, their product (8 intermediate); A's output of each LoRA.
    """
    adapters = 2 * (rank or 0) * sum(linear.count for linear in shape.linears) // shape.layers
    per_layer = 12 * shape.hidden + 8 * shape.query + 8 * shape.intermediate + adapters
    if checkpointing:
        return tokens * (2 * shape.hidden * shape.layers + per_layer)
    return tokens * per_layer * shape.layers


def logit_bytes(shape: ModelShape, tokens: int) -> int:
    """Three copies of a slice of logits in fp32 (raw, log-softmax, gradient), and the gradient of the hidden states.

    As if every token were an answer's: less in fact.
    """
    from sft.policy.answers import SLICE_ELEMENTS

    rows = min(tokens, max(1, SLICE_ELEMENTS // shape.vocab))
    return 3 * 4 * rows * shape.vocab + 4 * tokens * shape.hidden


def require_dev_engine(config: SftConfig) -> None:
    """UserError for a dev.kv_cache_gib that this machine cannot give, or that holds no context."""
    if config.dev.every:
        check_here("dev.kv_cache_gib", config.dev.kv_cache_gib, _served(config, shape_of(config.model.path)))


def format_plan(plan: Plan) -> str:
    """Plain text, a line per figure."""
    config = plan.config
    checkpointing = "on" if config.train.gradient_checkpointing else "off"
    lines = [
        f"{config.model.path}: {config.train.mode} ({config.model.quantization}, {config.model.dtype}) "
        f"on {config.data.benchmark}",
        f"parameters   {plan.parameters:>16,}",
        f"trainable    {plan.trainable:>16,}  ({plan.share:.2%})",
        *_question_lines(plan),
        *part_lines(
            f"memory of a forward of {_batch_tokens(config):,} tokens, gradient checkpointing {checkpointing}, GiB",
            plan.memory,
        ),
        *(part_lines("beside it, for dev evaluation, GiB", plan.engine) if plan.engine else []),
        f"  {'total':<62}{plan.total_gib:>9.3f}",
        _fit_line(plan),
    ]
    return "\n".join(lines)


def part_lines(title: str, parts: Mapping[str, int]) -> Iterator[str]:
    """The title, and a line per part in GiB."""
    yield title
    yield from (f"  {part:<62}{size / GIB:>9.3f}" for part, size in parts.items() if size)


def _question_lines(plan: Plan) -> list[str]:
    found, settings = plan.questions, plan.config.train
    if found is None or plan.steps is None:
        return ["questions: pass --data DIR"]
    lost = f"{found.dropped:,} dropped: longer than {plan.config.model.max_length} tokens"
    how = f"estimated, {_ratio(plan.config)} characters per token" if found.estimated else "counted"
    return [
        f"questions    {found.kept:>16,}  ({lost})",
        f"tokens/epoch {found.tokens:>16,}  ({how})",
        f"steps        {plan.steps:>16,}  ({settings.epochs:g} epochs, {settings.batch_size} questions each)",
    ]


def _fit_line(plan: Plan) -> str:
    if plan.fitting:
        return "fits a GPU of " + ", ".join(map(str, plan.fitting)) + " GiB"
    end = " or set dev.every=0" if plan.engine else ""
    return f"fits no GPU of up to {GPU_SIZES_GIB[-1]} GiB: lower train.token_budget or model.max_length{end}"


def _served(config: SftConfig, shape: ModelShape) -> Served:
    return Served(shape, config.model.dtype, config.dev_length, config.lora.r)


def _trainable(shape: ModelShape, rank: int | None) -> int:
    return shape.parameters if rank is None else shape.adapter_parameters(rank)


def _ratio(config: SftConfig) -> float:
    return CHARACTERS_PER_TOKEN[PromptStyle.parse(config.data.prompt_style).base]


def _batch_tokens(config: SftConfig) -> int:
    """Tokens of the longest forward."""
    return max(config.train.token_budget, config.model.max_length)


if __name__ == "__main__":
    raise SystemExit(main())
