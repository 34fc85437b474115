"""More answers where a group is undecided, within the budget of the step."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from evaluation.benchmarks import Example
from evaluation.errors import UserError
from rl import loop
from rl.config import RlConfig, RolloutConfig
from rl.growth import Growth, joined, undecided
from rl.types import Group, Part, Reward
from sft.settings.file import validate
from tests.rl.test_loop import Scripted, recipe_of
from tests.rl.test_pairs import group_of


class Source:
    """Answers more: as `verdicts` says for the question and the round, all wrong else."""

    def __init__(self, **verdicts: str) -> None:
        self.verdicts, self.asked = verdicts, list[tuple[int, int, list[str]]]()

    def __call__(self, questions: Sequence[Example], samples: int, round_: int) -> Part:
        self.asked.append((round_, samples, [question.id for question in questions]))
        found = [self.verdicts.get(f"{question.id}_{round_}", "w" * samples) for question in questions]
        return Part([group_of(one, int(q.id[1:])) for one, q in zip(found, questions, strict=True)], {"reward": 1.0})


def grown(growth: Growth, source: Source, *groups: Group, whole: bool = False) -> list[Part]:
    parts = [Part([group], {"generate": 0.5}) for group in groups]
    return list(growth.grown(parts, source, whole))


def test_an_undecided_group_is_doubled_until_it_is_decided_or_full_and_a_decided_one_goes_at_once() -> None:
    source = Source(q1_1="wwww", q1_2="wwwrwwww", q3_1="rrrr", q3_2="rrrrrrrr")
    first, last = grown(Growth(16, 1000), source, group_of("wwww", 1), group_of("wrww", 2), group_of("rrrr", 3))
    assert [group.example.id for group in first.groups] == ["q2"] and len(first.groups[0].episodes) == 4
    assert source.asked == [(1, 4, ["q1", "q3"]), (2, 8, ["q1", "q3"])]
    assert [len(group.episodes) for group in last.groups] == [16, 16]
    assert not undecided(last.groups[0]) and undecided(last.groups[1])
    assert [episode.sample for episode in last.groups[0].episodes] == list(range(16))
    assert [reward.correct for reward in last.groups[0].rewards].index(True) == 11
    # the seconds of a part that waited whole, and of both rounds
    assert (first.seconds, last.seconds) == ({"generate": 0.5}, {"generate": 1.0, "reward": 2.0})


def test_the_budget_bounds_a_step_and_the_first_drawn_come_first() -> None:
    source = Source()
    # 12 first samples of 26: three groups want 4 more, then 2 · 4 = 8 more for one is beyond what is left
    (last,) = grown(Growth(16, 26), source, group_of("wwww", 1), group_of("wwww", 2), group_of("wwww", 3))
    assert source.asked == [(1, 4, ["q1", "q2", "q3"])] and sum(len(g.episodes) for g in last.groups) == 24
    source = Source()
    grown(Growth(16, 22), source, group_of("wwww", 1), group_of("wwww", 2), group_of("wwww", 3))
    assert source.asked == [(1, 4, ["q1", "q2"])]
    source = Source()
    grown(Growth(6, 1000), source, group_of("wwww", 1))
    assert source.asked == [(1, 2, ["q1"])]


def test_without_growth_parts_pass_as_they_are_and_for_the_whole_step_in_one() -> None:
    groups = [group_of("ww", 1), group_of("rw", 2)]
    assert [part.groups for part in grown(Growth(), Source(), *groups)] == [[groups[0]], [groups[1]]]
    (one,) = grown(Growth(), Source(), *groups, whole=True)
    assert one.groups == groups and one.seconds == {"generate": 1.0}


def test_the_loop_credits_a_grown_group_whole() -> None:
    class Growing(Scripted):
        """Two wrong answers to each of 4 questions, then more, the first of which is right."""

        def rewards_of(self, group: Group) -> list[Reward]:
            right = Reward(float(bool(asked)), {}, "correct" if asked else "wrong")
            return [right, *[Reward(0.0, {}, "wrong")] * (len(group.episodes) - 1)]

        def more(self, questions: Sequence[Example], samples: int, what: str, version: int) -> Iterator[Part]:
            asked.append((len(questions), samples, what, version))
            yield Part([group for part in self.sample(questions, 1, 0, version, 1) for group in part.groups])

    asked, parts = list[tuple[int, int, str, int]](), Growing(useful=4)
    loop.train(range(1, 2), replace(recipe_of(parts), growth=Growth(4, 100)))
    assert asked == [(4, 2, "1/0/more/1", 0)]
    # of rewards 0 0 1 0: mean ¼, sample deviation ½
    assert [group.advantages for group in parts.learned[1]] == [pytest.approx([-0.5, -0.5, 1.5, -0.5], abs=1e-4)] * 4


def test_the_settings_refuse_what_does_not_grow() -> None:
    assert RolloutConfig(questions=8, samples=4, grow_to=16).growth == Growth(16, 64)
    for settings, message in (
        ({"samples": 8, "grow_to": 8}, "grow_to must be more than samples = 8, or 0, got 8"),
        ({"questions": 8, "samples": 4, "grow_to": 8, "budget": 32}, "more than questions × samples = 32"),
        ({"budget": 4000}, "budget bounds grow_to"),
    ):
        with pytest.raises(UserError, match=message):
            validate(RlConfig, {"rollout": settings}, "test")
    with pytest.raises(UserError, match="rollout.grow_to is for answers of one turn"):
        validate(RlConfig, {"environment": "run_and_repair", "rollout": {"grow_to": 16}}, "test")
    assert len(joined(group_of("ww"), group_of("rw")).rewards) == 4
