"""Token ids as text, by the tokenizer of the run's model, where it is at hand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from rl.view.files import read_json
from sft.policy.shapes import local_directory


def text_of(run: Path, ids: Sequence[int]) -> str:
    """ "" when there is no tokenizer."""
    tokenizer = _of(run)
    return str(tokenizer.decode(_known(ids), skip_special_tokens=False)) if tokenizer is not None else ""


def pieces(run: Path, ids: Sequence[int]) -> list[str]:
    """The text of each id by itself; without a tokenizer its number."""
    tokenizer = _of(run)
    if tokenizer is None:
        return [f"[{number}]" for number in ids]
    return [str(tokenizer.decode(_known([number]), skip_special_tokens=False)) for number in ids]


def _known(ids: Sequence[int]) -> list[int]:
    return [number for number in ids if isinstance(number, int) and 0 <= number < 2**31]


def _of(run: Path) -> Any:
    model = read_json(run / "config.json", []).get("model")
    path = model.get("path") if isinstance(model, dict) else None
    return _tokenizer(path) if isinstance(path, str) else None


@lru_cache(maxsize=4)
def _tokenizer(path: str) -> Any:
    from tokenizers import Tokenizer

    folder = local_directory(path)
    file = folder / "tokenizer.json" if folder else None
    if file is None or not file.is_file():
        return None
    try:
        return Tokenizer.from_file(str(file))
    except Exception:  # of the library, which raises its bare base class: a damaged file
        return None
