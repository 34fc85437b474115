"""An adapter's files: what they must hold to be loaded, merged and served, found out before anything is started.

Any plain LoRA of PEFT's is served, whoever trained it: ranks and scales that differ by module, rank-stabilised scaling,
some layers only. Whatever else PEFT trains computes something that the engine would not, and is refused by its name.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from evaluation.errors import UserError

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
Shapes = Mapping[str, tuple[int, ...]]

_SETTINGS_OF_PLAIN_LORA = """
    alpha_pattern arrow_config auto_mapping base_model_name_or_path bias corda_config eva_config exclude_modules
    fan_in_fan_out inference_mode init_lora_weights layers_pattern layers_to_transform loftq_config lora_alpha
    lora_dropout lora_ga_config megatron_config megatron_core peft_type peft_version qalora_group_size r rank_pattern
    revision runtime_config target_modules task_type use_rslora
"""  # with these the product of A and B, scaled, is all that is added to a layer
_PLAIN = frozenset(_SETTINGS_OF_PLAIN_LORA.split())
_INITS = ("gaussian", "eva", "orthogonal", "mica")  # those that leave the base as it is; PiSSA, OLoRA … change it
_NAME = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
_FLOATS = ("F64", "F32", "F16", "BF16")
ALLOWED_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # vLLM's LoRA slots come in these sizes


def snap_rank(rank: int) -> int:
    """The smallest LoRA rank that vLLM allows and that is at least `rank`."""
    for allowed in ALLOWED_RANKS:
        if rank <= allowed:
            return allowed
    raise UserError(f"the LoRA rank must be at most {ALLOWED_RANKS[-1]}, got {rank}")


def check_adapter(directory: Path, model: Path | None = None) -> None:
    """UserError unless the directory holds a plain LoRA adapter, whole; with `model`, one of that model's layers."""
    config = read_config(directory)
    shapes = _shapes(directory)
    try:
        _check_config(config)
        _check_weights(shapes, config)
        if model is not None:
            _check_base(shapes, directory, model)
    except UserError as error:
        raise UserError(f"the adapter {directory} {error}") from error


def read_config(directory: Path) -> dict[str, Any]:
    """adapter_config.json of an adapter's directory. UserError: it, or the weights' file, is missing or broken."""
    missing = [name for name in (WEIGHTS, CONFIG) if not (directory / name).is_file()]
    if missing:
        raise UserError(f"the adapter directory {directory} must hold {WEIGHTS} and {CONFIG}; no {missing[0]} there")
    try:
        config = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{directory / CONFIG} must be JSON: {error}") from None
    if not isinstance(config, dict):
        raise UserError(f"{directory / CONFIG} must be a JSON object, got a {type(config).__name__}")
    return config


def largest_rank(config: Mapping[str, Any]) -> int:
    """Of an adapter's modules: what the engine must have room for."""
    return max(int(config["r"]), *(config.get("rank_pattern") or {}).values(), 1)


def _check_config(config: Mapping[str, Any]) -> None:
    if config.get("peft_type") != "LORA":
        raise UserError(f"must be plain LoRA, got peft_type = {_short(config.get('peft_type'))}")
    init = config.get("init_lora_weights", True)
    extras = [name for name, value in config.items() if name not in _PLAIN and value not in (None, False, [], {})]
    extras += ["bias"] if config.get("bias", "none") != "none" else []
    extras += ["init_lora_weights"] if isinstance(init, str) and init.lower() not in _INITS else []
    if extras:
        raise UserError(
            f"must be plain LoRA, but uses {extras[0]} = {_short(config[extras[0]])}, which the engine does not serve: "
            "convert it to plain LoRA, or merge it into its base with PEFT and give the merged model"
        )
    ranks, alphas = config.get("rank_pattern") or {}, config.get("alpha_pattern") or {}
    for name, value in {"r": config.get("r"), **_pattern("rank_pattern", ranks)}.items():
        if type(value) is not int or value < 1:
            raise UserError(f"must have ranks that are whole numbers of at least 1, got {name} = {_short(value)}")
    for name, value in {"lora_alpha": config.get("lora_alpha"), **_pattern("alpha_pattern", alphas)}.items():
        if type(value) not in (int, float):
            raise UserError(f"must have scales that are numbers, got {name} = {_short(value)}")
    if not config.get("target_modules"):
        raise UserError("must name its layers in target_modules, and does not")
    snap_rank(largest_rank(config))


