"""What a model directory in Hugging Face layout says about itself, read without loading the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

from evaluation.errors import UserError


def stop_token_ids(model: Path) -> list[int]:
    """End-of-sequence ids named by config.json, generation_config.json and the tokenizer of a model directory."""
    if not (model / "config.json").is_file():
        raise UserError(f"a model must be a directory with a config.json, got {str(model)!r}; give a local model path")
    found: set[int] = set()
    for name in ("config.json", "generation_config.json"):
        value = _read_json(model / name).get("eos_token_id")
        found.update(value if isinstance(value, list) else [] if value is None else [value])
    eos = _read_json(model / "tokenizer_config.json").get("eos_token")
    eos = eos.get("content") if isinstance(eos, dict) else eos
    added = _read_json(model / "tokenizer.json").get("added_tokens", [])
    found.update(token["id"] for token in added if token["content"] == eos)
    if not found:
        raise UserError(f"{model}: no eos_token_id in config.json or generation_config.json; answers would never stop")
    return sorted(found)


def context_length(model: Path) -> int | None:
    """The number of positions that the model was made for; None when config.json does not say."""
    return _read_json(model / "config.json").get("max_position_embeddings")


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def layer_projections(model: Path) -> list[str]:
    """Last names of the matrices inside a model's layers (q_proj, …): what an adapter may change.

    Embeddings and head are not among them: vLLM's LoRA wrapper of the head fails when prompts are scored.
    """
    found: set[str] = set()
    for file in sorted(model.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            names = [name for name in tensors.keys() if ".layers." in name and name.endswith(".weight")]  # noqa: SIM118
            found.update(n.split(".")[-2] for n in names if len(tensors.get_slice(n).get_shape()) == 2)
    return sorted(found)
