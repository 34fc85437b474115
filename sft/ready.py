"""What a run needs, asked before anything slow is imported: inputs that are there, room for what it writes, memory."""

from __future__ import annotations

import os
from pathlib import Path

from cluster.resources import gpu_memory, machine
from evaluation.benchmarks import find_sources
from evaluation.command import check_room
from evaluation.errors import UserError
from sft.config import DataConfig, ModelConfig, RunConfig
from sft.policy.adapter import read_config
from sft.policy.model_files import local_model

GIB = 2**30


def check_inputs(model: ModelConfig, data: DataConfig, folder: Path | None, adapter: str = "") -> None:
    """UserError: the model, the benchmark's folder, data.checked or the adapter to start from is not there."""
    local_model(model.path)
    find_sources(data.benchmark, "train", folder)
    if data.checked and not Path(data.checked).is_file():
        raise UserError(f"data.checked must be a file of evaluation.check_data --out; {data.checked} is not there")
    if adapter and not Path(adapter).is_dir():
        raise UserError(f"init_adapter must be the folder of an adapter; {adapter} is not there: train it by SFT first")
    if adapter:
        read_config(Path(adapter))


def check_outputs(run: RunConfig) -> None:
    """UserError: run.dir cannot be written to."""
    check_room(Path(run.dir).expanduser(), "run.dir")


def check_kv_cache(setting: str, gib: float, engines: int = 1) -> None:
    """UserError: more than this machine has. Of a cluster's other nodes only the engine itself can tell."""
    if os.environ.get("RAY_ADDRESS"):
        return
    gpus = gpu_memory()
    there = min(gpus) if gpus else machine().memory_bytes / engines
    if gib * GIB >= there:
        what = "the GPU has" if gpus else "the machine has" + f" for each of {engines} engines" * (engines > 1)
        raise UserError(
            f"{setting} = {gib:g} must be less than the memory that {what}, {there / GIB:.1f} GiB: lower it; "
            "`python -m rl.plan` shows what each part of a run takes"
        )
