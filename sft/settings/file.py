"""Settings from a commented TOML file plus `key.sub=value` overrides, checked at once.

A message says which key, what must hold, what was given and where: in the file or on the command line. Unknown keys are
answered with the one that was probably meant (meant.py). The resolved config is written beside the run's results.
"""

from __future__ import annotations

import importlib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from evaluation.errors import UserError
from evaluation.text_files import read_text
from sft.config import Settings
from sft.policy.model_files import shipped
from sft.settings.meant import nearest
from sft.settings.table import known_keys, must, section

Config = TypeVar("Config", bound=BaseModel)
COMMAND_LINE = "the command line"


def load_config(cls: type[Config], path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read the TOML file, apply `key.sub=value` overrides, and check the whole. Raises UserError.

    A value is TOML (`train.epochs=3`, `model.path="x"`); text that is not TOML is taken as a string. A relative path
    that is not there is looked for among the project's own files.
    """
    values = _read_toml(cls, path)
    _refuse_configs_of_others(cls, values, path)
    given = [_apply(values, override) for override in overrides]
    return validate(cls, values, str(path), given)


def validate(cls: type[Config], values: Mapping[str, Any], source: str, given: Sequence[str] = ()) -> Config:
    """Build the config from plain values. source: of the values; given: keys that the command line set instead."""
    try:
        return cls.model_validate(_tuples(values))
    except ValidationError as error:
        told = dict.fromkeys(_explain(cls, item, values, source, given) for item in error.errors())
        raise UserError("\n".join(told)) from None


def write_resolved(config: BaseModel, run_dir: Path) -> Path:
    """Write run_dir/config.json: every key with the value that the run uses. Returns its path."""
    run_dir.mkdir(parents=True, exist_ok=True)
    target = run_dir / "config.json"
    partial = target.with_suffix(".json.partial")
    partial.write_text(json.dumps(config.model_dump(mode="json"), indent=2) + "\n")
    os.replace(partial, target)
    return target


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(key with its dots, value) of nested settings.

    >>> list(leaves({"steps": 3, "model": {"path": "x"}}))
    [('steps', 3), ('model.path', 'x')]
    """
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _read_toml(cls: type[BaseModel], path: Path) -> dict[str, Any]:
    path = shipped(path)
    if not path.exists():
        own = shipped(Path(str(getattr(cls, "command", "")).partition(".")[0]) / "configs")
        found = sorted({*path.parent.glob("*.toml"), *own.glob("*.toml")})
        hint = f"; there are {', '.join(map(str, found))}" if found else ""
        raise UserError(f"the config file {path} does not exist{hint}")
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} must be a TOML file: {error}") from None


def _refuse_configs_of_others(cls: type[BaseModel], values: Mapping[str, Any], path: Path) -> None:
    """A file with a key that this command does not have, while another has all of them, is the other's."""
    mine = getattr(cls, "command", "")
    if not mine or values.keys() <= cls.model_fields.keys():
        return
    for other in _configs():
        if other.command != mine and values.keys() <= other.model_fields.keys():
            unknown = next(key for key in values if key not in cls.model_fields)
            raise UserError(
                f"{path} is a config of {other.command} ({unknown} is no setting of {mine}): run python -m "
                f"{other.command} with it, or give {mine} a config of its own, as those in {mine.split('.')[0]}/configs"
            )


def _configs() -> list[type[Settings]]:
    """The settings of all commands: whatever module of the project is called config has some."""
    root = Path(__file__).resolve().parents[2]
    for file in sorted({*root.glob("*/*config.py"), *root.glob("*/*/config.py")}):
        if (file.parent / "__init__.py").exists():
            importlib.import_module(".".join(file.relative_to(root).with_suffix("").parts))
    return [cls for cls in Settings.__subclasses__() if cls.command]


def _apply(values: dict[str, Any], override: str) -> str:
    """Sets what `key.sub=value` says; returns the key."""
    key, equals, text = override.partition("=")
    key = key.strip()
    if not equals or not key:
        raise UserError(f"{COMMAND_LINE}: a setting must look like train.epochs=3, got {override!r}")
    *sections, leaf = key.split(".")
    place = values
    for name in sections:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise UserError(f"{COMMAND_LINE}: {key} cannot be set: {name} is a value, not a section")
    place[leaf] = _parse_value(text.strip())
    return key


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _tuples(value: Any) -> Any:
    """Settings are frozen: what TOML and JSON give as a list is a tuple there."""
    if isinstance(value, Mapping):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _explain(
    cls: type[BaseModel], error: Mapping[str, Any], values: Mapping[str, Any], source: str, given: Sequence[str]
) -> str:
    """One line about one mistake."""
    key, field = _place(cls, error["loc"])
    by_hand = [name for name in given if not key or name == key or name.startswith(f"{key}.")]
    where = COMMAND_LINE if by_hand and key else f"{source} with {', '.join(by_hand)}" if by_hand else source
    if error["type"] == "extra_forbidden":
        unknown = [name for name, _ in leaves({key: error["input"]})] or [key]
        return "\n".join(f"{where}: unknown key {name}{nearest(name, list(known_keys(cls)))}" for name in unknown)
    if error["type"] == "missing":
        return f"{where}: {key} must be given: it {must(field)}" if field else f"{where}: {key} must be given"
    if error["type"] == "value_error":
        message = str(error["ctx"]["error"])
        whole = isinstance(error["input"], Mapping | BaseModel)
        return f"{where}: {message}" if whole else f"{where}: {key} = {_shown(error['input'])}: {message}"
    inner = section(field.annotation) if field else None
    if inner is not None:
        names = ", ".join(f"{key}.{name}" for name in inner.model_fields)
        return f"{where}: {key} = {_shown(error['input'])}: it is a section, with the keys {names}"
    return f"{where}: {key} = {_shown(error['input'])}: it {must(field)}"


def _place(cls: type[BaseModel], location: Sequence[str | int]) -> tuple[str, Any]:
    """The key as it is written, without what pydantic adds for a union, and its field, None for an unknown key."""
    names: list[str] = []
    field: Any = None
    fields = dict(cls.model_fields)
    for part in location:
        if isinstance(part, int):
            names.append(str(part))
            continue
        if not fields:
            break
        field = fields.get(part)
        names.append(part)
        inner = section(field.annotation) if field else None
        fields = dict(inner.model_fields) if inner else {}
    return ".".join(names), field


def _shown(value: Any) -> str:
    """As TOML writes it."""
    return json.dumps(value, ensure_ascii=False, default=str)
