"""Bytes that an RL run holds, by process and part: formulas over a model's shape. No weights are read.

What sft.plan counts for training is taken from there. The engine's parts follow the arguments that `sft/generator.py`
gives to vLLM. Activations, logits and CUDA graphs are estimates that no GPU has confirmed.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from evaluation.errors import UserError
from rl.config import RlConfig
from sft import plan as sft_plan
from sft.adapter import CONFIG, largest_rank, read_config
from sft.config import SftConfig, SftTrainConfig
from sft.generator import snap_rank
from sft.shapes import PUBLISHED, ModelShape, local_directory, shape_of
from sft.stores import is_url

GIB, MIB = 2**30, 2**20
BYTES = {"bfloat16": 2, "float32": 4}
CONTEXT_GIB = sft_plan.CONTEXT_GIB
MOST_ON_CPU = 1_000_000_000  # parameters
GRAPHS_GIB = 0.6  # CUDA graphs of an engine with LoRA
ENGINE_BATCH_TOKENS = 8192  # of one forward of the engine, at least
LIVE_ADAPTERS = 3  # two policy versions, and one on its way
# Resident on a host before the first weight: Python, torch, Ray's worker; with CUDA its libraries and buffers. The
# bundled model's processes had 0.4, 0.4, 1.0 and 0.1 GiB of their own on a CPU, and shared libraries besides.
PROCESS_GIB = {"driver": 1.0, "learner": 1.5, "engine": 2.0, "reward worker": 0.5}
CUDA_HOST_GIB = 2.5
OBJECT_STORE_GIB = 0.25
ROLLOUT_TOKEN_BYTES = 12  # in a Parquet file: an answer's id and its log-probability


def adapter_rank(config: RlConfig) -> int:
    """Rank of init_adapter where it lies on this machine, else lora.r."""
    directory = Path(config.init_adapter)
    if config.init_adapter and (directory / CONFIG).is_file():
        return largest_rank(read_config(directory))
    return config.lora.r


def group_tokens(config: RlConfig) -> int:
    """The longest group once packed: a prompt that just fits, and K answers."""
    answers = config.rollout.samples * config.rollout.max_tokens
    return config.model.max_length - config.rollout.max_tokens + answers


def micro_batch_tokens(config: RlConfig) -> int:
    """A group is never cut, so that one longer than the budget goes alone."""
    return max(config.learner.token_budget, group_tokens(config))


def learner_memory(config: RlConfig, shape: ModelShape) -> dict[str, int]:
    """Bytes by part of one learner rank in its longest micro-batch."""
    rank = adapter_rank(config)
    parts = sft_plan.memory(_as_sft(config, rank), shape)
    if config.learner.kl:
        parts["reference adapter, float32"] = 4 * shape.adapter_parameters(rank)
    return parts


def _as_sft(config: RlConfig, rank: int) -> SftConfig:
    """The training that takes the same memory."""
    train = SftTrainConfig(
        mode="qlora" if config.model.quantization == "nf4" else "lora",
        token_budget=micro_batch_tokens(config),
        gradient_checkpointing=config.learner.gradient_checkpointing,
    )
    return SftConfig(model=config.model, lora=config.lora.model_copy(update={"r": rank}), train=train)


def engine_memory(config: RlConfig, shape: ModelShape, tensor_parallel: int = 1) -> dict[str, int]:
    """Bytes by part of an engine on each of its GPUs. The KV cache is what each GPU gets, not a share."""
    width = BYTES[config.model.dtype]
    tokens = max(ENGINE_BATCH_TOKENS, config.model.max_length)
    per_token = width * (4 * shape.hidden + 2 * shape.query + 3 * shape.intermediate)
    # Raw in model.dtype, then fp32, then its log-softmax: of a sampling step, or of one prompt that the canary scores.
    rows = max(config.engine.max_num_seqs, config.model.max_length)
    adapter = shape.adapter_parameters(snap_rank(adapter_rank(config)))
    return {
        f"weights, {config.model.dtype}": math.ceil(width * shape.parameters / tensor_parallel),
        "KV cache": round(config.engine.kv_cache_gib * GIB),
        f"{LIVE_ADAPTERS} adapter slots, {config.model.dtype}": LIVE_ADAPTERS * width * adapter,
        f"forward of {tokens:,} tokens": tokens * per_token,
        "logits": rows * shape.vocab * (width + 8),
        "CUDA graphs": round(GRAPHS_GIB * GIB),
        "CUDA context": round(CONTEXT_GIB * GIB),
    }


def export_memory(config: RlConfig, shape: ModelShape) -> dict[str, int]:
    """Bytes by part while the served base is made, once per machine, before the engine starts; empty without 4 bits."""
    if config.model.quantization == "none":
        return {}
    width = BYTES[config.model.dtype]
    rest = width * (shape.parameters - shape.linear_weights)
    return {
        f"plain base, {config.model.dtype}": width * shape.parameters,
        "base, NF4": sft_plan.four_bit_bytes(shape) + rest,
        "CUDA context": round(CONTEXT_GIB * GIB),
    }


def kv_bytes_per_token(config: RlConfig, shape: ModelShape) -> int:
    """Keys and values of one token over all layers."""
    directory = local_directory(config.model.path)
    if directory is None:
        published = PUBLISHED[config.model.path]
        width = published.kv_heads * published.head_dim
    else:
        from transformers import AutoConfig

        described = AutoConfig.from_pretrained(directory)
        heads = described.num_attention_heads
        width = shape.query // heads * int(getattr(described, "num_key_value_heads", None) or heads)
    return 2 * shape.layers * width * BYTES[config.model.dtype]


def disk(config: RlConfig, shape: ModelShape) -> dict[str, int]:
    """Bytes by part that a finished run leaves; one more checkpoint is there while a new one is written."""
    rank, width = adapter_rank(config), BYTES[config.model.dtype]
    samples = config.steps * config.rollout.questions * config.rollout.samples * (1 + config.rollout.refills)
    served = 0 if config.model.quantization == "none" else width * shape.parameters
    return {
        f"{config.checkpoint.keep + 1} checkpoints": _checkpoints_bytes(config, shape),
        "rollouts of all steps, at most": samples * config.rollout.max_tokens * ROLLOUT_TOKEN_BYTES,
        "adapter": shape.adapter_parameters(rank) * width,
        "served base (~/.cache/rollsql, on each node with an engine)": served,
    }


def require_gpu_or_small(config: RlConfig) -> None:
    """For a cluster without a GPU: UserError for a base that would need days there."""
    try:
        parameters = shape_of(config.model.path).parameters
    except UserError:
        return
    if parameters > MOST_ON_CPU:
        raise UserError(
            f"the cluster has no GPU, and {config.model.path} has {parameters / 1e9:.1f} billion parameters (without "
            f"one at most {MOST_ON_CPU / 1e9:g} are tried): add a node with a GPU, set RAY_ADDRESS to a cluster that "
            "has one, or choose a smaller model.path"
        )


def require_disk(config: RlConfig) -> None:
    """UserError when a disk has no room for what the run keeps at least. A model of unknown shape is let through."""
    try:
        shape = shape_of(config.model.path)
    except UserError:
        return
    rank = adapter_rank(config)
    adapter = shape.adapter_parameters(rank) * BYTES[config.model.dtype]
    checkpoints = _checkpoints_bytes(config, shape)
    needs = {"run.dir": (config.run.path, adapter)}
    if not config.checkpoint.dir:
        needs = {"run.dir": (config.run.path, adapter + checkpoints)}
    elif not is_url(config.checkpoint.dir):
        needs["checkpoint.dir"] = Path(config.checkpoint_place), checkpoints
    for setting, (path, need) in needs.items():
        path.mkdir(parents=True, exist_ok=True)
        need -= sum(file.stat().st_size for file in path.glob("**/*.safetensors"))  # of the run that is resumed
        if (free := shutil.disk_usage(path).free) < need:
            raise UserError(
                f"{setting}: {path} must have room for {need / MIB:,.1f} MiB more (the adapter, and checkpoint.keep + "
                f"1 = {config.checkpoint.keep + 1} checkpoints; rollouts come on top), but its disk has "
                f"{free / MIB:,.1f} MiB free. Free some, or give another disk: {setting}=…"
            )


def _checkpoints_bytes(config: RlConfig, shape: ModelShape) -> int:
    """Of those kept and of one more; each holds as many older policies as waiting batches are sampled by."""
    rank = adapter_rank(config)
    older = config.rollout.staleness * shape.adapter_parameters(rank) * BYTES[config.model.dtype]
    return (config.checkpoint.keep + 1) * (checkpoint_bytes(shape, rank) + older)


def checkpoint_bytes(shape: ModelShape, rank: int) -> int:
    """fp32 weights; two 8-bit moments with an fp32 scale per 256 values, and two tables of 256 floats per matrix."""
    trainable = shape.adapter_parameters(rank)
    matrices = 2 * sum(linear.count for linear in shape.linears)
    return 4 * trainable + 2 * trainable + 2 * 4 * math.ceil(trainable / 256) + matrices * 2 * 256 * 4
