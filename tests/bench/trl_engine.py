"""TRL's colocated vLLM engine on a machine without a GPU, so that TRL can be measured with the engine that we use.

TRL's own code runs; three things around it are for the CPU build of vLLM. The engine core stays in the process, as on
a GPU. One small function is not compiled. And the linear layers keep their weights as they were loaded: this build
would repack them for its kernels and drop the originals, and TRL's push into them would fail.
"""

from __future__ import annotations

import os
import warnings

ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}


def prepare(kv_cache_gib: int) -> None:
    """Call in a fresh process, before TRL or vLLM is imported; `kv_cache_gib` bounds the engine's KV cache."""
    warnings.filterwarnings("ignore")  # TRL 1.16 warns seven times that it has not been tried with this vLLM
    os.environ.update(ENVIRONMENT, VLLM_CPU_KVCACHE_SPACE=str(kv_cache_gib))
    import torch
    from vllm.model_executor.layers import utils

    torch._dynamo.config.disable = True
    utils.dispatch_cpu_unquantized_gemm = _keep_weights


def _keep_weights(layer: object, remove_weight: bool) -> None:
    import torch

    layer.cpu_linear = torch.nn.functional.linear  # type: ignore[attr-defined]
