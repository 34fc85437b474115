"""The page itself, on parts of a few lines that live in one process."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from evaluation.benchmarks import Example
from rl import loop
from rl.algorithms.base import Algorithm
from rl.batch import Batch
from rl.config import LearnerConfig, RolloutConfig
from rl.environment import Environment, Observation, Place, Resume, play, played
from rl.questions import ShuffledQuestions
from rl.reward import Answer
from rl.types import Episode, Group, Part, Reward, Segment
from tests.rl.question import question

EXAMPLES = [Example(f"q{n}", "db", "?", "", "SELECT 1", "db.sqlite", "") for n in range(20)]


class Scripted:
    """Answers whose reward says whether the group has a signal: from the first draw `useful` groups of 4, then all."""

    def __init__(self, useful: int) -> None:
        self.useful = useful
        self.learned: dict[int, list[Group]] = {}
        self.calls: list[tuple[int, int]] = []
        self.rewarded: dict[tuple[int, int], int] = {}
        self.published = 0
        self.versions: dict[int, int] = {}
        self.seen: list[tuple[str, int]] = []
        self.seconds: dict[int, dict[str, float]] = {}

    def sample(self, questions: Sequence[Example], step: int, refill: int, version: int, parts: int) -> Iterator[Part]:
        assert version <= self.published
        self.calls.append((step, refill))
        self.versions[step] = version
        for example in questions:
            answers = [Episode.single(k, [1], [2], [-0.5], "stop", version) for k in range(2)]
            yield Part([Group(example, answers)], {"generate": 0.25})

    def more(self, questions: Sequence[Example], samples: int, what: str, version: int) -> Iterator[Part]:
        raise AssertionError("no group grows")

    def resume(self, step: int, refill: int, version: int) -> Resume:
        def go_on(part: Part, seen: Mapping[Place, Observation], turn: int) -> tuple[Part, set[Place]]:
            assert version == self.versions[step]
            places = {place for place in seen if place.sample == 0}  # there is no room for the other
            read = {p: [len(seen[p].text)] for p in places}
            groups = [
                replace(
                    group,
                    episodes=[
                        e.then(Segment(read[p], None), Segment([turn], [-0.1])) if (p := Place(g, k)) in places else e
                        for k, e in enumerate(group.episodes)
                    ],
                )
                for g, group in enumerate(part.groups)
            ]
            return part.after("generate", 0.5, groups), places

        return go_on

    def learn(self, groups: Sequence[Group], step: int) -> None:
        self.learned.setdefault(step, []).extend(groups)

    def update(self, step: int) -> dict[str, float]:
        return {}

    def publish(self, step: int) -> dict[str, float]:
        self.published = step
        return {}

    def reward(self, part: Part) -> Part:
        return part.after("reward", 0.125, [replace(g, rewards=self.rewards_of(g)) for g in part.groups])

    def rewards_of(self, group: Group) -> list[Reward]:
        done = self.rewarded.get(self.calls[-1], 0)  # staleness 0: of the newest draw
        self.rewarded[self.calls[-1]] = done + 1
        signal = self.calls[-1][1] > 0 or done < self.useful
        return [Reward(1.0, {}, "correct"), Reward(float(not signal), {}, "wrong")]

    def record(self, step: int, batch: Batch, metrics: dict[str, float]) -> None:
        self.seen.append(("record", step))
        self.seconds[step] = batch.seconds
        assert batch.groups == self.learned[step]

    def evaluate(self, step: int) -> None:
        self.seen.append(("evaluate", step))

    def checkpoint(self, step: int) -> None:
        self.seen.append(("checkpoint", step))

    def alarm(self, step: int) -> None:
        self.seen.append(("alarm", step))


def recipe_of(parts: Scripted, **bounds: Any) -> loop.Recipe:
    grpo = Algorithm(RolloutConfig(), LearnerConfig())
    return loop.Recipe(ShuffledQuestions(EXAMPLES, 4, seed=0), parts, parts, grpo, parts, **bounds)


def run(useful: int, refills: int, staleness: int = 0, steps: int = 2) -> Scripted:
    parts = Scripted(useful)
    loop.train(range(1, steps + 1), recipe_of(parts, refills=refills, staleness=staleness))
    return parts


def test_a_step_draws_again_until_a_batch_of_groups_has_a_signal() -> None:
    parts = run(useful=1, refills=3)
    assert parts.calls == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert [sum(group.has_signal for group in groups) for groups in parts.learned.values()] == [5, 5]
    assert [len(groups) for groups in parts.learned.values()] == [8, 8]


def test_refills_are_bounded_and_none_are_drawn_when_all_groups_have_a_signal() -> None:
    assert run(useful=0, refills=0).calls == [(1, 0), (2, 0)]
    assert run(useful=4, refills=3).calls == [(1, 0), (2, 0)]


def test_right_answers_that_differ_by_shaping_alone_are_no_signal_and_still_learned_from() -> None:
    class Shaped(Scripted):
        def rewards_of(self, group: Group) -> list[Reward]:
            return [Reward(1.0, {}, "correct"), Reward(0.9, {}, "correct")]

    parts = Shaped(4)
    loop.train(range(1, 2), recipe_of(parts, refills=2))
    assert parts.calls == [(1, 0), (1, 1), (1, 2)]
    # centred ±0.05, divided by the spread of 1 0, sqrt(1/2)
    for group in parts.learned[1]:
        assert group.has_gradient and not group.has_signal
        assert group.advantages == pytest.approx([0.05 * 2**0.5, -0.05 * 2**0.5], rel=1e-5)


def test_a_refill_is_the_same_whenever_it_is_drawn_and_differs_from_the_others() -> None:
    questions = ShuffledQuestions(EXAMPLES, 4, seed=0)
    assert questions.draw(3, 1) == ShuffledQuestions(EXAMPLES, 4, seed=0).draw(3, 1)
    assert len({tuple(e.id for e in questions.draw(3, refill)) for refill in range(4)}) == 4


def test_a_dropped_question_moves_no_other_and_every_pass_has_all_that_are_left() -> None:
    def passes(dropped: frozenset[str]) -> list[str]:
        questions = ShuffledQuestions(EXAMPLES, 3, 0, dropped)
        return [e.id for step in range(1, 40) for e in questions.draw(step)]

    whole, less = passes(frozenset()), passes(frozenset({"q7"}))
    assert less[:95] == [name for name in whole if name != "q7"][:95]
    assert sorted(less[:19]) == sorted(less[19:38]) == sorted(e.id for e in EXAMPLES if e.id != "q7")
    refills = [ShuffledQuestions(EXAMPLES, 20, 0, dropped).draw(1, 1) for dropped in (frozenset(), frozenset({"q7"}))]
    assert refills[1] == [e for e in refills[0] if e.id != "q7"]


def test_a_batch_larger_than_a_pass_holds_several() -> None:
    drawn = [e.id for e in ShuffledQuestions(EXAMPLES[:3], 7, 0).draw(1)]
    assert sorted(drawn[:3]) == sorted(drawn[3:6]) == ["q0", "q1", "q2"] and len(drawn) == 7


def test_questions_of_one_database_are_drawn_together_and_each_once_a_pass() -> None:
    examples = [replace(example, database=f"db{n % 3}.sqlite") for n, example in enumerate(EXAMPLES[:12])]
    questions = ShuffledQuestions(examples, 4, 0, together=4)
    drawn = [questions.draw(step) for step in (1, 2, 3)]
    assert sorted(e.id for batch in drawn for e in batch) == sorted(e.id for e in examples)
    assert [len({e.database for e in batch}) for batch in drawn] == [1, 1, 1]


@pytest.mark.parametrize("staleness", [0, 1, 2])
def test_a_batch_is_sampled_by_the_newest_policy_when_it_begins_and_begins_up_to_staleness_steps_early(
    staleness: int,
) -> None:
    parts = run(useful=4, refills=0, staleness=staleness, steps=5)
    # step s begins when step s - staleness does, after the update of step s - staleness - 1
    assert parts.versions == {step: max(0, step - 1 - staleness) for step in range(1, 6)}
    assert [sorted({g.example.id for g in groups}) for groups in parts.learned.values()] == [
        sorted(e.id for e in ShuffledQuestions(EXAMPLES, 4, seed=0).draw(step)) for step in range(1, 6)
    ]


@pytest.mark.parametrize("staleness", [1, 2])
def test_a_resumed_run_has_the_waiting_batches_sampled_by_the_policies_of_an_unbroken_one(staleness: int) -> None:
    whole = run(useful=4, refills=0, staleness=staleness, steps=6)
    for done in range(1, 6):
        rest = Scripted(useful=4)
        rest.published = done  # and its checkpoint holds the policies before it that are still needed
        loop.train(range(done + 1, 7), recipe_of(rest, staleness=staleness))
        assert rest.versions == {step: whole.versions[step] for step in range(done + 1, 7)}
        assert min(rest.versions.values()) >= max(0, done - staleness)
        for step, groups in rest.learned.items():
            assert [group.episodes for group in groups] == [group.episodes for group in whole.learned[step]]


def test_a_sample_that_is_older_than_the_bound_or_from_the_future_is_refused() -> None:
    def group(version: int) -> Group:
        rollouts = [Episode.single(k, [1], [2], [-0.5], "stop", version) for k in range(2)]
        return Group(question("q"), rollouts, [Reward(0.0, {}, "wrong")] * 2, [0.0, 0.0])

    loop.check_age([group(2), group(3)], step=4, staleness=1)
    for version in (1, 4):
        with pytest.raises(loop.StaleSamples, match=rf"policies 2 to 3 .* got some of \[{version}\]"):
            loop.check_age([group(3), group(version)], step=4, staleness=1)


def test_an_exception_of_a_part_ends_the_loop() -> None:
    class Broken(Scripted):
        def rewards_of(self, group: Group) -> list[Reward]:
            raise LookupError("no ruler")

    parts = Broken(4)
    with pytest.raises(LookupError, match="no ruler"):
        loop.train(range(1, 3), recipe_of(parts))


def test_every_step_is_recorded_then_evaluated_saved_and_checked_and_seconds_add_up() -> None:
    parts = run(useful=1, refills=1)
    names = ["record", "evaluate", "checkpoint", "alarm"]
    assert parts.seen == [(name, step) for step in (1, 2) for name in names]
    seconds = dict(parts.seconds[1])
    assert seconds.pop("wait") >= 0 and seconds == {"generate": 8 * 0.25, "reward": 8 * 0.125}  # two draws of four


def test_episodes_go_on_while_they_are_answered_and_there_is_room_up_to_the_last_turn() -> None:
    class Insists(Environment):
        turns = 3

        def observe(self, example: Example, answer: Answer) -> Observation | None:
            asked.append(example.id)
            return None if example.id == satisfied else Observation("again")

    parts, asked = Scripted(4), list[str]()
    satisfied = ShuffledQuestions(EXAMPLES, 4, seed=0).draw(1)[0].id
    loop.train(range(1, 2), recipe_of(parts, environment=Insists()))
    first, *others = parts.learned[1]
    assert [e.segments for e in first.episodes] == [(Segment([2], [-0.5]),)] * 2
    for group in others:
        goes_on, ended = group.episodes
        assert [s.ids for s in goes_on.segments] == [[2], [5], [1], [5], [2]] and goes_on.turns == 3
        assert goes_on.token_ids == [2, 1, 2] and goes_on.log_probs == [-0.5, -0.1, -0.1] and goes_on.length == 5
        assert ended.turns == 1
    assert len(asked) == 2 + 3 * (2 + 1)  # after the first answer both of each group, after the second one of three


class Insistent(Environment):
    """Answers everything, up to the third turn."""

    turns = 3

    def observe(self, example: Example, answer: Answer) -> Observation | None:
        return Observation("again")


def parts_of(count: int) -> list[Part]:
    parts = Scripted(4)
    parts.calls = []
    return [part for n in range(count) for part in parts.sample([EXAMPLES[n]], 1, 0, 0, 1)]


def asked_of(calls: list[tuple[int, list[str]]], parts: Scripted) -> Resume:
    def resume(part: Part, seen: Mapping[Place, Observation], turn: int) -> tuple[Part, set[Place]]:
        calls.append((turn, [part.groups[place.group].example.id for place in sorted(seen)]))
        parts.versions[1] = 0
        return parts.resume(1, 0, 0)(part, seen, turn)

    return resume


def test_in_waves_the_turns_of_all_parts_are_sampled_together_and_episodes_are_those_of_parts_played_alone() -> None:
    calls, parts = list[tuple[int, list[str]]](), Scripted(4)
    (whole,) = played(parts_of(3), Insistent(), asked_of(calls, parts), waves=True)
    both = [f"q{n}" for n in range(3) for _ in range(2)]
    assert calls == [(1, both), (2, both[::2])]  # there is room for one of each two
    alone = [group for part in parts_of(3) for group in play(part, Insistent(), asked_of([], parts)).groups]
    assert whole.groups == alone and whole.seconds == {"generate": 3 * 0.25 + 2 * 0.5}


def test_in_flight_a_part_goes_on_without_waiting_for_the_slowest_and_parts_stay_in_order() -> None:
    calls, parts, gone_on = list[tuple[int, list[str]]](), Scripted(4), threading.Event()

    def slowly() -> Iterator[Part]:
        first, second = parts_of(2)
        yield first
        assert gone_on.wait(10), "the first part has not gone on while the second was sampled"
        yield second

    def resume(part: Part, seen: Mapping[Place, Observation], turn: int) -> tuple[Part, set[Place]]:
        found = asked_of(calls, parts)(part, seen, turn)
        gone_on.set()
        return found

    found = list(played(slowly(), Insistent(), resume, waves=False))
    assert [part.groups[0].example.id for part in found] == ["q0", "q1"]
    assert all(episode.turns == 3 for part in found for episode in part.groups[0].episodes[:1])
