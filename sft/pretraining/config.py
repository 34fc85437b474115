"""The settings of the bundled base model's birth."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from sft.config import Settings


class CorpusConfig(Settings):
    """The text: how many schemas, and what share of them are the tiny benchmark's, with questions of their own."""

    documents: int = Field(44000, ge=8, description="documents drawn")
    domain_share: float = Field(0.25, ge=0, le=1, description="share of documents about tiny's own domains")
    questions: int = Field(11, ge=1, description="questions per document")
    tokenizer_documents: int = Field(2400, ge=8, description="documents that the tokenizer is trained on")
    tokenizer_share: float = Field(0.5, ge=0, le=1, description="domain_share of the tokenizer's text")


class ShapeConfig(Settings):
    """The model: a Qwen2 with tied embeddings. The default has 3.9 million parameters, 7.4 MiB in bfloat16."""

    vocab_size: int = Field(2048, ge=512, le=65536, description="tokens that it knows")
    hidden_size: int = Field(256, ge=32, description="width")
    intermediate_size: int = Field(512, ge=32, description="width inside a feed-forward block")
    layers: int = Field(6, ge=1, description="blocks")
    heads: int = Field(8, ge=1, description="attention heads")
    kv_heads: int = Field(2, ge=1, description="heads of keys and values")
    max_positions: int = Field(2048, ge=256, description="longest context, tokens")

    @model_validator(mode="after")
    def _divides(self) -> ShapeConfig:
        if self.hidden_size % (2 * self.heads) or self.heads % self.kv_heads:
            raise ValueError("2 * heads must divide hidden_size, and kv_heads must divide heads")
        return self


class TrainConfig(Settings):
    """The run. A step reads workers * micro_batches * micro_batch documents."""

    max_minutes: float = Field(42, gt=0, description="by then the rates would have fallen to zero at the latest")
    steps: int = Field(7000, ge=1, description="optimizer steps after which the rates would be zero")
    stop_at: float = Field(1.0, gt=0, le=1, description="share of the run after which it ends, the rates not yet zero")
    workers: int = Field(2, ge=1, description="processes of one thread")
    micro_batch: int = Field(4, ge=1, description="documents per forward")
    micro_batches: int = Field(1, ge=1, description="forwards per worker and step")
    muon_rate: float = Field(0.02, gt=0, description="peak learning rate of matrices")
    adam_rate: float = Field(0.01, gt=0, description="peak learning rate of embeddings, norms and biases")
    weight_decay: float = Field(0.05, ge=0, description="decoupled weight decay")
    warmup: float = Field(0.02, ge=0, lt=1, description="share of the run in which the rates rise")
    compile: bool = Field(True, description="torch.compile, which needs a C++ compiler; without it only slower")
    eval_minutes: float = Field(5, gt=0, description="minutes between two measures of exact match")
    save_minutes: float = Field(2, gt=0, description="minutes between two states to go on from")

    @property
    def documents_per_step(self) -> int:
        return self.workers * self.micro_batches * self.micro_batch


class PretrainConfig(Settings):
    """All that `python -m sft.pretraining` needs."""

    command: ClassVar[str] = "sft.pretraining"
    seed: int = Field(0, ge=0, lt=2**31, description="start of all that is random")
    out: str = Field("sft/tiny", description="folder of the model")
    work: str = Field("runs/pretrain", description="folder of the drawn corpus and the log")
    model: ShapeConfig = ShapeConfig()
    corpus: CorpusConfig = CorpusConfig()
    train: TrainConfig = TrainConfig()
