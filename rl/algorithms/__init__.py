"""The algorithms by name, a short file each, and those that others bring as "package.module:Class"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rl.algorithms.base import Algorithm
from rl.algorithms.cispo import Cispo
from rl.algorithms.dapo import Dapo
from rl.algorithms.dpo import Dpo, Ipo
from rl.algorithms.dr_grpo import DrGrpo
from rl.algorithms.grpo import Grpo
from rl.algorithms.gspo import Gspo
from rl.algorithms.opd import Opd
from rl.algorithms.ppo import Ppo
from rl.algorithms.reinforce_pp import ReinforcePp
from rl.algorithms.rft import Rft
from rl.algorithms.rloo import Rloo
from rl.named import named

ALGORITHMS: dict[str, type[Algorithm]] = {
    one.name: one for one in (Algorithm, Grpo, Dapo, DrGrpo, Gspo, Cispo, Rloo, ReinforcePp, Ppo, Rft, Opd, Dpo, Ipo)
}


def algorithm(name: str) -> type[Algorithm]:
    """The class of that name. ValueError when there is none."""
    return named(name, ALGORITHMS, Algorithm)


def with_defaults(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings with `defaults`, by dotted key, where they say nothing.

    >>> with_defaults({"learner": {"kl": 0.1}}, {"learner.kl": 0.0, "learner.surrogate": "gspo"})
    {'learner': {'kl': 0.1, 'surrogate': 'gspo'}}
    """
    found = dict(values)
    for key, value in defaults.items():
        *sections, leaf = key.split(".")
        place = found
        for name in sections:
            inner = place.get(name, {})
            if not isinstance(inner, Mapping):
                return found  # no section: the check of the settings says so
            place[name] = place = dict(inner)
        place.setdefault(leaf, value)
    return found


def table() -> str:
    """Markdown: each algorithm with what naming it sets."""
    rows = [
        f"| {one.title} | `{one.name}` | {one.summary} | {_set(one)} | {one.source} |" for one in ALGORITHMS.values()
    ]
    head = "| | `algorithm=` | what it is | sets, where you do not | source |\n|---|---|---|---|---|"
    return "\n".join([head, *rows]) + "\n"


def _set(one: type[Algorithm]) -> str:
    return " ".join(f"`{key}={value}`" for key, value in one.defaults.items())