def _pattern(name: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise UserError(f"must have a JSON object as {name}, got {_short(values)}")
    return {f"{name}.{key}": value for key, value in values.items()}


def _shapes(directory: Path) -> Shapes:
    """Of all tensors. UserError when the file is not whole or holds what is no finite number."""
    file, found = directory / WEIGHTS, dict[str, tuple[int, ...]]()
    try:
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                if tensors.get_slice(name).get_dtype() not in _FLOATS or not tensors.get_tensor(name).isfinite().all():
                    raise UserError(f"{file} must hold finite floating-point numbers: {name} does not")
                found[name] = tuple(tensors.get_slice(name).get_shape())
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file} is broken or not whole, copy it again: {error}") from None
    if not found:
        raise UserError(f"{file} holds no weights")
    return found


def _check_weights(shapes: Shapes, config: Mapping[str, Any]) -> None:
    """Each module has an A and a B of the rank that the config gives it."""
    for name, shape in shapes.items():
        match = _NAME.fullmatch(name)
        if match is None or len(shape) != 2:
            raise UserError(f"must hold the matrices A and B of LoRA and nothing else, but has {name}")
        other = name.replace(".lora_A.", ".lora_B.") if match["side"] == "A" else name.replace(".lora_B.", ".lora_A.")
        if other not in shapes:
            raise UserError(f"has {name}, but no {other}: the file is not whole")
        rank = shape[0] if match["side"] == "A" else shape[1]
        said = _rank(match["module"], config)
        if rank != said:
            raise UserError(f"has {name} of rank {rank}, but its {CONFIG} says {said}: they do not belong together")


def _rank(module: str, config: Mapping[str, Any]) -> Any:
    ranks = config.get("rank_pattern")
    if not ranks:
        return config["r"]
    from peft.utils.other import get_pattern_key

    return ranks.get(get_pattern_key(tuple(ranks), module), config["r"])


def _check_base(shapes: Shapes, directory: Path, model: Path) -> None:
    """What PEFT would put round the model's layers is what the file holds."""
    expected = _expected(directory, model)
    homeless, missing = sorted(shapes.keys() - expected.keys()), sorted(expected.keys() - shapes.keys())
    if homeless:
        raise UserError(
            f"has {len(homeless)} weights without a place in {model}, the first is {homeless[0]}: give the base that "
            "it was trained on"
        )
    if missing:
        raise UserError(f"lacks {len(missing)} weights for {model}, the first is {missing[0]}: the file is not whole")
    for name, shape in shapes.items():
        if shape != expected[name]:
            raise UserError(
                f"does not fit {model}: {name} has the shape {list(shape)}, there it is {list(expected[name])}: give "
                "the base that it was trained on"
            )


def _expected(directory: Path, model: Path) -> Shapes:
    """The shapes that an adapter of this config has on this model, found without memory for either."""
    import peft
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PEFT's, of names of models
            base = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model))
            head = base.get_output_embeddings()
            settings = peft.LoraConfig.from_pretrained(str(directory))
            settings.init_lora_weights = False
            adapted = peft.get_peft_model(base, settings)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"does not fit {model}: {error}") from error
    if adapted.get_base_model().get_output_embeddings() is not head:
        raise UserError("changes the output head, which the engine serves as it is: train it on the layers only")
    state = peft.get_peft_model_state_dict(adapted, save_embedding_layers=False)
    return {name: tuple(value.shape) for name, value in state.items()}


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
