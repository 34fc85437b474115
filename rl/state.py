"""Tensors, optimizer state and policies as safetensors bytes and JSON: nothing in a checkpoint can execute code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from safetensors.torch import load, save
from torch import Tensor
from torch.optim import Optimizer

from sft.policy.base import PolicyVersion

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


def pack_versions(versions: Iterable[PolicyVersion]) -> dict[str, bytes]:
    """Policies as a checkpoint's files, two for each."""
    files: dict[str, bytes] = {}
    for version in versions:
        name = f"sampled_by/step_{version.step:06d}"
        record = {"step": version.step, "adapter_config": version.adapter_config, "digest": version.digest}
        files |= {f"{name}.safetensors": version.adapter, f"{name}.json": json.dumps(record).encode()}
    return files


def unpack_versions(files: Mapping[str, bytes]) -> list[PolicyVersion]:
    """The inverse of `pack_versions`, oldest first; other files of the checkpoint are left aside."""
    names = sorted(n.removesuffix(".json") for n in files if n.startswith("sampled_by/") and n.endswith(".json"))
    return [PolicyVersion(adapter=files[f"{name}.safetensors"], **json.loads(files[f"{name}.json"])) for name in names]
