"""What an adapter was trained on, kept beside it in rollsql.json: with another prompt or another base it is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from evaluation import lineage
from evaluation.errors import UserError
from graph.prompt import PROMPT_VERSION, prompt_digest
from sft.config import ModelConfig
from sft.policy.adapter import check_adapter

FILE = lineage.CARD
_NOT_LEARNED = ("run", "init_adapter", "sft_metrics", "engine", "checkpoint", "alarm", "evaluation", "dev")
_MEANING = {
    "prompt_version": "version of the prompt",
    "prompt_style": "style of the schema in the prompt",
    "prompt_digest": "wording of the prompt",
    "base_fingerprint": "base model",
    "quantization": "quantisation of the base",
}


def provenance(model: ModelConfig, style: str, budget: int = 0) -> dict[str, str | int]:
    """The keys of rollsql.json for an adapter of this base, trained with prompts of this style and token budget."""
    from sft.policy.base import fingerprint

    return {
        "prompt_version": PROMPT_VERSION,
        "prompt_style": style,
        "prompt_digest": prompt_digest(style),
        "prompt_budget": budget,
        "base_model": model.path,
        "base_fingerprint": fingerprint(model.path),
        "quantization": model.quantization,
        "dtype": model.dtype,
    }


def as_file(model: ModelConfig, style: str, budget: int = 0, **more: Any) -> dict[str, str]:
    """{file name: text}, for `sft.policy.base.save_adapter(…, extra=…)`. more: of `history`."""
    return {FILE: json.dumps(provenance(model, style, budget) | more, indent=2) + "\n"}


def history(config: BaseModel, stage: str, start: str) -> dict[str, Any]:
    """trained: what an adapter of this run has been through, `start` (a directory, or "") included; recipe: a digest of
    the settings that it learned by, the same for each seed; shots: solved examples in its prompts."""
    settings = config.model_dump(mode="json", exclude=set(_NOT_LEARNED))
    digest = hashlib.sha256(json.dumps([recipe(start), settings], sort_keys=True).encode()).hexdigest()[:16]
    shots = settings.get("data", {}).get("shots", 0)
    return {"trained": lineage.then(lineage.trained(start), stage), "recipe": digest, "shots": shots}


def recipe(adapter: str) -> str:
    """As its card says; "" for none, and for one from elsewhere."""
    path = Path(adapter) / FILE
    return str(json.loads(path.read_text()).get("recipe", "")) if adapter and path.is_file() else ""


def check(adapter: Path, model: ModelConfig, style: str) -> None:
    """UserError when the adapter is not one of this model, or was trained with another prompt or base.

    The latter is known from rollsql.json alone: without it the adapter need only fit.
    """
    from sft.policy.base import model_directory

    check_adapter(adapter, model_directory(model.path))
    path = adapter / FILE
    if not path.is_file():
        return
    try:
        stored = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise UserError(f"{path} must be JSON: {error}") from None
    current = provenance(model, style)
    different = [key for key in _MEANING if stored.get(key, current[key]) != current[key]]
    if different:
        key = different[0]
        raise UserError(
            f"the adapter {adapter} was trained with another {_MEANING[key]}: {key} {stored[key]}, now {current[key]}; "
            "use the same model and prompt style, or train the adapter again"
        )
