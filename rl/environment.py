"""What answers back while an episode is sampled.

    answer → observe → None           the episode is over: always, where a question is answered once
           → observe → Observation    the policy reads it and answers again, up to `turns` times

Observations are read, never learned. A new environment is a subclass in a file of its own, named by
environment="package.module:Class".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
    return _go_on(part, _observed(part, _places(part), environment), environment, resume)


def played(parts: Iterable[Part], environment: Environment, resume: Resume, waves: bool) -> Iterator[Part]:
    """`play` for the parts of a step.

    waves: the next turns of all parts are sampled together, in one part, for an engine that takes up nothing before it
    is through with what it was given. Else each part goes on as soon as its own answers are there, beside the others.
    """
    if environment.turns == 1:
        yield from parts
    elif waves:
        yield _in_waves(parts, environment, resume)
    else:
        yield from _in_flight(parts, environment, resume)


def _in_waves(parts: Iterable[Part], environment: Environment, resume: Resume) -> Part:
    """What is asked is the same for the same parts, whenever they come; a part is observed while others are sampled."""
    whole, seen = Part(()), dict[Place, Observation]()
    for part in parts:
        behind = len(whole.groups)
        observed = _observed(part, _places(part), environment)
        seen |= {Place(behind + place.group, place.sample): one for place, one in observed.items()}
        whole = whole.with_part(part)
    return _go_on(whole, seen, environment, resume)


def _in_flight(parts: Iterable[Part], environment: Environment, resume: Resume) -> Iterator[Part]:
    """In order, each as soon as it and those before it are over."""
    with ThreadPoolExecutor(thread_name_prefix="turns") as pool:
        playing = deque[Future[Part]]()
        for part in parts:
            playing.append(pool.submit(play, part, environment, resume))
            while playing and playing[0].done():
                yield playing.popleft().result()
        while playing:
            yield playing.popleft().result()


def _go_on(part: Part, seen: Mapping[Place, Observation], environment: Environment, resume: Resume) -> Part:
    """From what the first answers were told to the last turn."""
    for turn in range(1, environment.turns):
        if not seen:
            break
        part, places = resume(part, seen, turn)
        seen = _observed(part, places, environment) if turn + 1 < environment.turns else {}
    return part


def _places(part: Part) -> set[Place]:
    return {Place(g, k) for g, group in enumerate(part.groups) for k, _ in enumerate(group.episodes)}


def _observed(part: Part, places: Collection[Place], environment: Environment) -> dict[Place, Observation]:
    answers = {place: _answer(part, place) for place in sorted(places)}
    return environment.observe_all({place: answer for place, answer in answers.items() if answer[1].finished})


def _answer(part: Part, place: Place) -> tuple[Example, Answer]:
    group = part.groups[place.group]
    return group.example, answer_of(group.episodes[place.sample])
