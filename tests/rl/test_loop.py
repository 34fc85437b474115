"""The page itself, on parts of a few lines that live in one process."""

from collections.abc import Sequence

from evaluation.benchmarks import Example
from rl import loop
from rl.parts import ShuffledQuestions
from rl.types import Group, Reward, Rollout

EXAMPLES = [Example(f"q{n}", "db", "?", "", "SELECT 1", "db.sqlite", "") for n in range(20)]


class Scripted:
    """Answers whose reward says whether the group has a signal: from the first draw `useful` groups of 4, then all."""

    def __init__(self, useful: int) -> None:
        self.useful, self.learned, self.calls = useful, list[Sequence[Group]](), list[tuple[int, int]]()

    def sample(self, examples: Sequence[Example], step: int, refill: int) -> list[list[Rollout]]:
        self.calls.append((step, refill))
        return [[Rollout(e.id, k, [1], [2], [-0.5], "stop", step - 1) for k in range(2)] for e in examples]

    def learn(self, groups: Sequence[Group], step: int) -> dict[str, float]:
        self.learned.append(groups)
        return {}

    def publish(self, step: int) -> dict[str, float]:
        return {}

    def reward(self, examples: Sequence[Example], rollouts: Sequence[Sequence[Rollout]]) -> list[list[Reward]]:
        useful = self.useful if self.calls[-1][1] == 0 else len(examples)
        return [[Reward(1.0, {}, "correct"), Reward(float(n >= useful), {}, "wrong")] for n in range(len(examples))]


def run(useful: int, refills: int) -> Scripted:
    parts = Scripted(useful)
    questions = ShuffledQuestions(EXAMPLES, 4, seed=0)
    loop.train(range(1, 3), questions, parts, parts, "grpo", lambda *record: None, refills)
    return parts


def test_a_step_draws_again_until_a_batch_of_groups_has_a_signal() -> None:
    parts = run(useful=1, refills=3)
    assert parts.calls == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert [sum(group.has_signal for group in groups) for groups in parts.learned] == [5, 5]
    assert [len(groups) for groups in parts.learned] == [8, 8]


def test_refills_are_bounded_and_none_are_drawn_when_all_groups_have_a_signal() -> None:
    assert run(useful=0, refills=0).calls == [(1, 0), (2, 0)]
    assert run(useful=4, refills=3).calls == [(1, 0), (2, 0)]


def test_a_refill_is_the_same_whenever_it_is_drawn_and_differs_from_the_others() -> None:
    questions = ShuffledQuestions(EXAMPLES, 4, seed=0)
    assert questions.draw(3, 1) == ShuffledQuestions(EXAMPLES, 4, seed=0).draw(3, 1)
    assert len({tuple(e.id for e in questions.draw(3, refill)) for refill in range(4)}) == 4
