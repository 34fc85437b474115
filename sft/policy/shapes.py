"""The shapes of models: how many weights, in which matrices.

No weights are read or made: a model is built on torch's meta device, where tensors have a shape but no memory.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.errors import UserError
from sft.policy.model_files import shipped

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

    query: width of all attention heads together; key: of all heads that hold keys, as wide as those of the values;
    linears: sorted, one entry per size.
    """

    hidden: int
    layers: int
    intermediate: int
    query: int
    key: int
    vocab: int
    parameters: int
    linears: tuple[Linear, ...]

    @property
    def linear_weights(self) -> int:
        return sum(linear.weights for linear in self.linears)

    @property
    def largest_linear(self) -> int:
        """Weights of the largest linear layer: bitsandbytes de-quantises one at a time."""
        return max((linear.inputs * linear.outputs for linear in self.linears), default=0)

    def adapter_parameters(self, rank: int) -> int:
        """A LoRA on every linear layer: A is rank x inputs, B is outputs x rank."""
        return sum(rank * (linear.inputs + linear.outputs) * linear.count for linear in self.linears)


# Of models that need not be on this disk: the type and these settings of each one's config.json.
SETTINGS = (
    "hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads", "num_key_value_heads", "vocab_size",
    "tie_word_embeddings",
)  # fmt: skip
PUBLISHED: dict[str, tuple[str, tuple[int, ...]]] = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": ("llama", (576, 30, 1536, 9, 3, 49152, True)),
    "Qwen/Qwen2.5-Coder-0.5B-Instruct": ("qwen2", (896, 24, 4864, 14, 2, 151936, True)),
    "Qwen/Qwen2.5-Coder-1.5B-Instruct": ("qwen2", (1536, 28, 8960, 12, 2, 151936, True)),
    "Qwen/Qwen2.5-Coder-3B-Instruct": ("qwen2", (2048, 36, 11008, 16, 2, 151936, True)),
    "Qwen/Qwen2.5-Coder-7B-Instruct": ("qwen2", (3584, 28, 18944, 28, 4, 152064, False)),
    "meta-llama/Llama-3.1-8B-Instruct": ("llama", (4096, 32, 14336, 32, 8, 128256, False)),
    "mistralai/Mistral-7B-Instruct-v0.3": ("mistral", (4096, 32, 14336, 32, 8, 32768, False)),
    "microsoft/Phi-3-mini-4k-instruct": ("phi3", (3072, 32, 8192, 32, 32, 32064, False)),
}


@cache
def published_shape(name: str) -> ModelShape:
    """The shape of one of PUBLISHED."""
    from transformers import AutoConfig

    kind, values = PUBLISHED[name]
    return shape_of_config(AutoConfig.for_model(kind, pad_token_id=0, **dict(zip(SETTINGS, values, strict=True))))


def shape_of(path: str) -> ModelShape:
    """The shape of a model on disk, else of a published one. UserError when it is neither."""
    directory = local_directory(path)
    if directory is not None:
        return local_shape(directory)
    if path in PUBLISHED:
        return published_shape(path)
    raise UserError(
        f"the model {path} is neither a directory with config.json nor in the local Hugging Face cache, and its shape "
        f"is not known: give such a directory as model.path, or one of {', '.join(PUBLISHED)}"
    )


def local_directory(path: str) -> Path | None:
    """Where the model's config.json lies: the directory `path`, or its place in the Hugging Face cache; else None."""
    directory = shipped(Path(path).expanduser())
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
        return shape_of_config(AutoConfig.from_pretrained(directory, trust_remote_code=False))
    except Exception as error:  # whatever an architecture raises that is not known, not causal, lacks a library …
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise UserError(f"{directory / 'config.json'} must describe a causal language model: {why}") from error


def shape_of_config(config: transformers.PretrainedConfig) -> ModelShape:
    """Count the language model of a transformers config, built on the meta device.

    Architectures name their sizes differently, or not at all: what the config does not say is read off the layers.
    """
    import torch
    from transformers import AutoModelForCausalLM

    config = config.get_text_config()
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    sizes = _linear_sizes(model)
    vocab, width = model.get_input_embeddings().weight.shape
    hidden = _number(config, "hidden_size") or width
    heads = _number(config, "num_attention_heads") or 1
    head = _number(config, "head_dim") or hidden // heads
    return ModelShape(
        hidden=hidden,
        layers=_number(config, "num_hidden_layers") or _most_layers(model),
        intermediate=_number(config, "intermediate_size", "ffn_dim", "ffn_hidden_size", "n_inner")
        or max((inputs for inputs, outputs in sizes if outputs == hidden), default=4 * hidden),
        query=heads * head,
        key=min(heads, _key_heads(config) or heads) * head,
        vocab=vocab,
        parameters=sum(value.numel() for value in model.parameters()),
        linears=_grouped(sizes),
    )


def _linear_sizes(model: transformers.PreTrainedModel) -> list[tuple[int, int]]:
    """(inputs, outputs) of each linear layer but the head; GPT-2 has them as convolutions of width 1."""
    import torch
    from transformers.pytorch_utils import Conv1D

    head, found = model.get_output_embeddings(), []
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear) and layer is not head:
            found.append((layer.in_features, layer.out_features))
        elif isinstance(layer, Conv1D):
            found.append((layer.weight.shape[0], layer.weight.shape[1]))
    return found


def _key_heads(config: Any) -> int | None:
    """Heads that hold keys; multi-query attention (Falcon-7B, StarCoder) has one, and may name another number."""
    if getattr(config, "multi_query", False) and not getattr(config, "new_decoder_architecture", False):
        return 1
    return _number(config, "num_key_value_heads", "num_kv_heads")


def _number(config: Any, *names: str) -> int | None:
    """The first of these settings that is a positive whole number."""
    values = (getattr(config, name, None) for name in names)
    return next((value for value in values if type(value) is int and value > 0), None)


def _most_layers(model: Any) -> int:
    import torch

    return max((len(layers) for layers in model.modules() if isinstance(layers, torch.nn.ModuleList)), default=1)


def _grouped(sizes: list[tuple[int, int]]) -> tuple[Linear, ...]:
    return tuple(sorted(Linear(inputs, outputs, count) for (inputs, outputs), count in Counter(sizes).items()))
