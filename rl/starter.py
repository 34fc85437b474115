"""Configs that fit a dataset and a model: prompts measured, the rest customary for a model of that size.

Both are TOML with a word on every line, to be edited: `rollsql init` writes them beside the data.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evaluation.benchmarks import Example
from evaluation.errors import UserError
from rl.config import RlConfig
from sft.config import SftConfig
from sft.policy.adapter import read_config
from sft.policy.model_files import PROJECT, context_length, local_model
from sft.policy.provenance import FILE as CARD
from sft.settings.file import validate

BUNDLED = "sft/tiny"
SAMPLES = 8
MODEL_LINE = "path = {model}  # base model: a folder, or a name on the Hugging Face hub"


@dataclass(frozen=True)
class Size:
    """What is customary for models of up to `parameters`, the bundled one apart.

    prompt: tokens above which only linked tables are shown; seen: training questions, repeats included, that SFT takes.
    """

    parameters: float
    mode: str
    quantization: str
    r: int
    sft_rate: float
    rl_rate: float
    seen: int
    rl_questions: int
    rl_steps: int
    token_budget: int
    kv_cache_gib: float
    prompt: int


TINY = Size(1e7, "qlora", "nf4", 16, 2e-3, 3e-3, 2000, 64, 30, 6144, 0.25, 1024)
SIZES = (
    TINY,
    Size(1e9, "lora", "none", 32, 4e-4, 2e-4, 1500, 16, 60, 4096, 1.0, 2048),
    Size(math.inf, "qlora", "nf4", 32, 2e-4, 1e-4, 1500, 32, 100, 8192, 4.0, 3072),
)


@dataclass(frozen=True)
class Prompts:
    """Prompts in one style, and answers, in tokens. estimated: the tokenizer is not on this disk."""

    style: str
    budget: int
    mean: float
    longest: int
    answer: int
    estimated: bool = False

    @property
    def answer_room(self) -> int:
        """rollout.max_tokens: answers get longer than golds before they get better."""
        return max(64, _up(1.5 * self.answer, 16))


@dataclass(frozen=True)
class Start:
    """What training begins with. model: as the config names it; adapter: "" for a new one; card: its rollsql.json."""

    model: str
    adapter: str
    lora: dict[str, int]
    card: dict[str, Any]
    size: Size


def start(model: str, adapter: Path | None) -> Start:
    """UserError: a model or an adapter that is not there, or an adapter made with another base."""
    found = local_model(model)
    bundled = found is not None and found.resolve() == PROJECT / BUNDLED
    name = BUNDLED if bundled else str(found.resolve()) if found else model
    size = TINY if bundled else _size(model)
    if adapter is None:
        return Start(name, "", {"r": size.r, "alpha": 2 * size.r}, {}, size)
    config = read_config(adapter)
    card = json.loads((adapter / CARD).read_text(encoding="utf-8")) if (adapter / CARD).is_file() else {}
    quantization = card.get("quantization", size.quantization)
    size = replace(size, quantization=quantization, mode="qlora" if quantization == "nf4" else "lora")
    lora = {"r": int(config["r"]), "alpha": int(config["lora_alpha"])}
    return Start(name, str(adapter.resolve()), lora, card, size)


def measured(start: Start, examples: Sequence[Example]) -> Prompts:
    """The prompts of all questions: every table where that is short enough, else the linked ones, else fewer columns.

    UserError: the model's context does not hold a prompt at all.
    """
    found = local_model(start.model)
    context = (found and context_length(found)) or 4096
    if start.card:
        return _measured(start, examples, start.card["prompt_style"], int(start.card.get("prompt_budget", 0)))
    whole = _measured(start, examples, "compact", 0)
    room = min(start.size.prompt, context - whole.answer_room)
    if room < 128:
        raise UserError(f"the model {start.model} must have room for a prompt, its context is {context} tokens")
    if whole.longest <= room:
        return whole
    linked = _measured(start, examples, "compact+linked", 0)
    return linked if linked.longest <= room else _measured(start, examples, "compact+linked", room)


def _measured(start: Start, examples: Sequence[Example], style: str, budget: int) -> Prompts:
    from sft.plan import CHARACTERS_PER_TOKEN, EstimatedTokenizer
    from sft.policy.base import load_tokenizer
    from sft.policy.encoder import PromptEncoder
    from sft.policy.shapes import local_directory

    directory = local_directory(start.model)
    known = directory is not None and (directory / "tokenizer_config.json").is_file()
    tokenizer: Any = load_tokenizer(str(directory)) if known else EstimatedTokenizer(CHARACTERS_PER_TOKEN["compact"])
    if known:
        tokenizer.model_max_length = 10**9  # no warning of long prompts: they are what is looked for
    encoder = PromptEncoder(tokenizer, style, budget=budget)
    prompts = [len(encoder.encode(example)) for example in examples]
    answers = [len(encoder.completion_ids(example.gold_sql)) for example in examples]
    return Prompts(style, budget, sum(prompts) / len(prompts), max(prompts), max(answers), not known)


def _size(model: str) -> Size:
    from sft.policy.shapes import shape_of

    try:
        parameters = shape_of(model).parameters
    except UserError:  # on the hub, and not yet here
        return SIZES[-1]
    return next(size for size in SIZES[1:] if parameters <= size.parameters)


def _up(number: float, step: int) -> int:
    return math.ceil(number / step) * step


def configs(name: str, folder: Path, start: Start, prompts: Prompts, train: int) -> dict[str, str]:
    """File name -> text of the configs of SFT and RL. train: the number of training questions.

    UserError: the adapter to begin with has a rank that is not trained here.
    """
    size = start.size
    values = {
        "name": name,
        "folder": _toml(str(folder)),
        "runs": _toml(str(folder / "runs")),
        "model": _toml(start.model),
        "start": _toml(start.adapter),
        "sft_adapter": _toml(str(folder / "runs" / f"{name}-sft" / "adapter")),
        "longest": prompts.longest,
        "answer": prompts.answer,
        "sft_length": _up(prompts.longest + prompts.answer, 64),
        "rl_length": _up(prompts.longest + prompts.answer_room, 64),
        "max_tokens": prompts.answer_room,
        "style": _toml(prompts.style),
        "budget": prompts.budget,
        "epochs": max(1, min(20, round(size.seen / train))),
        "batch": min(32, train),
        "questions": min(size.rl_questions, train),
        "samples": SAMPLES,
        "group": _up(prompts.longest + SAMPLES * prompts.answer_room, 64),
        **start.lora,
        **{
            key: getattr(size, key)
            for key in ("mode", "quantization", "sft_rate", "rl_rate", "rl_steps", "kv_cache_gib")
        },
        "token_budget": max(size.token_budget, _up(prompts.longest + prompts.answer, 64)),
        "rl_budget": max(size.token_budget, _up(prompts.longest + SAMPLES * prompts.answer_room, 64)),
    }
    texts = {"sft.toml": _aligned(_SFT.format_map(values)), "rl.toml": _aligned(_RL.format_map(values))}
    validate(SftConfig, tomllib.loads(texts["sft.toml"]), "sft.toml")  # an adapter may have what we do not train
    validate(RlConfig, tomllib.loads(texts["rl.toml"]), "rl.toml")
    return texts


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _aligned(text: str) -> str:
    """Comments of a section in one column."""
    sections = []
    for section in text.split("\n\n"):
        lines = [line.partition("  # ") for line in section.split("\n")]
        width = max((len(code) for code, mark, _ in lines if mark and len(code) < 60), default=0)
        sections.append("\n".join(f"{code:{width}}{mark}{note}" if mark else code for code, mark, note in lines))
    return "\n\n".join(sections)


_SFT = """\
# SFT on {name}: learn from the gold queries in train.jsonl.
init_adapter = {start}  # adapter to go on from; empty: a new one

