"""What a run is told: frozen pydantic models read from a commented TOML file plus `key.sub=value` overrides.

Unknown keys and impossible values fail at parse; the message names the file, the key, what must hold and the nearest
known key. The resolved config is written beside the run's results.
"""

from __future__ import annotations

import difflib
import json
import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from evaluation.errors import UserError


class Settings(BaseModel):
    """Base of every config section: frozen, no unknown keys, no silent conversion of text to numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class ModelConfig(Settings):
    """The base model and how it is held while it learns."""

    path: str = "sft/tiny"  # a directory in Hugging Face layout, or a name in the local Hugging Face cache
    quantization: Literal["nf4", "none"] = "nf4"  # nf4 = 4-bit NormalFloat with double quantisation
    dtype: Literal["bfloat16", "float32"] = "bfloat16"  # what the weights are computed and served in
    max_length: int = Field(default=1024, ge=16, le=131072)  # prompt + answer, in tokens
    attention: Literal["auto", "flex", "sdpa"] = "auto"  # on a GPU: FlexAttention where it compiles, always, never


class LoraConfig(Settings):
    """The adapter: rank r on every linear layer, scaled by alpha / r."""

    r: Literal[1, 8, 16, 32, 64, 128, 256, 320, 512] = 16  # the ranks that vLLM serves
    alpha: int = Field(default=32, ge=1, le=4096)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)  # must be 0 for RL: noise in the policy ratio


class DataConfig(Settings):
    """Which questions, and how their schema is written."""

    benchmark: str = "tiny"  # tiny | spider | bird
    prompt_style: str = "compact"  # compact | ddl | mschema, with -keys, +graph, +linked: see graph/writer.py
    prompt_budget: int = Field(default=0, ge=0)  # tokens; above them the least relevant columns go; 0 = no limit
    max_examples: int = Field(default=0, ge=0)  # 0 = all; otherwise a subset drawn with run.seed
    checked: str = ""  # a file of `evaluation.check_data --out`: weak golds of the training split are dropped or rarer

    @field_validator("prompt_style")
    @classmethod
    def _style_exists(cls, style: str) -> str:
        from graph.writer import PromptStyle

        return str(PromptStyle.parse(style))


class RunConfig(Settings):
    """Where the run is kept and what its randomness starts from."""

    name: str = Field(default="sft", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    dir: str = "runs"
    seed: int = Field(default=0, ge=0, lt=2**31)
    overwrite: bool = False  # replace a finished run of the same name

    @property
    def path(self) -> Path:
        return Path(self.dir) / self.name

    def clear(self, names: Sequence[str]) -> None:
        """Removes these files and folders of an earlier run of the name, and nothing else."""
        for path in (self.path / name for name in names):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


Mode = Literal["qlora", "lora", "full", "pretrain"]


class SftTrainConfig(Settings):
    """How long and how fast the model learns from gold queries.

    mode: qlora = an adapter on a base in 4 bits; lora = one on a base in model.dtype; full = all weights, kept in fp32
    while they learn; pretrain = all weights, on schemas and queries as plain text.
    """

    mode: Mode = "qlora"
    epochs: float = Field(default=2.0, gt=0, le=1000)
    learning_rate: float = Field(default=2e-4, gt=0, le=1.0)  # peak, after the warm-up
    warmup_ratio: float = Field(default=0.03, ge=0, le=0.5)  # share of the steps; then a cosine to a tenth of the peak
    batch_size: int = Field(default=32, ge=1, le=4096)  # questions per optimizer step
    token_budget: int = Field(default=8192, ge=64)  # tokens per forward: bounds the memory
    together: int = Field(default=4, ge=1, le=4096)  # questions of one database drawn as one: they share its schema
    weight_decay: float = Field(default=0.0, ge=0, le=1.0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    gradient_checkpointing: bool = False  # less memory, about a third slower
    log_every: int = Field(default=10, ge=1)  # steps between two lines of progress and of metrics.jsonl


class AugmentConfig(Settings):
    """Other faces of the schemas while training, see sft/augment.py."""

    level: Literal["none", "light", "moderate", "heavy"] = "none"
    multiplier: float = Field(default=1.0, ge=1, le=100)  # copies of each question, each with a face of its own


class DevConfig(Settings):
    """Dev accuracy while training, by greedy answers of the real engine; the best adapter is the one kept."""

    every: int = Field(default=0, ge=0)  # steps between two evaluations; 0 = none, and the last adapter is kept
    questions: int = Field(default=200, ge=1)  # of the dev split, the same ones each time
    max_tokens: int = Field(default=256, ge=1)  # longest answer
    kv_cache_gib: float = Field(default=0.5, gt=0)  # memory of the engine beside its weights, GiB
    timeout_s: float = Field(default=1800, gt=0)  # longest wait for one evaluation


class SaveConfig(Settings):
    """Checkpoints: the same command goes on from the newest whole one."""

    every: int = Field(default=0, ge=0)  # steps between checkpoints; 0 = none
    keep: int = Field(default=2, ge=1)  # checkpoints kept


class SftConfig(Settings):
    """All that `python -m sft.train` needs."""

    run: RunConfig = RunConfig()
    model: ModelConfig = ModelConfig()
    lora: LoraConfig = LoraConfig()
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    train: SftTrainConfig = SftTrainConfig()
    dev: DevConfig = DevConfig()
    checkpoint: SaveConfig = SaveConfig()

    @model_validator(mode="after")
    def _mode_and_quantization_agree(self) -> SftConfig:
        mode, quantization = self.train.mode, self.model.quantization
        if (mode == "qlora") != (quantization == "nf4"):
            needed = "nf4" if mode == "qlora" else "none"
            raise ValueError(
                f"train.mode = {mode} needs model.quantization = {needed}, got {quantization}: qlora trains an adapter "
                "on a 4-bit base, lora, full and pretrain work on unquantised weights"
            )
        return self

    @model_validator(mode="after")
    def _plain_text_has_no_answers(self) -> SftConfig:
        if self.train.mode == "pretrain" and self.dev.every:
            raise ValueError("dev.every must be 0 with train.mode = pretrain: the model is not taught to answer")
        return self

    @property
    def learns_all(self) -> bool:
        """Whether all weights learn, rather than an adapter."""
        return self.train.mode in ("full", "pretrain")


Config = TypeVar("Config", bound=BaseModel)


def load_config(cls: type[Config], path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read the TOML file, apply `key.sub=value` overrides, and check the whole. Raises UserError.

    A value is TOML (`train.epochs=3`, `model.path="x"`); text that is not TOML is taken as a string.
    """
    values = _read_toml(path)
    for override in overrides:
        _apply(values, override, path)
    return validate(cls, values, str(path))


