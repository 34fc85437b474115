"""Tensors and optimizer state as safetensors bytes and JSON scalars: nothing in a checkpoint can execute code."""

from __future__ import annotations

from typing import Any

from safetensors.torch import load, save
from torch import Tensor
from torch.optim import Optimizer

Scalars = dict[str, dict[str, Any]]


def pack_tensors(tensors: dict[str, Tensor]) -> bytes:
    """Named tensors → safetensors bytes. Copies, so that shared or strided storage is no obstacle."""
    return save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()})


def unpack_tensors(data: bytes) -> dict[str, Tensor]:
    return load(data)


def flatten_optimizer(state_dict: dict[str, Any]) -> tuple[dict[str, Tensor], Scalars]:
    """An optimizer's per-parameter state → tensors named "index/key" and scalars by index.

    bitsandbytes keeps its quantised state one dict deeper than torch optimizers do; both come out flat.
    """
    tensors: dict[str, Tensor] = {}
    scalars: Scalars = {}
    for index, entries in state_dict["state"].items():
        for key, value in _leaves(entries):
            if isinstance(value, Tensor):
                tensors[f"{index}/{key}"] = value
            else:
                scalars.setdefault(str(index), {})[key] = value
    return tensors, scalars


def restore_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor], scalars: Scalars) -> None:
    """Puts flattened state back. Settings such as the learning rate stay those of `optimizer`."""
    state: dict[int, dict[str, Any]] = {int(index): dict(values) for index, values in scalars.items()}
    for name, tensor in tensors.items():
        index, key = name.split("/", 1)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _leaves(entries: dict[str, Any]) -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for key, value in entries.items():
        leaves += value.items() if isinstance(value, dict) else [(key, value)]
    return leaves
