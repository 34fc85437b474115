"""The page itself, on parts of a few lines that live in one process."""

from collections.abc import Iterator, Sequence

import pytest

from evaluation.benchmarks import Example
from rl import loop
from rl.parts import ShuffledQuestions
from rl.types import Group, Reward, Rollout

EXAMPLES = [Example(f"q{n}", "db", "?", "", "SELECT 1", "db.sqlite", "") for n in range(20)]


class Scripted:
    """Answers whose reward says whether the group has a signal: from the first draw `useful` groups of 4, then all."""

    def __init__(self, useful: int) -> None:
        self.useful = useful
        self.learned: dict[int, list[Group]] = {}
        self.calls: list[tuple[int, int]] = []
        self.rewarded: dict[tuple[int, int], list[Example]] = {}
        self.published = 0
        self.versions: dict[int, int] = {}

    def sample(
        self, examples: Sequence[Example], step: int, refill: int, version: int, parts: int, seconds: loop.Seconds
    ) -> Iterator[loop.Rollouts]:
        assert version <= self.published
        self.calls.append((step, refill))
        self.versions[step] = version
        for example in examples:
            yield [(example, [Rollout(example.id, k, [1], [2], [-0.5], "stop", version) for k in range(2)])]

    def learn(self, groups: Sequence[Group], step: int) -> None:
        self.learned.setdefault(step, []).extend(groups)

    def update(self, step: int) -> dict[str, float]:
        return {}

    def publish(self, step: int) -> dict[str, float]:
        self.published = step
        return {}

    def reward(self, examples: Sequence[Example], rollouts: Sequence[Sequence[Rollout]]) -> list[list[Reward]]:
        rewarded = self.rewarded.setdefault(self.calls[-1], [])  # staleness 0: of the newest draw
        signal = self.calls[-1][1] > 0 or len(rewarded) < self.useful
        rewarded += examples
        return [[Reward(1.0, {}, "correct"), Reward(float(not signal), {}, "wrong")] for _ in examples]


def run(useful: int, refills: int, staleness: int = 0, steps: int = 2) -> Scripted:
    parts = Scripted(useful)
    questions = ShuffledQuestions(EXAMPLES, 4, seed=0)
    record = range(1, steps + 1), questions, parts, parts, "grpo", lambda *record: None
    loop.train(*record, refills, staleness)  # type: ignore[arg-type]
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
        def reward(self, examples: Sequence[Example], rollouts: Sequence[Sequence[Rollout]]) -> list[list[Reward]]:
            return [[Reward(1.0, {}, "correct"), Reward(0.9, {}, "correct")] for _ in examples]

    parts = Shaped(4)
    loop.train(range(1, 2), ShuffledQuestions(EXAMPLES, 4, 0), parts, parts, "grpo", lambda *record: None, refills=2)
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


@pytest.mark.parametrize("staleness", [0, 1, 2])
def test_a_batch_is_sampled_by_the_newest_policy_when_it_begins_and_begins_up_to_staleness_steps_early(
    staleness: int,
) -> None:
    parts = run(useful=4, refills=0, staleness=staleness, steps=5)
    # step s begins when step s - staleness does, after the update of step s - staleness - 1
    assert parts.versions == {step: max(0, step - 1 - staleness) for step in range(1, 6)}
    assert [sorted({g.example_id for g in groups}) for groups in parts.learned.values()] == [
        sorted(e.id for e in ShuffledQuestions(EXAMPLES, 4, seed=0).draw(step)) for step in range(1, 6)
    ]


@pytest.mark.parametrize("staleness", [1, 2])
def test_a_resumed_run_has_the_waiting_batches_sampled_by_the_policies_of_an_unbroken_one(staleness: int) -> None:
    whole = run(useful=4, refills=0, staleness=staleness, steps=6)
    for done in range(1, 6):
        rest = Scripted(useful=4)
        rest.published = done  # and its checkpoint holds the policies before it that are still needed
        questions = ShuffledQuestions(EXAMPLES, 4, seed=0)
        remaining = range(done + 1, 7), questions, rest, rest, "grpo", lambda *record: None
        loop.train(*remaining, 0, staleness)  # type: ignore[arg-type]
        assert rest.versions == {step: whole.versions[step] for step in range(done + 1, 7)}
        assert min(rest.versions.values()) >= max(0, done - staleness)
        for step, groups in rest.learned.items():
            assert [group.rollouts for group in groups] == [group.rollouts for group in whole.learned[step]]


def test_a_sample_that_is_older_than_the_bound_or_from_the_future_is_refused() -> None:
    def group(version: int) -> Group:
        rollouts = [Rollout("q", k, [1], [2], [-0.5], "stop", version) for k in range(2)]
        return Group("q", rollouts, [Reward(0.0, {}, "wrong")] * 2, [0.0, 0.0])

    loop.check_age([group(2), group(3)], step=4, staleness=1)
    for version in (1, 4):
        with pytest.raises(loop.StaleSamples, match=rf"policies 2 to 3 .* got some of \[{version}\]"):
            loop.check_age([group(3), group(version)], step=4, staleness=1)


def test_an_exception_of_a_part_ends_the_loop() -> None:
    class Broken(Scripted):
        def reward(self, examples: object, rollouts: object) -> list[list[Reward]]:
            raise LookupError("no ruler")

    parts = Broken(4)
    with pytest.raises(LookupError, match="no ruler"):
        loop.train(range(1, 3), ShuffledQuestions(EXAMPLES, 4, 0), parts, parts, "grpo", lambda *record: None)
