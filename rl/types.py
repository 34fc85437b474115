"""The values that travel between the parts of the loop. Plain lists only; tensors exist inside the learner.

Axes: B questions of a step, K samples of a question, T tokens of a sample.

>>> question = Example("q1", "shop", "How many items?", "", "SELECT count(*) FROM item", "shop.sqlite", "")
>>> answer = Episode.single(0, [5, 6], [9, 2], [-0.1, -0.3], "stop", 0)
>>> Group(question, [answer], [Reward(1.0, {"correct": 1.0}, "correct")], [0.0]).has_signal
False
>>> repaired = answer.then(Segment([7, 8], None)).then(Segment([4, 2], [-0.2, -0.1]))
>>> repaired.token_ids, repaired.length
([9, 2, 4, 2], 6)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from evaluation.benchmarks import Example

Aggregation = Literal["sequence_mean", "token_mean", "constant"]
Surrogate = Literal["clipped", "gspo", "cispo", "reinforce"]
KlEstimator = Literal["k1", "k2", "k3"]
"""Words of the loss, see `rl/algorithms/losses.py`."""


class Segment(NamedTuple):
    """Ids that the policy wrote, each with the engine's log-probability, or with None ids that it read."""

    ids: Sequence[int]
    log_probs: Sequence[float] | None


@dataclass(frozen=True)
class Episode:
    """One sample of a question: its prompt, then what was written and read. A single answer is one segment.

    prompt_ids and the ids of segments are as the engine saw and sampled them, stop tokens included, never re-tokenised.
    log-probabilities: of each sampled id, full softmax at the sampling temperature. finish_reason: of the last answer,
    "stop" or "length". policy_step: the policy version that sampled all of it. sql: of the last answer; before: of the
    earlier ones.
    """

    sample: int
    prompt_ids: Sequence[int]
    segments: Sequence[Segment]
    finish_reason: str
    policy_step: int
    sql: str = ""
    before: tuple[str, ...] = ()

    @classmethod
    def single(
        cls,
        sample: int,
        prompt_ids: Sequence[int],
        token_ids: Sequence[int],
        log_probs: Sequence[float],
        finish_reason: str,
        policy_step: int,
        sql: str = "",
    ) -> Episode:
        """One answer to the prompt."""
        return cls(sample, prompt_ids, (Segment(token_ids, log_probs),), finish_reason, policy_step, sql)

    def then(self, *segments: Segment) -> Episode:
        """Gone on by these segments."""
        return replace(self, segments=(*self.segments, *segments))

    @property
    def token_ids(self) -> list[int]:
        """What the policy wrote: the ids that are learned."""
        return [id_ for segment in self.segments if segment.log_probs is not None for id_ in segment.ids]

    @property
    def log_probs(self) -> list[float]:
        """Of `token_ids`."""
        return [value for segment in self.segments for value in segment.log_probs or ()]

    @property
    def ids(self) -> list[int]:
        """All of it: the prompt, then what was written and read."""
        return [*self.prompt_ids, *(id_ for segment in self.segments for id_ in segment.ids)]

    @property
    def length(self) -> int:
        """Tokens behind the prompt, written and read."""
        return sum(len(segment.ids) for segment in self.segments)

    @property
    def turns(self) -> int:
        return sum(segment.log_probs is not None for segment in self.segments)


@dataclass(frozen=True)
class Reward:
    """value: what the learner sees. parts: what it is made of, before weights. verdict: `evaluation.judge` status.
    error: why the SQL did not run."""

    value: float
    parts: dict[str, float]
    verdict: str
    error: str = ""

    @property
    def correct(self) -> bool:
        """The same answer as gold, be it no row at all or, where the reward takes it, with other columns first."""
        return self.verdict in ("correct", "empty_both", "reordered")


@dataclass(frozen=True)
class Group:
    """A question with its K episodes and, aligned by position, their K rewards and advantages once these are known."""

    example: Example
    episodes: Sequence[Episode]
    rewards: Sequence[Reward] = ()
    advantages: Sequence[float] = ()

    def __post_init__(self) -> None:
        assert len(self.rewards) in (0, len(self.episodes)) and len(self.advantages) in (0, len(self.episodes))

    @property
    def has_gradient(self) -> bool:
        """Whether any advantage is not zero: a group without costs the learner no time, unless KL or entropy act."""
        return any(a != 0.0 for a in self.advantages)

    @property
    def has_signal(self) -> bool:
        """Whether it tells right answers from wrong ones: a difference of shaping alone is no signal."""
        return self.has_gradient and len({reward.correct for reward in self.rewards}) > 1

    def pick(self, places: Sequence[int]) -> Group:
        """The episodes at these places, with what is known of them."""
        chosen = [[values[i] for i in places] if values else () for values in (self.rewards, self.advantages)]
        return Group(self.example, [self.episodes[i] for i in places], *chosen)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Part:
    """Some of a step's groups, and the seconds that each phase took for them, by its name."""

    groups: Sequence[Group]
    seconds: Mapping[str, float] = field(default_factory=dict)

    def with_part(self, other: Part) -> Part:
        """The groups of both, and their seconds together."""
        both = self.seconds.keys() | other.seconds.keys()
        seconds = {phase: self.seconds.get(phase, 0.0) + other.seconds.get(phase, 0.0) for phase in sorted(both)}
        return Part([*self.groups, *other.groups], seconds)

    def after(self, phase: str, seconds: float, groups: Sequence[Group]) -> Part:
        """What a phase has made of it, and how long that took."""
        return Part(groups, {**self.seconds, phase: self.seconds.get(phase, 0.0) + seconds})
