"""What each setting may be, in words: for messages, `--settings` and docs/settings.md."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_NAME = "text of letters, digits, dots, dashes and underscores that starts with a letter or digit"


@dataclass(frozen=True)
class Setting:
    """One key. default: as TOML; may_be: kind and range."""

    key: str
    default: str
    may_be: str
    meaning: str


def settings(cls: type[BaseModel], prefix: str = "", usual: Any = None) -> Iterator[Setting]:
    """Every key with its dots, in the order of the class. usual: the section as it is when nothing is given."""
    for name, field in cls.model_fields.items():
        inner, default = section(field.annotation), getattr(usual, name, field.default)
        if inner is not None and not _is_list(field.annotation):
            yield from settings(inner, f"{prefix}{name}.", default)
        else:
            yield Setting(prefix + name, _default(field, default), _may_be(field), field.description or "")


def known_keys(cls: type[BaseModel]) -> Iterator[str]:
    """Every key with its dots: run.name, train.epochs, …"""
    return (setting.key for setting in settings(cls))


def section(annotation: Any) -> type[BaseModel] | None:
    """The class of a section, or of a list's items; None for a plain value."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def must(field: FieldInfo) -> str:
    """The end of a sentence: must be a whole number, at least 1."""
    return f"must be {_may_be(field)}"


def as_text(cls: type[BaseModel]) -> str:
    """For the terminal: a line per key with its default, below it what it may be and what it means."""
    lines = [f"{s.key} = {s.default}\n    {s.may_be}{'; ' if s.meaning else ''}{s.meaning}" for s in settings(cls)]
    return "\n".join(lines)


def as_markdown(cls: type[BaseModel]) -> str:
    """A table, a row per key."""
    rows = (f"| `{s.key}` | `{s.default}` | {s.may_be} | {s.meaning} |" for s in settings(cls))
    return "\n".join(["| key | default | may be | meaning |", "|---|---|---|---|", *rows])


def _default(field: FieldInfo, default: Any) -> str:
    if field.is_required():
        return "(must be given)"
    return json.dumps(default, ensure_ascii=False)


def _may_be(field: FieldInfo) -> str:
    return _kind(field.annotation, field.metadata)


def _kind(annotation: Any, metadata: list[Any]) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        return _kind(inner, [part for one in more for part in getattr(one, "metadata", [one])])
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(one, metadata) for one in get_args(annotation))
    if origin is Literal:
        words = [json.dumps(value) for value in get_args(annotation)]
        return words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    if origin is tuple:
        items = get_args(annotation)[0]
        literal = get_origin(items) is Literal
        what = f"a list, each {_kind(items, [])}" if literal else f"a list of {_plural(items)}"
        return f"{what}, at least {low}" if (low := _bound(metadata, "min_length")) else what
    if _bound(metadata, "pattern"):
        return _NAME
    return ", ".join([_KINDS.get(annotation, "a section"), *_range(metadata)])


def _plural(items: Any) -> str:
    return {int: "whole numbers", float: "numbers", str: "texts"}.get(items, "sections")


def _range(metadata: list[Any]) -> list[str]:
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    found = {word: _bound(metadata, name) for name, word in words.items()}
    return [
        f"{word} {bound:g}" if bound < 1e6 else f"{word} {bound}" for word, bound in found.items() if bound is not None
    ]


def _bound(metadata: list[Any], name: str) -> Any:
    return next((value for one in metadata if (value := getattr(one, name, None)) is not None), None)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is tuple
