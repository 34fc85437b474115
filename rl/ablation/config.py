"""The settings of an ablation: which variants, over which seeds, and that all of them have the same budget."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, Field, field_validator, model_validator

from evaluation.errors import UserError
from rl.config import RlConfig
from sft.config import NAME, ReadFile, Settings, SftConfig, WrittenFile
from sft.settings.file import leaves, load_config
from sft.settings.table import known_keys

REPORT = "report"
"""The folder of the results, beside those of the variants."""

# What must be the same for all variants: how much is trained on, how often it is asked, and what it is asked.
BUDGET = (
    "augment.multiplier",
    "dev",
    "steps",
    "train.epochs",
    "train.batch_size",
    "rollout.questions",
    "rollout.samples",
    "rollout.grow_to",
    "rollout.budget",
    "rollout.refills",
    "rollout.max_tokens",
    "data.benchmark",
    "data.checked",
    "data.max_examples",
    "evaluation",
    "run",
    "init_adapter",
    "sft_metrics",
)


class Variant(Settings):
    """One line of attack. set: overrides `key.sub=value`, for SFT and RL alike where both have the section."""

    name: str = Field(pattern=NAME, description="its folder, and its row in the report")
    set: tuple[str, ...] = Field((), description="settings of this variant, as 'key.sub=value'")
    rl: bool = Field(True, description="RL after SFT; false scores the SFT adapter only")

    @field_validator("name")
    @classmethod
    def _no_name_of_ours(cls, name: str) -> str:
        if name == REPORT:
            raise ValueError(f"{REPORT} is the folder of the results: choose another name")
        return name


class AblationConfig(Settings):
    """`python -m rl.ablate --config FILE`. The first variant is the baseline."""

    command: ClassVar[str] = "rl.ablate"
    name: str = Field(pattern=NAME, description="results go to <dir>/<name>")
    dir: WrittenFile = Field("runs", description="folder of all runs")
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="run.seed of each repetition")
    jobs: int = Field(1, ge=1, le=64, description="runs at once; each gets cores / jobs threads")
    sft: ReadFile = Field(description="TOML file of sft.train")
    rl: ReadFile = Field(description="TOML file of rl.train")
    sft_set: tuple[str, ...] = Field((), description="overrides of the SFT file for all variants")
    rl_set: tuple[str, ...] = Field((), description="overrides of the RL file for all variants")
    variants: tuple[Variant, ...] = Field(min_length=1, description="what is compared: name, set and rl of each")

    @model_validator(mode="after")
    def _each_once(self) -> AblationConfig:
        for key, values in (("seeds", self.seeds), ("variants", [variant.name for variant in self.variants])):
            twice = [value for value, count in Counter(values).items() if count > 1]
            if twice:
                raise ValueError(f"{key} must differ, {twice[0]!r} is there twice")
        return self


@dataclass(frozen=True)
class Plan:
    """A variant with its overrides sorted by command, and the settings that they resolve to (seed and place apart)."""

    variant: Variant
    sft_set: tuple[str, ...]
    rl_set: tuple[str, ...]
    sft: SftConfig
    rl: RlConfig

    @property
    def settings(self) -> dict[str, Any]:
        """What a later invocation must find unchanged."""
        return {
            "sft": self.sft.model_dump(mode="json", exclude={"run"}),
            "rl": self.rl.model_dump(mode="json", exclude={"run", "init_adapter"}),
            "rl_after_sft": self.variant.rl,
        }


def plans(config: AblationConfig) -> list[Plan]:
    """One per variant. UserError: an override that is impossible, that no command knows, or that changes the budget."""
    made = [_plan(config, variant) for variant in config.variants]
    for plan in made:
        _check_budget(plan, _plan(config, Variant(name=plan.variant.name, rl=plan.variant.rl)))
    return made


def _plan(config: AblationConfig, variant: Variant) -> Plan:
    sft_set, rl_set = list(config.sft_set), list(config.rl_set)
    for override in variant.set:
        homes = _homes(override, variant.name)
        sft_set += [override] * (SftConfig in homes)
        rl_set += [override] * (RlConfig in homes)
    if not variant.rl:
        rl_set.append("steps=0")
    sft = load_config(SftConfig, Path(config.sft), sft_set)
    rl = load_config(RlConfig, Path(config.rl), [*rl_set, 'init_adapter="-"', "evaluation.base=false"])
    if variant.rl and not rl.steps:
        raise UserError(f"{config.rl}: steps must be at least 1 for the variant {variant.name!r}, or its rl false")
    return Plan(variant, tuple(sft_set), tuple(rl_set), sft, rl)


def _homes(override: str, variant: str) -> list[type[BaseModel]]:
    """The commands whose settings have this key's section."""
    key = override.partition("=")[0].strip()
    homes: list[type[BaseModel]] = [c for c in (SftConfig, RlConfig) if key.split(".")[0] in c.model_fields]
    if not homes:
        known = [*known_keys(SftConfig), *known_keys(RlConfig)]
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise UserError(f"variant {variant!r}: neither sft.train nor rl.train has the key {key}{hint}")
    return homes


def _check_budget(plan: Plan, common: Plan) -> None:
    """Compares the resolved settings, so that no way of writing an override gets around it."""
    pairs = ((common.sft, plan.sft), (common.rl, plan.rl))
    for before, after in (tuple(dict(leaves(c.model_dump(mode="json"))) for c in pair) for pair in pairs):
        changed = [key for key in before if _in_budget(key) and before[key] != after[key]]
        if changed:
            key = changed[0]
            raise UserError(
                f"variant {plan.variant.name!r} sets {key} = {_shown(after[key])}, all others have "
                f"{_shown(before[key])}: variants must have the same budget, or more training or an easier test would "
                "pass for a better prompt. Set it for all of them, with sft_set, rl_set, or in the sft and rl files"
            )


def _in_budget(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in BUDGET)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
