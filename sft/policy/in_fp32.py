"""A model that computes in fp32 for a while, whatever it is held in: each module's weights are widened as it runs.

So that a difference of two ways to compute the same thing is a fault, and not bf16's rounding. 4-bit weights are
de-quantised as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import bitsandbytes
import torch


@contextmanager
def in_fp32(model: torch.nn.Module) -> Iterator[None]:
    """Without autocast. Extra memory: the largest module's weights."""
    with ExitStack() as stack:
        stack.enter_context(torch.autocast(next(model.parameters()).device.type, enabled=False))
        for module in model.modules():
            if isinstance(module, bitsandbytes.nn.Linear4bit):
                stack.enter_context(_fp32_products(module))
            own = [p for p in module._parameters.values() if p is not None]
            low = [p for p in own if p.dtype in (torch.bfloat16, torch.float16)]
            if low:
                kept: list[torch.Tensor] = []
                before, after = _widen(low, kept), _narrow(low, kept)
                stack.callback(module.register_forward_pre_hook(before).remove)
                stack.callback(module.register_forward_hook(after, always_call=True).remove)
        yield


def _widen(parameters: list[torch.nn.Parameter], kept: list[torch.Tensor]) -> Any:
    def hook(module: torch.nn.Module, inputs: Any) -> None:
        kept[:] = [parameter.data for parameter in parameters]
        for parameter in parameters:
            parameter.data = parameter.data.float()

    return hook


def _narrow(parameters: list[torch.nn.Parameter], kept: list[torch.Tensor]) -> Any:
    def hook(module: torch.nn.Module, inputs: Any, output: Any) -> None:
        for parameter, data in zip(parameters, kept, strict=True):
            parameter.data = data
        kept.clear()

    return hook


@contextmanager
def _fp32_products(layer: bitsandbytes.nn.Linear4bit) -> Iterator[None]:
    """bitsandbytes takes the dtype of the first input for good, unless it is told that one is set."""
    before = layer.compute_dtype, layer.compute_type_is_set
    layer.compute_dtype, layer.compute_type_is_set = torch.float32, True
    try:
        yield
    finally:
        layer.compute_dtype, layer.compute_type_is_set = before
