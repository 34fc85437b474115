"""What a model directory in Hugging Face layout says about itself, read without loading the model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from evaluation.errors import UserError

PROJECT = Path(__file__).resolve().parents[2]


def shipped(path: Path) -> Path:
    """The path as given; where nothing is there, the project's own file of that name: sft/tiny, from any folder."""
    own = PROJECT / path
    return path if path.exists() or not own.exists() else own


def local_model(path: str) -> Path | None:
    """The directory of a model on this disk, None for a name on the hub. UserError for what can be neither."""
    directory = shipped(Path(path).expanduser())
    if (directory / "config.json").is_file():
        return directory
    if directory.exists():
        raise UserError(f"the model {path} must be a directory with config.json, weights and a tokenizer")
    owner = directory.parts[0] if len(directory.parts) == 2 else ""
    if not owner or owner in (".", "..", "/", "~") or Path(owner).exists():
        raise UserError(f"the model path {path} does not exist: give a directory in Hugging Face layout, or owner/name")
    return None


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


def missing_weights(model: Path) -> list[str]:
    """Files of weights that the directory should hold and does not."""
    index = _read_json(model / "model.safetensors.index.json")
    names = sorted(set(index.get("weight_map", {}).values())) or ["model.safetensors"]
    return [name for name in names if not (model / name).is_file()]


def missing_files(model: Path) -> list[str]:
    """Files that a model to be trained needs, and that an interrupted download left out."""
    missing = [name for name in ("config.json", "tokenizer_config.json") if not (model / name).is_file()]
    templates = any((model / name).is_file() for name in ("chat_template.jinja", "chat_template.json"))
    if not missing and not templates and "chat_template" not in _read_json(model / "tokenizer_config.json"):
        missing.append("chat_template.jinja")
    return missing + missing_weights(model)


def require_text_model(model: Path) -> None:
    """UserError for a model that also sees or hears: its layers, its prompts and its engine are others."""
    config = _read_json(model / "config.json")
    parts = [name for name in config if isinstance(config[name], dict) and re.match("vision|audio|speech|text_", name)]
    if parts:
        raise UserError(
            f"the model {model} is multi-modal (its config.json has {parts[0]}), and only text models are trained: "
            "give a text model of its family"
        )


def context_length(model: Path) -> int | None:
    """The number of positions that the model was made for; None when config.json does not say."""
    return _read_json(model / "config.json").get("max_position_embeddings")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path} must be JSON: {error}") from None
    if not isinstance(found, dict):
        raise UserError(f"{path} must be a JSON object, got a {type(found).__name__}")
    return found