[run]
name = "{name}-sft"  # its folder in dir
dir = {runs}  # all runs on this data
seed = 0  # order of the questions, first values of the adapter

[model]
path = {model}  # base model: a folder, or a name on the Hugging Face hub
quantization = "{quantization}"  # nf4: the base in 4 bits; none: in dtype
dtype = "bfloat16"  # computed and served in this precision
max_length = {sft_length}  # tokens: the longest prompt here has {longest}, the longest answer {answer}

[lora]
r = {r}  # rank of the update of every linear layer
alpha = {alpha}  # its scale is alpha / r

[data]
benchmark = "own"  # train.jsonl and dev.jsonl in the folder of --data
prompt_style = {style}  # how the schema is written; +linked: only what the question is about
prompt_budget = {budget}  # most tokens of a prompt; 0: no limit

[train]
mode = "{mode}"  # qlora: an adapter on a 4-bit base; lora: on a plain one
epochs = {epochs}  # passes over the training questions
learning_rate = {sft_rate:g}  # peak
warmup_ratio = 0.05  # then a cosine to a tenth
batch_size = {batch}  # questions per optimizer step
together = 16  # of them drawn as one: they share a copy of the schema
token_budget = {token_budget}  # tokens per forward: bounds the memory
log_every = 5  # steps between two lines of progress

[checkpoint]
every = 50  # steps; the same command goes on from the newest one
"""
_RL = """\
# RL on {name}: learn from what the model's own queries return when they are executed.
steps = {rl_steps}  # updates of the policy
init_adapter = {sft_adapter}  # made by SFT with sft.toml

[run]
name = "{name}-rl"  # its folder in dir
dir = {runs}  # all runs on this data
seed = 0  # start of all that is random

[model]
path = {model}  # as in SFT
quantization = "{quantization}"  # as in SFT
dtype = "bfloat16"  # as in SFT
max_length = {rl_length}  # tokens: the longest prompt here has {longest}, beside it max_tokens

[lora]
r = {r}  # as in SFT
alpha = {alpha}  # as in SFT

[data]
benchmark = "own"  # train.jsonl and dev.jsonl in the folder of --data
prompt_style = {style}  # as in SFT
prompt_budget = {budget}  # as in SFT

[rollout]
questions = {questions}  # per step
samples = {samples}  # answers to each
temperature = 1.0  # of sampling
max_tokens = {max_tokens}  # longest answer; the longest gold here has {answer}

[engine]
kv_cache_gib = {kv_cache_gib:g}  # memory of the engine beside its weights

[reward]
workers = 1  # processes that execute queries

[learner]
learning_rate = {rl_rate:g}  # peak
warmup_steps = 3  # then linearly to a tenth
token_budget = {rl_budget}  # tokens per forward: bounds the memory; a longest group has {group}

[evaluation]
samples = 8  # answers to each dev question at the end, beside the greedy one

[checkpoint]
every = 10  # steps; the same command goes on from the newest one
"""
