"""The files of a run directory that a report is made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluation.errors import UserError
from evaluation.lineage import GIVEN, then, trained

STAGES = ("base", "sft", "rl")
KEYS = {"ex_strict": "greedy", "ex_strict_sampled": "sampled"}
NAMES = {"base": "base", "sft": "SFT", "rl": "SFT + RL"}
"""Of the stages of a run that begins with SFT."""


@dataclass(frozen=True)
class RunRecord:
    """The files of a run directory that a report is made of; what a run does not have is empty."""

    path: Path
    config: dict[str, Any] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)  # a row per RL step
    sft: list[dict[str, Any]] = field(default_factory=list)  # rows with step and loss
    dev: list[dict[str, Any]] = field(default_factory=list)  # dev accuracy while training, on part of dev
    evaluations: dict[str, dict[str, Any]] = field(default_factory=dict)  # stage -> figures and per_question
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, str]:
        """What the stages are called: the policy that RL starts from need not come from SFT."""
        start = self.evaluations.get("sft", {}).get("trained") or trained(self.config.get("init_adapter", GIVEN))
        start = NAMES["sft"] if start == GIVEN and (self.sft or "init_adapter" not in self.config) else start
        return {**NAMES, "sft": start, "rl": then(start, "RL")}


def read_run(run_dir: Path) -> RunRecord:
    """Read a run directory. UserError when it is not there or a file is malformed, with the line."""
    if not run_dir.is_dir():
        raise UserError(f"the run directory {run_dir} does not exist")
    found = {stage: run_dir / "evaluations" / f"{stage}.json" for stage in STAGES}
    return RunRecord(
        path=run_dir,
        config=read_json(run_dir / "config.json"),
        steps=_read_lines(run_dir / "metrics.jsonl", ("step", "reward")),
        sft=[row for row in _read_lines(run_dir / "sft_metrics.jsonl", ("step", "loss")) if "reward" not in row],
        dev=_read_lines(run_dir / "dev.jsonl", ("step", "ex_strict_sampled")),
        evaluations={stage: read_json(path) for stage, path in found.items() if path.is_file()},
        seconds=read_json(run_dir / "seconds.json"),
    )


def read_json(path: Path) -> dict[str, Any]:
    """{} when the file is not there. UserError: it is no JSON."""
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} must be JSON: {error}") from None


def _read_lines(path: Path, needed: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a .jsonl file that hold the keys `needed`."""
    rows = []
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise UserError(f"{path}, line {number}: must be JSON: {error}") from None
    return [row for row in rows if all(key in row for key in needed)]
