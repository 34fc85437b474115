"""The samples of an earlier run, learned from instead of fresh ones: pairs offline, the hardest first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.benchmarks import Example
from evaluation.errors import UserError
from rl.algorithms.dpo import hardest_pairs
from rl.reward import SHOWN
from rl.types import Episode, Group, Reward
from sft.config import ModelConfig
from sft.policy.base import fingerprint

COLUMNS = (
    "example_id", "sample", "policy_step", "db_id", "question", "gold", "sql", "verdict", "reward", "finish_reason",
    "prompt_ids", "token_ids", "log_probs",
)  # fmt: skip
SECTIONS = ("model", "lora", "learner", "data")


def files(run: Path) -> list[Path]:
    """Of its samples, in order. UserError when there are none."""
    found = sorted((run / "rollouts").glob("step_*.parquet"))
    if not found:
        raise UserError(f"samples lie in the directory of a run of rl.train; {run} has no rollouts/step_*.parquet")
    return found


def digest(run: Path) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files(run))).hexdigest()


def settings(run: Path) -> dict[str, Any]:
    """Of the run that has drawn them, by section."""
    try:
        found: dict[str, Any] = json.loads((run / "config.json").read_text(encoding="utf-8"))
        lacking = [name for name in SECTIONS if not isinstance(found[name], dict)]
        if not lacking:
            return found
    except (OSError, ValueError, KeyError, TypeError) as error:
        lacking = [str(error)]
    raise UserError(f"{run / 'config.json'} must hold the settings of a run of rl.train: {lacking[0]}")


def check(run: Path, model: ModelConfig, style: str) -> None:
    """UserError unless its samples are of this model, behind prompts of this style."""
    files(run)
    theirs = settings(run)
    path, theirs_style = theirs["model"]["path"], theirs["data"]["prompt_style"]
    if path != model.path and fingerprint(path) != fingerprint(model.path):
        raise UserError(f"the samples of {run} are those of {path}, another model than {model.path}")
    if theirs_style != style:
        raise UserError(f"the samples of {run} follow prompts of the style {theirs_style!r}, not {style!r}")


def read(run: Path) -> list[Group]:
    """Its groups with their rewards, in order. UserError: a file is damaged, or answers took several turns."""
    return [group for file in files(run) for group in _groups(file)]


def _groups(file: Path) -> Iterator[Group]:
    try:
        with pq.ParquetFile(file) as table:
            names = table.schema_arrow.names
            if "turns" in names:
                raise UserError(f"{file}: answers took several turns, and what was read between them is not kept")
            rows = table.read(columns=[*COLUMNS, *(name for name in SHOWN if name in names)]).to_pylist()
    except UserError:
        raise
    except (OSError, pa.ArrowException, ValueError) as error:
        raise UserError(f"{file} is damaged: {' '.join(str(error).split())[:200]}") from None
    if rows and (lacking := set(COLUMNS) - rows[0].keys()):
        raise UserError(f"{file} must hold the samples of rl.train: it lacks {', '.join(sorted(lacking))}")
    for _, one in groupby(rows, key=lambda row: (row["example_id"], row["policy_step"])):
        yield _group(list(one))


def _group(rows: Sequence[Mapping[str, Any]]) -> Group:
    first = rows[0]
    example = Example(first["example_id"], first["db_id"], first["question"], "", first["gold"], "", "")
    episodes = [
        Episode.single(r["sample"], first["prompt_ids"], r["token_ids"], r["log_probs"], r["finish_reason"],
                       r["policy_step"], r["sql"])
        for r in rows
    ]  # fmt: skip
    rewards = [Reward(r["reward"], {name: r[name] for name in SHOWN if name in r}, r["verdict"]) for r in rows]
    return Group(example, episodes, rewards)


class Replay:
    """without: groups that have no right and wrong answer, and are left out."""

    def __init__(self, groups: Sequence[Group], size: int) -> None:
        """size: groups a step. UserError when none has a pair."""
        paired = [group for group in groups if hardest_pairs(group)]
        self.without, self.size = len(groups) - len(paired), size
        self.groups = sorted(paired, key=hardness, reverse=True)
        if not paired:
            raise UserError(f"none of {len(groups)} groups has both a right and a wrong answer: no pair to learn from")

    def draw(self, step: int) -> list[Group]:
        """Of a step, counted from 1: the next in order, from the beginning again where they are through."""
        first, count = (step - 1) * self.size, min(self.size, len(self.groups))
        return [self.groups[(first + i) % len(self.groups)] for i in range(count)]


def hardness(group: Group) -> float:
    """How much likelier a token of the wrong answer of its hardest pair was than one of the right answer, nats."""
    right, wrong = (group.episodes[place] for place in hardest_pairs(group)[0])
    return fmean(wrong.log_probs or [0.0]) - fmean(right.log_probs or [0.0])
