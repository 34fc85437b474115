"""What answers back while an episode is sampled.

    answer → observe → None           the episode is over: always, where a question is answered once
           → observe → Observation    the policy reads it and answers again, up to `turns` times

Observations are read, never learned. A new environment is a subclass in a file of its own, named by
environment="package.module:Class".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from evaluation.benchmarks import Example
from rl.reward import Answer, Judged, answer_of
from rl.types import Part

if TYPE_CHECKING:
    from rl.config import RlConfig

Judge = Callable[[Sequence[Example], Sequence[Sequence[Answer]]], list[list[Judged]]]
"""Executes several answers to each of several questions."""


@dataclass(frozen=True)
class Observation:
    """What the policy reads before it answers again: the message of a user."""

    text: str


class Place(NamedTuple):
    """An episode of a part: the number of its group, and its own in there."""

    group: int
    sample: int


class Environment:
    """turns: most answers of an episode."""

    turns: int = 1

    @classmethod
    def of(cls, config: RlConfig, judge: Judge) -> Environment:
        """The one of a run; judge executes answers to questions."""
        return cls()

    def observe(self, example: Example, answer: Answer) -> Observation | None:
        """What comes back for an answer; None ends the episode."""
        raise NotImplementedError

    def observe_all(self, asked: Mapping[Place, tuple[Example, Answer]]) -> dict[Place, Observation]:
        """`observe` for many answers; those that end their episode are left out."""
        found = {place: self.observe(example, answer) for place, (example, answer) in asked.items()}
        return {place: observation for place, observation in found.items() if observation is not None}


class AnswerOnce(Environment):
    """One answer, and nothing comes back."""

    def observe(self, example: Example, answer: Answer) -> Observation | None:
        return None


Resume = Callable[[Part, Mapping[Place, Observation], int], tuple[Part, set[Place]]]
"""(part, what its episodes have been answered, the turn) → the part with these episodes gone on, and which of them
there was room for."""


def play(part: Part, environment: Environment, resume: Resume) -> Part:
    """Goes on with every episode that is answered, turn by turn. One whose answer was cut is over."""
    places = {Place(g, k) for g, group in enumerate(part.groups) for k, _ in enumerate(group.episodes)}
    for turn in range(1, environment.turns):
        answers = {place: _answer(part, place) for place in sorted(places)}
        finished = {place: answer for place, answer in answers.items() if answer[1].finished}
        if not (seen := environment.observe_all(finished)):
            break
        part, places = resume(part, seen, turn)
    return part


def _answer(part: Part, place: Place) -> tuple[Example, Answer]:
    group = part.groups[place.group]
    return group.example, answer_of(group.episodes[place.sample])
