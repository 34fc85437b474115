"""What a run needs, asked before anything slow is imported: inputs that are there, room for what it writes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from evaluation.benchmarks import find_sources
from evaluation.command import check_room
from evaluation.errors import UserError
from sft.config import DataConfig, ModelConfig, RunConfig
from sft.policy.adapter import read_config
from sft.policy.model_files import local_model


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
    """UserError: run.dir cannot be written to, or a tracker of run.report_to is not installed."""
    check_room(Path(run.dir).expanduser(), "run.dir")
    for name in run.report_to:
        if importlib.util.find_spec(name) is None:
            raise UserError(f"run.report_to names {name}, which is not installed: pip install {name}, or leave it out")
