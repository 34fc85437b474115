"""What a healthy run does not show, said while it runs: each alarm names what it saw, since when, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from evaluation.errors import UserError
from sft.config import Settings


class AlarmConfig(Settings):
    """Bounds on the metrics of a step; 0 or false switches one off."""

    action: Literal["warn", "stop"] = Field("warn", description="say it, or end the run")
    mismatch: float = Field(0.05, ge=0, description="largest mean |Δ log-prob| of engine and learner, nats")
    kl: float = Field(0.0, ge=0, description="largest mean KL to the reference policy, nats per token")
    value_loss: float = Field(10.0, ge=0, description="ppo: largest loss of the critic")
    entropy: float = Field(0.01, ge=0, description="smallest entropy of the samples, nats per token")
    one_verdict: float = Field(0.95, ge=0, le=1, description="largest share of samples with the same verdict")
    no_signal: float = Field(0.95, ge=0, le=1, description="share of groups without both right and wrong answers")
    no_right: bool = Field(True, description="sound when no answer at all is right, in evaluations at once")
    patience: int = Field(3, ge=1, description="steps in a row before an alarm sounds")


class Alarm(UserError):
    """An alarm sounded and alarm.action is "stop". What was learned up to the newest checkpoint is kept."""


class Alarms:
    """Counts for each bound how many steps in a row were beyond it."""

    def __init__(self, config: AlarmConfig) -> None:
        self.config = config
        self._since: dict[str, int] = {}

    def check(self, step: int, row: Mapping[str, Any]) -> list[str]:
        """Alarms that sound at this step, as text; `row` is its line of metrics.jsonl."""
        beyond = _beyond(self.config, row)
        self._since = {name: self._since.get(name, step) for name in beyond}
        return [
            f"step {step}: {text} since step {self._since[name]}"
            for name, text in beyond.items()
            if step - self._since[name] + 1 >= self.config.patience
        ]


def after_evaluation(config: AlarmConfig, name: str, result: Mapping[str, Any]) -> list[str]:
    """What sounds after the evaluation `name`, whose `result` is that of `rl.evaluate`."""
    if not config.no_right or result["ex_strict"] or result["ex_strict_sampled"]:
        return []
    return [f"{name}: no answer to any of {result['n']} dev questions is right (alarm.no_right): {_TOO_HARD}"]


_TOO_HARD = (
    "the questions are too hard for this policy; start from an adapter that SFT has made (init_adapter=…), raise "
    "rollout.samples, or take easier questions"
)
_TOO_EASY = "the questions are too easy by now; take harder ones, raise rollout.temperature, or end the run here"


def _beyond(config: AlarmConfig, row: Mapping[str, Any]) -> dict[str, str]:
    """Bound -> what is beyond it."""
    verdict, share = _commonest(row["verdicts"])
    kl, critic = row.get("kl_reference", 0.0), row.get("value_loss", 0.0)
    # samples of an older policy differ by what was learned since; the canary compares the same policy
    mismatch = row.get("canary" if row.get("lag") else "mismatch", 0.0)
    nothing, wrong, right = (row.get(name, 0.0) for name in ("no_signal", "none_correct", "all_correct"))
    found = {
        "mismatch": (
            config.mismatch and not mismatch <= config.mismatch,
            f"engine and learner differ by {mismatch:.4f} nats per token (alarm.mismatch = {config.mismatch}): look at "
            "model.dtype and model.quantization",
        ),
        "kl": (
            config.kl and not kl <= config.kl,
            f"the KL to the reference is {kl:.3f} nats per token (alarm.kl = {config.kl}): raise learner.kl or lower "
            "learner.learning_rate",
        ),
        "value_loss": (
            config.value_loss and not critic <= config.value_loss,
            f"the critic diverges, its loss is {critic:.3g} (alarm.value_loss = {config.value_loss}): lower "
            "learner.learning_rate or learner.value_weight",
        ),
        "entropy": (
            config.entropy and not row["entropy"] >= config.entropy,
            f"the entropy is {row['entropy']:.4f} nats per token (alarm.entropy = {config.entropy}): samples of a "
            "question are all alike; raise learner.entropy or lower learner.learning_rate",
        ),
        "one_verdict": (
            config.one_verdict and share > config.one_verdict,
            f"{share:.0%} of the samples have the verdict {verdict!r} (alarm.one_verdict = {config.one_verdict}): "
            "there is little left to learn from; look at the newest file in rollouts/",
        ),
        "no_right": (config.no_right and row.get("correct") == 0, f"no answer is right (alarm.no_right): {_TOO_HARD};"),
        "no_signal": (
            config.no_signal and nothing >= config.no_signal,
            f"{nothing:.0%} of the groups teach nothing (alarm.no_signal = {config.no_signal}), {wrong:.0%} without a "
            f"right answer and {right:.0%} without a wrong one: {_TOO_EASY if right > wrong else _TOO_HARD};",
        ),
    }
    return {name: text for name, (there, text) in found.items() if there}


def _commonest(verdicts: Mapping[str, int]) -> tuple[str, float]:
    name = max(verdicts, key=lambda name: verdicts[name])
    return name, verdicts[name] / sum(verdicts.values())
