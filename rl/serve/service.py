"""The application with its engine and its sandboxes, built where it is to run: here, or in a replica on a cluster."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.databases.sandbox import Limits
from evaluation.errors import UserError
from evaluation.instances.folder import Cached
from rl.asker import SHOWN, Asker
from rl.policies import Recipe
from rl.selection import Selection, Selector
from rl.serve.app import Parts, application
from rl.serve.batcher import Batcher, EngineLost
from rl.serve.databases import Databases
from rl.serve.feedback import Feedback
from rl.serve.sandboxes import Sandboxes
from sft.policy.model_files import local_model


@dataclass(frozen=True)
class Setup:
    """What a server was started for. instances: of vote_instances; token: "" where none is asked for."""

    recipe: Recipe
    selection: Selection
    instances: int
    feedback: Path | None
    token: str


class Service:
    """app: the ASGI application; close ends all that it holds, but not the databases, which are the caller's."""

    def __init__(self, setup: Setup, databases: Databases) -> None:
        self._held = ExitStack()
        try:
            self.app = self._application(setup, databases)
        except BaseException:
            self.close()
            raise

    def check(self) -> None:
        """EngineLost once the engine has failed."""
        if self._batcher.failure is not None:
            raise EngineLost("the engine has failed") from self._batcher.failure

    def close(self) -> None:
        self._held.close()

    def _application(self, setup: Setup, databases: Databases) -> Any:
        self.policies = setup.recipe.start()
        self._held.callback(self.policies.close)
        shown, voting = (Sandboxes(max(2, os.cpu_count() or 2), limits) for limits in (SHOWN, Limits()))
        self._held.callback(shown.close)
        self._held.callback(voting.close)
        self._batcher = Batcher(self.policies.generator)
        self._held.callback(self._batcher.close)
        selector = Selector(voting.execute, Cached(setup.instances))
        longest = setup.recipe.max_tokens
        asker = Asker(self.policies, shown.execute, selector, setup.selection, self._batcher, longest)
        return application(Parts(asker, self._batcher, databases, Feedback(setup.feedback), setup.token))


def elsewhere(setup: Setup, files: list[Path]) -> Callable[[], Service]:
    """Builds the service on any machine of a cluster that has the model and the databases under the same paths."""

    def build() -> Service:
        try:
            local_model(setup.recipe.model.path)
            databases = Databases(files)
        except (UserError, OSError) as error:
            raise UserError(f"on the node {socket.gethostname()}: {error}") from None
        return Service(setup, databases)

    return build
