"""What answers questions: one engine, its base and adapters by name, each with the prompt that it was trained with.

`rl.predict`, `rl.ask` and `rl.serve` start it by the same options, so that they ask the same policy the same way.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.benchmarks import Example
from evaluation.command import at_least, folder
from evaluation.errors import UserError
from graph.grammar import grammar
from graph.introspect import schema_of
from graph.schema import SchemaError
from sft.config import DataConfig, ModelConfig
from sft.policy import provenance
from sft.policy.adapter import largest_rank, read_config
from sft.policy.device import detect
from sft.policy.encoder import PromptEncoder
from sft.policy.engine_memory import Served, kv_cache_gib
from sft.policy.generator import AdapterNotApplied, Generator, GeneratorConfig
from sft.policy.model_files import PROJECT, context_length, local_model
from sft.policy.sampling import Sample
from sft.policy.shapes import local_shape
from sft.settings.file import validate

if TYPE_CHECKING:
    from sft.policy.base import PolicyVersion

BASE = "base"
BUNDLED = "sft/tiny"
SHIPPED = PROJECT / "rl" / "adapters"


@dataclass(frozen=True)
class Policy:
    """name: as a request gives it; step: as the engine knows its adapter, None for the base."""

    name: str
    step: int | None
    encoder: PromptEncoder

    def prompt(self, example: Example) -> list[int]:
        return self.encoder.encode(example)

    def text(self, sample: Sample) -> str:
        """What the model wrote."""
        return str(self.encoder.tokenizer.decode(sample.token_ids, skip_special_tokens=True))


@dataclass(frozen=True)
class Policies:
    """An engine that has started, and all that it answers as; the last one is asked where none is named."""

    generator: Generator
    by_name: Mapping[str, Policy]

    def grammars(self, databases: Sequence[str]) -> list[str] | None:
        """What may be answered about each database, "" where its schema is too large for a grammar or cannot be read;
        None where answers are free."""
        if not self.generator.config.grammars:
            return None
        found = {database: _grammar(database) for database in dict.fromkeys(databases)}
        return [found[database] for database in databases]

    @property
    def default(self) -> Policy:
        return list(self.by_name.values())[-1]

    def named(self, name: str) -> Policy:
        """UserError when there is none of this name."""
        if name and name not in self.by_name:
            raise UserError(f"there is no policy {name[:100]!r} here; there are {', '.join(self.by_name)}")
        return self.by_name[name] if name else self.default

    def close(self) -> None:
        self.generator.close()


def add_options(parser: argparse.ArgumentParser) -> None:
    """How the policy was trained, where that is to be other than its card says."""
    parser.add_argument("--max-tokens", type=at_least(1), default=256, help="longest answer (default 256)")
    parser.add_argument("--max-length", type=at_least(1), help="prompt and answer (default: 1024, or the model's)")
    parser.add_argument("--quantization", choices=("nf4", "none"), help="default: the adapter's, else nf4")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), help="default: the adapter's, else bfloat16")
    parser.add_argument("--prompt-style", help="e.g. mschema+graph; default: the adapter's, else compact")
    parser.add_argument("--prompt-budget", type=at_least(0), help="most tokens of a prompt; default: the adapter's")
    parser.add_argument("--grammar", action="store_true", help="answers are one SELECT with the names of the database")
    parser.add_argument("--seed", type=int, default=0)


def check_model(model: str, adapters: Sequence[Path]) -> None:
    """What can be known before anything slow. UserError."""
    local_model(model)
    for adapter in adapters:
        read_config(adapter)


def named_adapter(text: str) -> tuple[str, Path]:
    """The type of an option NAME=DIR, or DIR alone, which has the name of its run.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     made = Path(place, "tiny-sft", "adapter")
    ...     made.mkdir(parents=True)
    ...     named_adapter(str(made))[0], named_adapter(f"mine={made}")[0]
    ('tiny-sft', 'mine')
    """
    name, given, path = text.partition("=")
    if given and not Path(text).is_dir():
        directory = folder(path)
    else:
        directory = folder(text)
        whole = directory.resolve()
        name = whole.parent.name if whole.name == "adapter" else whole.name
    if name == BASE or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise argparse.ArgumentTypeError(
            f"the adapter's name must be letters, digits, '-', '_' and '.', and not {BASE}, got {name!r}: give NAME=DIR"
        )
    return name, directory


def shipped_adapter(args: argparse.Namespace) -> dict[str, Path]:
    """The adapter that comes with the project for args.model, by its name; none where there is none, or the options ask
    for another base or prompt than it was trained with."""
    from sft.policy.base import fingerprint

    cards = {card.parent: _read_provenance(card.parent) for card in sorted(SHIPPED.glob(f"*/{provenance.FILE}"))}
    asked = {"base_fingerprint": fingerprint(args.model)} if cards else {}
    asked |= {"quantization": args.quantization, "prompt_style": args.prompt_style}
    fitting = (at for at, card in cards.items() if all(value in (None, card.get(key)) for key, value in asked.items()))
    return next(({at.name: at} for at in fitting), {})


@dataclass(frozen=True)
class Recipe:
    """All that an engine is started from; it can travel to another machine, which then needs the base model alone.

    prompts: of each policy by name, its style and its budget; versions: the adapters, in the order of their names.
    """

    model: ModelConfig
    prompts: Mapping[str, tuple[str, int]]
    versions: tuple[PolicyVersion, ...]
    max_tokens: int
    seed: int
    grammars: bool = False

    def start(self, before: Callable[[Policy], None] = lambda policy: None) -> Policies:
        """before: told the policy that is asked by default before the engine starts, to refuse what it cannot answer.
        UserError: an adapter is not of this model."""
        from sft.policy.base import load_tokenizer

        tokenizer, longest = load_tokenizer(self.model.path), self.model.max_length - self.max_tokens
        by_name = {
            name: Policy(name, step or None, PromptEncoder(tokenizer, style, longest, budget))
            for step, (name, (style, budget)) in enumerate(self.prompts.items())
        }
        before(list(by_name.values())[-1])
        return Policies(_engine(self.model, self.versions, self.seed, self.grammars), by_name)


def start(
    args: argparse.Namespace, adapters: Mapping[str, Path], before: Callable[[Policy], None] = lambda policy: None
) -> Policies:
    """The engine that serves args.model with these adapters; args: of `add_options`. As `recipe` and `Recipe.start`."""
    return recipe(args, adapters).start(before)


def recipe(args: argparse.Namespace, adapters: Mapping[str, Path]) -> Recipe:
    """UserError: an adapter is not of this model, or two that cannot be served together."""
    from sft.policy.base import read_adapter  # slow: after the arguments

    names: list[str] = [BASE, *adapters]
    trained = {name: trained_as(args, adapters.get(name)) for name in names}
    if adapters:  # the base is asked as its first adapter is, so that they compare
        trained[BASE] = trained[names[1]]
    models = {name: model for name, (model, _, _) in trained.items()}
    for name, model in models.items():
        if model != models[names[-1]]:
            raise UserError(
                f"adapters of one engine must be trained on the same base: {name} on {model.quantization} in "
                f"{model.dtype}, {names[-1]} on {models[names[-1]].quantization} in {models[names[-1]].dtype}"
            )
    versions: list[PolicyVersion] = []
    for step, (name, adapter) in enumerate(adapters.items(), start=1):
        if SHIPPED not in adapter.parents:  # chosen by its card; checking it would import PEFT, for seconds
            provenance.check(adapter, models[name], trained[name][1])
        versions.append(read_adapter(adapter, step))
    prompts = {name: (style, budget) for name, (_, style, budget) in trained.items()}
    return Recipe(models[BASE], prompts, tuple(versions), args.max_tokens, args.seed, args.grammar)


def trained_as(args: argparse.Namespace, adapter: Path | None) -> tuple[ModelConfig, str, int]:
    """Model settings, prompt style and budget: as given, else as the adapter was trained, else the defaults."""
    from sft.policy.base import model_directory

    directory = model_directory(args.model)
    trained = _read_provenance(adapter or directory)  # a merged or fully trained model has a record of its own
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


def _grammar(database: str) -> str:
    try:
        return grammar(schema_of(database))
    except SchemaError:
        return ""


def _engine(model: ModelConfig, versions: Sequence[PolicyVersion], seed: int, grammars: bool) -> Generator:
    from sft.policy.base import served_base

    device, directory = detect(), served_base(model)
    rank = max((largest_rank(json.loads(version.adapter_config)) for version in versions), default=1)
    live = max(GeneratorConfig.live_versions, len(versions))
    served = Served(local_shape(directory), model.dtype, model.max_length, rank, live_versions=live)
    config = GeneratorConfig(
        model=str(directory),
        dtype=model.dtype,
        max_model_len=model.max_length,
        max_lora_rank=rank,
        kv_cache_gib=kv_cache_gib(served, device.memory_gib),
        seed=seed,
        live_versions=live,
        grammars=grammars,
    )
    print(f"starting the engine on {device.name}", file=sys.stderr, flush=True)
    generator = Generator(config)
    try:
        for version in versions:
            generator.load(version)
    except AdapterNotApplied as error:
        generator.close()
        raise UserError(f"the adapter does not belong to this model: {error}") from error
    return generator
