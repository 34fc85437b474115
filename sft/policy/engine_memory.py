"""Bytes that an engine holds, and the KV cache that there is room for: arithmetic over a model's shape.

The parts follow the arguments that `sft/policy/generator.py` gives to vLLM. Those of a forward, of logits and of CUDA
graphs are estimates that no GPU has confirmed.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace

from cluster.fit import GIB, USABLE
from cluster.resources import gpu_memory, machine
from evaluation.errors import UserError
from sft.policy.adapter import snap_rank
from sft.policy.device import detect
from sft.policy.generator import GeneratorConfig
from sft.policy.shapes import ModelShape

BYTES = {"bfloat16": 2, "float32": 4}
CONTEXT_GIB = 0.8  # what CUDA, cuBLAS and bitsandbytes hold before the first weight
GRAPHS_GIB = 0.6  # CUDA graphs of an engine with LoRA
BATCH_TOKENS = 8192  # of one forward, at least
ON_CPU_GIB = 0.5


@dataclass(frozen=True)
class Served:
    """What an engine is asked to serve; shards: GPUs that divide the weights (engine.tensor_parallel)."""

    shape: ModelShape
    dtype: str
    max_length: int
    rank: int
    sequences: int = GeneratorConfig.max_num_seqs
    live_versions: int = GeneratorConfig.live_versions
    shards: int = 1

    @property
    def weights(self) -> int:
        """Bytes on each GPU."""
        return math.ceil(BYTES[self.dtype] * self.shape.parameters / self.shards)

    @property
    def kv_token(self) -> int:
        """Bytes of keys and values of one token over all layers."""
        return 2 * self.shape.layers * self.shape.key * BYTES[self.dtype]


def engine_memory(served: Served, kv_cache_gib: float) -> dict[str, int]:
    """Bytes by part on each of its GPUs. The KV cache is what each GPU gets, not a share."""
    shape, width = served.shape, BYTES[served.dtype]
    tokens = max(BATCH_TOKENS, served.max_length)
    per_token = width * (4 * shape.hidden + 2 * shape.query + 3 * shape.intermediate)
    slots = served.live_versions + 1  # a new version is registered before the oldest is dropped
    # Raw in the model's dtype, then fp32, then its log-softmax: of a sampling step, or of one prompt that is scored.
    rows = max(served.sequences, served.max_length)
    return {
        f"weights, {served.dtype}": served.weights,
        "KV cache": round(kv_cache_gib * GIB),
        f"{slots} adapter slots, {served.dtype}": slots * width * shape.adapter_parameters(snap_rank(served.rank)),
        f"forward of {tokens:,} tokens": tokens * per_token,
        "logits": rows * shape.vocab * (width + 8),
        "CUDA graphs": round(GRAPHS_GIB * GIB),
        "CUDA context": round(CONTEXT_GIB * GIB),
    }


def export_memory(shape: ModelShape, dtype: str, quantization: str, host: bool) -> dict[str, int]:
    """Bytes by part while the served base is made, a layer at a time; empty without 4 bits.

    host: of the host's memory, where the plain base lies, rather than of the GPU's.
    """
    if quantization == "none":
        return {}
    if host:
        return {f"plain base, {dtype}": BYTES[dtype] * shape.parameters}
    return {
        f"a layer in {dtype}, in NF4 and back": math.ceil((2 * BYTES[dtype] + 0.52) * shape.largest_linear),
        "CUDA context": round(CONTEXT_GIB * GIB),
    }


def kv_cache_gib(served: Served, total_gib: float) -> float:
    """GiB for the KV cache of an engine that has a GPU of total_gib to itself: what is left of it beside all else, and
    no more than `sequences` of the greatest length fill. UserError when that does not hold one of them.

    total_gib: 0.0 for a CPU, where the cache is small, and one of them always fits.
    """
    if not total_gib:
        return max(ON_CPU_GIB, 2 * served.kv_token * served.max_length / GIB)
    others = engine_memory(served, 0.0)
    left = USABLE * total_gib * GIB - sum(others.values())
    least = served.kv_token * served.max_length
    if left < least:
        parts = ", ".join(f"{part} {size / GIB:.1f}" for part, size in others.items() if size >= GIB / 20)
        raise UserError(
            f"a GPU of at least {(sum(others.values()) + least) / USABLE / GIB:.1f} GiB is needed to sample from this "
            f"model in a context of {served.max_length} tokens ({parts} GiB), and this one has {total_gib:.1f}: lower "
            "--max-length (model.max_length), or take a smaller model"
        )
    return min(left, served.sequences * least) / GIB


def check_kv_cache(setting: str, kv_cache_gib: float, total: int, served: Served | None = None) -> None:
    """UserError for a KV cache that cannot be: it does not hold one context, or is more than `total` bytes of memory
    can hold beside the weights. Whether all else fits in is an estimate, and no reason to refuse.

    served: None where the model's shape is not known; then it must be less than the memory.
    """
    least, weights = (served.kv_token * served.max_length, served.weights) if served else (0, 0)
    left = max(0.0, ((USABLE if served else 1) * total - weights) / GIB)
    if kv_cache_gib * GIB < least:
        assert served is not None
        raise UserError(
            f"{setting} = {kv_cache_gib:g} GiB is too small: one context of model.max_length = {served.max_length} "
            f"tokens takes {least / GIB:.2g} GiB, so raise it to that at least"
        )
    if kv_cache_gib > left:
        beside = f"beside {weights / GIB:.2g} GiB of weights " * bool(served)
        raise UserError(
            f"{setting} = {kv_cache_gib:g} GiB is more than there is: {beside}the {total / GIB:.3g} GiB of memory here "
            f"leave {left:.3g}, so lower it"
        )


def check_here(setting: str, kv_cache_gib: float, served: Served | None = None, engines: int = 1) -> None:
    """`check_kv_cache` on this machine, whose memory the engines share where there is no GPU, in the dtype that it
    computes in. A cluster elsewhere is not looked into: of its nodes only the engine itself can tell."""
    if os.environ.get("RAY_ADDRESS"):
        return
    gpus = gpu_memory() if machine().gpus else []
    if served and not gpus:
        served = replace(served, dtype=detect().computes_in(served.dtype))
    check_kv_cache(setting, kv_cache_gib, max(gpus, default=machine().memory_bytes // engines), served)