def validate(cls: type[Config], values: Mapping[str, Any], source: str) -> Config:
    """Build the config from plain values; `source` names them in the UserError."""
    try:
        return cls.model_validate(values)
    except ValidationError as error:
        lines = [_explain(cls, item) for item in error.errors()]
        raise UserError(f"{source}: " + (lines[0] if len(lines) == 1 else "\n  " + "\n  ".join(lines))) from None


def write_resolved(config: BaseModel, run_dir: Path) -> Path:
    """Write run_dir/config.json: every key with the value that the run uses. Returns its path."""
    run_dir.mkdir(parents=True, exist_ok=True)
    target = run_dir / "config.json"
    partial = target.with_suffix(".json.partial")
    partial.write_text(json.dumps(config.model_dump(mode="json"), indent=2) + "\n")
    os.replace(partial, target)
    return target


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(key with its dots, value) of nested settings.

    >>> list(leaves({"steps": 3, "model": {"path": "x"}}))
    [('steps', 3), ('model.path', 'x')]
    """
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def known_keys(cls: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every leaf key with its dots: run.name, train.epochs, …"""
    for name, field in cls.model_fields.items():
        inner = _section(field.annotation)
        if inner is None:
            yield prefix + name
        else:
            yield from known_keys(inner, f"{prefix}{name}.")


def _section(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} must be a TOML file: {error}") from None
    except FileNotFoundError:
        shipped = ", ".join(sorted(str(p) for p in path.parent.glob("*.toml"))) if path.parent.is_dir() else ""
        hint = f"; there are {shipped}" if shipped else ""
        raise UserError(f"the config file {path} does not exist{hint}") from None
    except OSError as error:
        raise UserError(f"the config file {path} cannot be read: {error.strerror}") from None


def _apply(values: dict[str, Any], override: str, path: Path) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise UserError(f"an override must look like train.epochs=3, got {override!r}")
    *sections, leaf = key.strip().split(".")
    place = values
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise UserError(f"{path}: {key} cannot be set: {section} is a value, not a section")
    place[leaf] = _parse_value(text.strip())


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(cls: type[BaseModel], error: Mapping[str, Any]) -> str:
    location = [str(part) for part in error["loc"]]
    key = ".".join(location)
    if error["type"] == "extra_forbidden":
        return f"unknown key {key}{_nearest(key, location[-1], list(known_keys(cls)))}"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{key} must be given"
    if error["type"] == "string_pattern_mismatch":
        message = "must start with a letter or digit and hold only letters, digits, dots, dashes, underscores"
    if isinstance(error["input"], (Mapping, BaseModel)):
        return f"{key}: {message}" if key else message
    message = message.replace("Input should", "must").replace("must a valid", "must be a valid")
    return f"{key} = {error['input']!r}: {message}"


def _nearest(key: str, leaf: str, known: list[str]) -> str:
    sections = sorted({name.split(".")[0] for name in known if "." in name}) if "." not in key else []
    same_leaf = [name for name in known if name.rsplit(".", 1)[-1] == leaf]
    close = same_leaf or difflib.get_close_matches(key, [*sections, *known], n=1, cutoff=0.5)
    if not close:
        leaves = {name.rsplit(".", 1)[-1]: name for name in known}
        close = [leaves[match] for match in difflib.get_close_matches(leaf, list(leaves), n=1, cutoff=0.5)]
    return f"; did you mean {close[0]}?" if close else f"; the keys are {', '.join(known)}"
