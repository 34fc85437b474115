"""Every choice that depends on the machine: device, precision. Laptop and GPU differ only here."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evaluation.errors import UserError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Device:
    """Where the learner computes.

    memory_gib: memory of the GPU; 0.0 on a CPU.
    """

    kind: Literal["cpu", "cuda"]
    index: int = 0
    name: str = ""
    bf16: bool = True
    memory_gib: float = 0.0

    @property
    def torch_device(self) -> torch.device:
        import torch

        return torch.device(self.kind, self.index) if self.kind == "cuda" else torch.device("cpu")

    def computes_in(self, dtype: str) -> str:
        """The dtype that learner and engine compute in where `dtype` is asked for.

        A CPU without bfloat16 instructions multiplies it a hundred times slower than float32, which holds the same
        values: it computes in float32. UserError on a GPU without them, where float32 may not fit.
        """
        if dtype != "bfloat16" or self.bf16:
            return dtype
        if self.kind == "cuda":
            raise UserError(f"{self.name} does not compute in bfloat16: set model.dtype=float32")
        return "float32"

    def torch_dtype(self, dtype: str) -> torch.dtype:
        """`computes_in` as torch's own."""
        import torch

        return {"bfloat16": torch.bfloat16, "float32": torch.float32}[self.computes_in(dtype)]


def detect() -> Device:
    """The first visible GPU, or the CPU."""
    import torch

    if not torch.cuda.is_available():
        bf16 = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
        return Device("cpu", name="CPU" if bf16 else "CPU without bfloat16: computes in float32", bf16=bf16)
    properties = torch.cuda.get_device_properties(0)
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return Device("cuda", name=properties.name, bf16=bf16, memory_gib=properties.total_memory / 2**30)


def allocator(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables, to be set before CUDA is used, of a process that trains: rows of all lengths would leave holes between
    segments of fixed size. None where the user has chosen."""
    chosen = {"PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"} & environ.keys()
    return {} if chosen else {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}


def release_memory() -> None:
    """Gives freed memory back, of the heap and of a GPU in use: learner and engine of one machine, or of one GPU, peak
    in turns, not together."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():  # asking would not be worth a CUDA context
        gc.collect()
        torch.cuda.empty_cache()
    with contextlib.suppress(OSError, AttributeError):  # glibc only
        ctypes.CDLL(None).malloc_trim(0)
