"""The environment of an agent: it runs a query, sees rows or the error, and answers again.

An episode is over when the policy stands by its query (writes the same one again), after `agent.turns` answers, when an
answer is cut, or when the context has no room for another one; with agent.show = "failures" also as soon as a query
returns rows. Queries run in the reward actors' sandbox, under its limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from evaluation.benchmarks import Example
from rl.environment import Environment, Judge, Observation, Place
from rl.reward import Answer, Judged
from sft.config import Settings

if TYPE_CHECKING:
    from rl.config import RlConfig

ASKED = "Write the whole query again: corrected, or the same if it answers the question."


class AgentConfig(Settings):
    """Of environment = "run_and_repair"."""

    turns: int = Field(3, ge=1, le=16, description="most answers of an episode")
    show: Literal["always", "failures"] = Field(
        "always", description="what an answer is told: whatever came of it, or errors and empty results only"
    )
    rows: int = Field(5, ge=1, le=100, description="rows of a result that are shown")
    characters: int = Field(400, ge=40, le=100_000, description="longest observation, characters")
    discount: float = Field(1.0, gt=0, le=1, description="share of the reward that is left after each further turn")


class RunAndRepair(Environment):
    """judge: executes answers to questions; `Judged.shown` is what is told."""

    def __init__(self, agent: AgentConfig, judge: Judge) -> None:
        self.agent, self.judge, self.turns = agent, judge, agent.turns

    @classmethod
    def of(cls, config: RlConfig, judge: Judge) -> RunAndRepair:
        return cls(config.agent, judge)

    def observe(self, example: Example, answer: Answer) -> Observation | None:
        return self.observe_all({Place(0, 0): (example, answer)}).get(Place(0, 0))

    def observe_all(self, asked: Mapping[Place, tuple[Example, Answer]]) -> dict[Place, Observation]:
        """One call of the pool for all of them."""
        going = {place: pair for place, pair in asked.items() if not _stands_by(pair[1])}
        if not going:
            return {}
        judged = self.judge([example for example, _ in going.values()], [[answer] for _, answer in going.values()])
        seen = {place: one for place, (one,) in zip(going, judged, strict=True) if self._tells(one)}
        return {place: Observation(f"{one.shown}\n{ASKED}") for place, one in seen.items()}

    def _tells(self, one: Judged) -> bool:
        """A query whose judging was lost is told nothing."""
        return bool(one.shown) and (self.agent.show == "always" or one.rows == 0)


def _stands_by(answer: Answer) -> bool:
    return bool(answer.before) and answer.sql == answer.before[-1]
