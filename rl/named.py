"""A class or function by the name that ships, or of a module of the user's, "package.module:Name"."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

from graph.reference import is_reference, load

Kind = TypeVar("Kind")


def named(name: str, shipped: Mapping[str, type[Kind]], kind: type[Kind]) -> type[Kind]:
    """The class of that name. ValueError, in one line, when there is none, or it does not extend `kind`."""
    if name in shipped:
        return shipped[name]
    if not is_reference(name):
        near = difflib.get_close_matches(name, shipped, 1)
        meant = f"did you mean {near[0]}? It" if near else "it"
        names = ", ".join(one for one in shipped if one)
        raise ValueError(f'{meant} must be one of {names}, or "package.module:Class"')
    found = load(name)
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise ValueError(f"it must be a subclass of {kind.__module__}.{kind.__name__}")
    return found
