"""The settings of sft.train, and the sections shared with rl.train: frozen, each with default, range and meaning."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cluster.needs import Use
from evaluation.benchmarks import named


@dataclass(frozen=True)
class NamesFile:
    """Of a setting that is a path: what the run does with it, for cluster/needs.py."""

    use: Use


ReadFile = Annotated[str, NamesFile("read")]
WrittenFile = Annotated[str, NamesFile("written")]
ModelFile = Annotated[str, NamesFile("model")]


class Settings(BaseModel):
    """Base of every config section: frozen, no unknown keys, no silent conversion of text to numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=(), strict=True)
    command: ClassVar[str] = ""
    """What reads a file of these settings, as sft.train; "" for a section."""


class ModelConfig(Settings):
    """The base model and how it is held while it learns."""

    path: ModelFile = Field("sft/tiny", description="directory in Hugging Face layout, or name of a model on the Hub")
    quantization: Literal["nf4", "none"] = Field("nf4", description="nf4: 4-bit NormalFloat, doubly quantised")
    dtype: Literal["bfloat16", "float32"] = Field("bfloat16", description="what it is computed and served in")
    max_length: int = Field(1024, ge=16, le=131072, description="prompt and answer together, tokens")
    attention: Literal["auto", "flex", "sdpa"] = Field(
        "auto", description="on a GPU, FlexAttention: auto where it compiles, flex always, sdpa never"
    )


class LoraConfig(Settings):
    """The adapter: rank r on every linear layer, scaled by alpha / r."""

    r: Literal[1, 8, 16, 32, 64, 128, 256, 320, 512] = Field(16, description="rank; those that vLLM serves")
    alpha: int = Field(32, ge=1, le=4096, description="the update counts alpha / r")
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="of its inputs; 0 in RL, or it is noise in the ratio")


class DataConfig(Settings):
    """Which questions, and how their schema is written."""

    benchmark: str = Field("tiny", description="tiny is bundled; own, spider, …; or package.module:LAYOUT")
    prompt_style: str = Field(
        "compact", description="compact, ddl, mschema or package.module:function, then [-keys][+graph][+linked]"
    )
    prompt_budget: int = Field(0, ge=0, description="most tokens; the least relevant columns go; 0 = no limit")
    shots: int = Field(0, ge=0, le=16, description="solved training questions in each prompt, the most similar ones")
    synthetic_rows: int = Field(0, ge=0, le=1000, description="made-up rows a table where a dataset has none; 0: no")
    max_examples: int = Field(0, ge=0, description="questions, drawn with run.seed; 0 = all")
    checked: ReadFile = Field("", description="file of evaluation.check_data --out: bad golds go, weak ones are rarer")

    @field_validator("benchmark")
    @classmethod
    def _layout_exists(cls, benchmark: str) -> str:
        named(benchmark)
        return benchmark

    @field_validator("prompt_style")
    @classmethod
    def _style_exists(cls, style: str) -> str:
        from graph.writer import PromptStyle

        return str(PromptStyle.parse(style))


NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""What can name a folder."""


class RunConfig(Settings):
    """Where the run is kept and what its randomness starts from."""

    name: str = Field("sft", pattern=NAME, description="its folder in run.dir")
    dir: WrittenFile = Field("runs", description="folder of all runs")
    seed: int = Field(0, ge=0, lt=2**31, description="start of all that is random")
    overwrite: bool = Field(False, description="replace an earlier run of the same name")
    report_to: tuple[Literal["trackio", "wandb", "mlflow"], ...] = Field(
        (), strict=False, description="trackers, by their own packages, that get the figures beside TensorBoard"
    )

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

    mode: Mode = Field("qlora", description="what learns: an adapter (qlora, lora), or all weights (full, pretrain)")
    epochs: float = Field(2.0, gt=0, le=1000, description="passes over the questions")
    learning_rate: float = Field(2e-4, gt=0, le=1.0, description="peak, after the warm-up")
    warmup_ratio: float = Field(0.03, ge=0, le=0.5, description="share of the steps; then a cosine to a tenth")
    batch_size: int = Field(32, ge=1, le=4096, description="questions per optimizer step")
    token_budget: int = Field(8192, ge=64, description="tokens per forward: bounds the memory")
    together: int = Field(4, ge=1, le=4096, description="questions of a database drawn as one: they share its schema")
    spelling: Literal["given", "canonical"] = Field("given", description="of the golds: as published, or one for all")
    ranks: int = Field(1, ge=1, le=64, description="processes that share each step, a GPU each")
    weight_decay: float = Field(0.0, ge=0, le=1.0, description="decoupled weight decay")
    max_grad_norm: float = Field(1.0, gt=0, description="gradient clipping")
    gradient_checkpointing: bool = Field(False, description="less memory, about a third slower")
    log_every: int = Field(10, ge=1, description="steps between two lines of progress and of metrics.jsonl")


class AugmentConfig(Settings):
    """Other faces of the schemas while training, see sft/augment.py."""

    level: Literal["none", "light", "moderate", "heavy"] = Field("none", description="how much a face differs")
    multiplier: float = Field(1.0, ge=1, le=100, description="copies of each question, each with a face of its own")


class DevConfig(Settings):
    """Dev accuracy while training, by greedy answers of the real engine; the best adapter is the one kept."""

    every: int = Field(0, ge=0, description="steps between evaluations; 0 = none, and the last adapter is kept")
    questions: int = Field(200, ge=1, description="of the dev split, the same ones each time")
    max_tokens: int = Field(256, ge=1, description="longest answer, tokens")
    kv_cache_gib: float = Field(0.5, gt=0, description="memory of the engine beside its weights, GiB")
    timeout_s: float = Field(1800, gt=0, description="longest wait for one evaluation, seconds")


class SaveConfig(Settings):
    """Checkpoints: the same command goes on from the newest whole one."""

    every: int = Field(0, ge=0, description="steps between checkpoints; 0 = none")
    keep: int = Field(2, ge=1, description="checkpoints kept")


class SftConfig(Settings):
    """All that `python -m sft.train` needs."""

    command: ClassVar[str] = "sft.train"
    init_adapter: ReadFile = Field("", description="adapter to begin with; empty begins with a new one")
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

    @model_validator(mode="after")
    def _an_adapter_learns_on(self) -> SftConfig:
        if self.init_adapter and self.learns_all:
            raise ValueError(
                f"init_adapter needs train.mode = qlora or lora, got {self.train.mode}: merge the adapter into its "
                "base (python -m sft.merge), and give that as model.path"
            )
        return self

    @property
    def dev_length(self) -> int:
        """Tokens of a dev question: after a prompt as long as any that is learned there is room for an answer."""
        return self.model.max_length + self.dev.max_tokens

    @property
    def learns_all(self) -> bool:
        """Whether all weights learn, rather than an adapter."""
        return self.train.mode in ("full", "pretrain")
