"""The shapes of models: how many weights, in which matrices. From a table of published models, or from a config.json.

No weights are read or made: a local model is built on torch's meta device, where tensors have a shape but no memory.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.errors import UserError

if TYPE_CHECKING:
    import transformers


@dataclass(frozen=True, order=True)
class Linear:
    """`count` linear layers of inputs x outputs weights, the head not among them. Their biases are not counted here."""

    inputs: int
    outputs: int
    count: int

    @property
    def weights(self) -> int:
        return self.inputs * self.outputs * self.count


@dataclass(frozen=True)
class ModelShape:
    """What memory depends on. vocab: rows of the embedding; parameters: all of the base, tied ones once.

    query: width of all attention heads together; linears: sorted, one entry per size.
    """

    hidden: int
    layers: int
    intermediate: int
    query: int
    vocab: int
    parameters: int
    linears: tuple[Linear, ...]

    @property
    def linear_weights(self) -> int:
        return sum(linear.weights for linear in self.linears)

    def adapter_parameters(self, rank: int) -> int:
        """A LoRA on every linear layer: A is rank x inputs, B is outputs x rank."""
        return sum(rank * (linear.inputs + linear.outputs) * linear.count for linear in self.linears)


@dataclass(frozen=True)
class Published:
    """An architecture as its config.json states it.

    vocab: rows of the embedding; fused: one matrix for q, k, v and one for gate, up (Phi-3); qkv_bias: Qwen2.5.
    """

    hidden: int
    layers: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    tied: bool = False
    fused: bool = False
    qkv_bias: bool = False

    @property
    def shape(self) -> ModelShape:
        sizes = self._layer_linears()
        linears = _grouped([size for size in sizes for _ in range(self.layers)])
        bias = (self.heads + 2 * self.kv_heads) * self.head_dim if self.qkv_bias else 0
        per_layer = sum(inputs * outputs for inputs, outputs in sizes) + bias + 2 * self.hidden  # two norms
        embeddings = self.vocab * self.hidden * (1 if self.tied else 2)
        return ModelShape(
            hidden=self.hidden,
            layers=self.layers,
            intermediate=self.intermediate,
            query=self.heads * self.head_dim,
            vocab=self.vocab,
            parameters=self.layers * per_layer + embeddings + self.hidden,  # the last norm
            linears=linears,
        )

    def _layer_linears(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each linear layer of one block."""
        query, key = self.heads * self.head_dim, self.kv_heads * self.head_dim
        outer = [(query, self.hidden), (self.intermediate, self.hidden)]
        if self.fused:
            return [*outer, (self.hidden, query + 2 * key), (self.hidden, 2 * self.intermediate)]
        return [*outer, *[(self.hidden, width) for width in (query, key, key, self.intermediate, self.intermediate)]]


# hidden, layers, intermediate, heads, kv heads, head dim, vocab: from the config.json of each model.
PUBLISHED = {
    "Qwen/Qwen2.5-Coder-1.5B-Instruct": Published(1536, 28, 8960, 12, 2, 128, 151936, tied=True, qkv_bias=True),
    "Qwen/Qwen2.5-Coder-3B-Instruct": Published(2048, 36, 11008, 16, 2, 128, 151936, tied=True, qkv_bias=True),
    "Qwen/Qwen2.5-Coder-7B-Instruct": Published(3584, 28, 18944, 28, 4, 128, 152064, qkv_bias=True),
    "meta-llama/Llama-3.1-8B-Instruct": Published(4096, 32, 14336, 32, 8, 128, 128256),
    "mistralai/Mistral-7B-Instruct-v0.3": Published(4096, 32, 14336, 32, 8, 128, 32768),
    "microsoft/Phi-3-mini-4k-instruct": Published(3072, 32, 8192, 32, 32, 96, 32064, fused=True),
}


def shape_of(path: str) -> ModelShape:
    """The shape of a model on disk, else of a published one. UserError when it is neither."""
    directory = local_directory(path)
    if directory is not None:
        return local_shape(directory)
    if path in PUBLISHED:
        return PUBLISHED[path].shape
    raise UserError(
        f"the model {path} is neither a directory with config.json nor in the local Hugging Face cache, and its shape "
        f"is not known: give such a directory as model.path, or one of {', '.join(PUBLISHED)}"
    )


def local_directory(path: str) -> Path | None:
    """Where the model's config.json lies: the directory `path`, or its place in the Hugging Face cache; else None."""
    directory = Path(path).expanduser()
    if (directory / "config.json").is_file():
        return directory
    if len(directory.parts) != 2 or directory.parts[0] in (".", "..", "/", "~"):
        return None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(path, "config.json")
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, (str, os.PathLike)) else None


def local_shape(directory: Path) -> ModelShape:
    """The shape that config.json describes. UserError when transformers has no causal language model for it."""
    from transformers import AutoConfig

    try:
        return shape_of_config(AutoConfig.from_pretrained(directory))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{directory / 'config.json'} must describe a causal language model: {error}") from error


def shape_of_config(config: transformers.PretrainedConfig) -> ModelShape:
    """Count the model of a transformers config, built on the meta device."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    head = model.get_output_embeddings()
    linears = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head]
    return ModelShape(
        hidden=config.hidden_size,
        layers=config.num_hidden_layers,
        intermediate=config.intermediate_size,
        query=config.num_attention_heads * _head_dim(config),
        vocab=config.vocab_size,
        parameters=sum(value.numel() for value in model.parameters()),
        linears=_grouped([(linear.in_features, linear.out_features) for linear in linears]),
    )


def _head_dim(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _grouped(sizes: list[tuple[int, int]]) -> tuple[Linear, ...]:
    return tuple(sorted(Linear(inputs, outputs, count) for (inputs, outputs), count in Counter(sizes).items()))
