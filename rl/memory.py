"""Bytes that an RL run holds, by process and part: formulas over a model's shape. No weights are read.

What the learner holds is counted as in sft.plan, what the engine holds in `sft/policy/engine_memory.py`.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from cluster.resources import machine
from evaluation.errors import UserError
from rl.algorithms import algorithm
from rl.config import RlConfig
from sft.plan import PROCESS_GIB as LEARNER_GIB
from sft.plan import adamw_bytes, base_bytes, training_memory
from sft.policy.adapter import CONFIG, largest_rank, read_config
from sft.policy.engine_memory import BYTES, Served, check_here
from sft.policy.shapes import ModelShape, shape_of
from sft.policy.stores import is_url

MIB = 1 << 20
MOST_ON_CPU = 1_000_000_000  # parameters
# Resident on a host before the first weight. The bundled model's processes had 0.4, 0.4, 1.0 and 0.1 GiB of their own
# on a CPU, and shared libraries besides.
PROCESS_GIB = {"driver": 1.0, "learner": LEARNER_GIB, "engine": 2.0, "reward worker": 0.5}
LEAST_STORE = 256 * MIB


def adapter_rank(config: RlConfig) -> int:
    """Rank of init_adapter where it lies on this machine, else lora.r."""
    directory = Path(config.init_adapter)
    if config.init_adapter and (directory / CONFIG).is_file():
        return largest_rank(read_config(directory))
    return config.lora.r


def known_shape(config: RlConfig) -> ModelShape | None:
    """None: the model is neither here nor published, and its checks are left to the run."""
    try:
        return shape_of(config.model.path)
    except UserError:
        return None


def group_tokens(config: RlConfig) -> int:
    """The longest group once packed: a prompt that just fits, and K answers."""
    answers = max(config.rollout.samples, config.rollout.grow_to) * config.rollout.max_tokens
    return config.model.max_length - config.rollout.max_tokens + answers


def micro_batch_tokens(config: RlConfig) -> int:
    """A group is never cut, so that one longer than the budget goes alone."""
    return max(config.learner.token_budget, group_tokens(config))


def learner_memory(config: RlConfig, shape: ModelShape) -> dict[str, int]:
    """Bytes by part of one learner rank in its longest micro-batch."""
    rank, checkpointing = adapter_rank(config), config.learner.gradient_checkpointing
    parts = training_memory(shape, config.model, rank, micro_batch_tokens(config), checkpointing)
    made, adapter = algorithm(config.algorithm).of(config), 4 * shape.adapter_parameters(rank)
    if made.reference:
        parts["reference adapter, float32"] = adapter
    if config.reward.model:
        parts["reward model's adapter, float32"] = adapter
    if critic := critic_parameters(config, shape):
        parts["critic, float32, with gradients"] = 8 * critic
        parts["8-bit AdamW states of the critic"] = adamw_bytes(critic)
    return parts | (teacher_memory(config, shape) if made.teacher else {})


def critic_parameters(config: RlConfig, shape: ModelShape) -> int:
    """A second adapter, and a value head with its bias; 0 without a critic."""
    critic = algorithm(config.algorithm).critic
    return shape.adapter_parameters(adapter_rank(config)) + shape.hidden + 1 if critic else 0


def teacher_memory(config: RlConfig, shape: ModelShape) -> dict[str, int]:
    """An adapter on the learner's base, or a frozen model held as that is."""
    path, model = config.learner.teacher, config.model
    if (Path(path) / CONFIG).is_file():
        return {"teacher's adapter, float32": 4 * shape.adapter_parameters(largest_rank(read_config(Path(path))))}
    parts = base_bytes(shape_of(path), model.quantization == "nf4", model.dtype)
    return {f"teacher's {part}": size for part, size in parts.items()}


def live_versions(config: RlConfig) -> int:
    """Policies that an engine serves at once: those of waiting batches, the newest, and the one before it."""
    return config.rollout.staleness + 2


def served(config: RlConfig, shape: ModelShape) -> Served:
    """What each engine of the run serves."""
    engine, model = config.engine, config.model
    rank, live = adapter_rank(config), live_versions(config)
    return Served(shape, model.dtype, model.max_length, rank, engine.max_num_seqs, live, engine.tensor_parallel)


def object_store_bytes(config: RlConfig, shape: ModelShape) -> int:
    """What Ray's object store must hold: after each step the learner's state goes to the driver, which has the one
    before it still, and an adapter to the engines, which may not all have fetched the last ones. As much again is left
    for groups on their way. Beyond its size Ray goes on by way of the disk, many times slower."""
    rank = adapter_rank(config)
    adapter = shape.adapter_parameters(rank) * BYTES[config.model.dtype]
    state = checkpoint_bytes(shape, rank, critic_parameters(config, shape))
    return LEAST_STORE + 2 * state + (live_versions(config) + 1) * adapter


def object_store_mib(config: RlConfig) -> int:
    """Of a Ray started here, MiB: as planned, within half of the machine's memory."""
    shape = known_shape(config)
    planned = object_store_bytes(config, shape) if shape else LEAST_STORE
    return max(LEAST_STORE, min(planned, machine().memory_bytes // 2)) // MIB


def require_kv_cache(config: RlConfig) -> None:
    """UserError for an engine.kv_cache_gib that this machine cannot give, or that holds no context. A cluster elsewhere
    is not looked into, and a model of unknown shape is let through."""
    if shape := known_shape(config):
        check_here("engine.kv_cache_gib", config.engine.kv_cache_gib, served(config, shape))


def require_gpu_or_small(config: RlConfig) -> None:
    """For a cluster without a GPU: UserError for a base that would need days there."""
    shape = known_shape(config)
    if shape and (parameters := shape.parameters) > MOST_ON_CPU:
        raise UserError(
            f"the cluster has no GPU, and {config.model.path} has {parameters / 1e9:.1f} billion parameters (without "
            f"one at most {MOST_ON_CPU / 1e9:g} are tried): add a node with a GPU, set RAY_ADDRESS to a cluster that "
            "has one, or choose a smaller model.path"
        )


def require_disk(config: RlConfig) -> None:
    """UserError when a disk has no room for what the run keeps at least. A model of unknown shape is let through."""
    if not (shape := known_shape(config)):
        return
    rank = adapter_rank(config)
    adapter = shape.adapter_parameters(rank) * BYTES[config.model.dtype]
    checkpoints = checkpoints_bytes(config, shape)
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


def checkpoints_bytes(config: RlConfig, shape: ModelShape) -> int:
    """Of those kept and of one more; each holds as many older policies as waiting batches are sampled by."""
    rank = adapter_rank(config)
    older = config.rollout.staleness * shape.adapter_parameters(rank) * BYTES[config.model.dtype]
    return (config.checkpoint.keep + 1) * (checkpoint_bytes(shape, rank, critic_parameters(config, shape)) + older)


def checkpoint_bytes(shape: ModelShape, rank: int, critic: int = 0) -> int:
    """fp32 weights; two 8-bit moments with an fp32 scale per 256 values, and two tables of 256 floats per matrix.

    critic: its parameters.
    """
    trainable = shape.adapter_parameters(rank) + critic
    matrices = (4 if critic else 2) * sum(linear.count for linear in shape.linears)
    return 4 * trainable + 2 * trainable + 2 * 4 * math.ceil(trainable / 256) + matrices * 2 * 256 * 4
