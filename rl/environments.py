"""The environments by name, and those that others bring as "package.module:Class"."""

from __future__ import annotations

from rl.environment import AnswerOnce, Environment
from rl.named import named
from rl.run_and_repair import RunAndRepair

ENVIRONMENTS: dict[str, type[Environment]] = {"answer_once": AnswerOnce, "run_and_repair": RunAndRepair}


def environment(name: str) -> type[Environment]:
    """The class of that name. ValueError when there is none."""
    return named(name, ENVIRONMENTS, Environment)
