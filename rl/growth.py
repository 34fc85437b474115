"""More answers where a group is undecided: all right, or all wrong, so that it tells nothing yet.

    4 answers, all alike → 8, all alike → 16        as long as the step's budget of samples lasts, in the order drawn
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from evaluation.benchmarks import Example
from rl.types import Group, Part

More = Callable[[Sequence[Example], int, int], Part]
"""(questions, samples, round) → that many answers more to each, in order, with their rewards."""


@dataclass(frozen=True)
class Growth:
    """most: samples of a question; budget: of a step, the first ones included."""

    most: int = 0
    budget: int = 0

    def grown(self, parts: Iterable[Part], more: More, whole: bool) -> Iterator[Part]:
        """Rewarded parts, as soon as they are decided; then, in one part, the groups that were not. whole: all of them
        in one part."""
        later, left = Part(()), self.budget
        for part in parts:
            left -= samples(part.groups)
            waits = [whole or self._grows(group) for group in part.groups]
            later = later.with_part(Part([g for g, w in zip(part.groups, waits, strict=True) if w]))
            ready = [g for g, w in zip(part.groups, waits, strict=True) if not w]
            if ready or not part.groups:
                yield Part(ready, part.seconds)
            else:
                later = later.with_part(Part((), part.seconds))
        if later.groups:
            yield self._rounds(later, left, more)

    def _rounds(self, part: Part, left: int, more: More) -> Part:
        groups, seconds, round_ = list(part.groups), Part((), part.seconds), 0
        while places := self._affordable(groups, left):
            round_ += 1
            count = self._missing(groups[places[0]])
            found = more([groups[place].example for place in places], count, round_)
            for place, group in zip(places, found.groups, strict=True):
                groups[place] = joined(groups[place], group)
            left, seconds = left - count * len(places), seconds.with_part(Part((), found.seconds))
        return Part(groups, seconds.seconds)

    def _affordable(self, groups: Sequence[Group], left: int) -> list[int]:
        """Places of undecided groups of one size, the smallest, as many as there is budget for."""
        places = [place for place, group in enumerate(groups) if self._grows(group)]
        size = min((len(groups[place].episodes) for place in places), default=0)
        places = [place for place in places if len(groups[place].episodes) == size]
        return places[: left // self._missing(groups[places[0]])] if places else []

    def _grows(self, group: Group) -> bool:
        return undecided(group) and len(group.episodes) < self.most

    def _missing(self, group: Group) -> int:
        """As many again as there are, up to `most`."""
        return min(len(group.episodes), self.most - len(group.episodes))


def undecided(group: Group) -> bool:
    """Whether its answers are all right or all wrong."""
    return len({reward.correct for reward in group.rewards}) == 1


def joined(group: Group, more: Group) -> Group:
    """With answers that came later, numbered on."""
    first = len(group.episodes)
    later = [replace(episode, sample=first + k) for k, episode in enumerate(more.episodes)]
    return replace(group, episodes=[*group.episodes, *later], rewards=[*group.rewards, *more.rewards])


def samples(groups: Sequence[Group]) -> int:
    return sum(len(group.episodes) for group in groups)
