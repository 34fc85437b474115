"""An object of any importable module, named by a setting as "package.module:name": how a run is extended from outside.

The folder that a command is started in can be imported from, too, as with `python -m`.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any


def is_reference(word: str) -> bool:
    return ":" in word


def load(word: str) -> Any:
    """The object. ValueError, one line, when there is no such module or no such name in it.

    >>> load("graph.schema:Column").__name__
    'Column'
    """
    module, _, name = word.partition(":")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found = importlib.import_module(module)
    except Exception as error:  # whatever the module does when it is imported
        why = f"{type(error).__name__}: {error}"
        raise ValueError(f'must be "package.module:name" of a module that can be imported; {word!r}: {why}') from None
    try:
        return getattr(found, name)
    except AttributeError:
        raise ValueError(f'must be "package.module:name"; the module {module} has no {name!r}') from None
