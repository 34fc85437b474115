"""What goes wrong with rewards without anyone noticing: they arrive out of order and go to another question."""

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed

import pytest

from cluster.pool import Pool
from cluster.runtime import Runtime, start
from evaluation.benchmarks import Example, load_examples
from rl.reward import Answer, Judged, RewardConfig, RewardWorker, group_rewards

Group = tuple[Example, Sequence[Answer]]
PATIENCE_S = 120.0


class Unhurried(RewardWorker):
    """Takes its time, a different one for each call."""

    def judge_groups(self, groups: Sequence[Group]) -> list[list[Judged]]:
        time.sleep(random.uniform(0.0, 0.1))
        return super().judge_groups(groups)


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with start(num_cpus=4, object_store_mib=128) as running:
        yield running


@pytest.fixture(scope="module")
def groups() -> list[Group]:
    """Questions with 2 to 5 answers, of which the right one stands in a place of its own."""
    examples, rng = load_examples("tiny", "train")[::80], random.Random(0)
    made: list[Group] = []
    for example in examples:
        answers = [Answer(rng.choice(examples).gold_sql, True) for _ in range(rng.randint(1, 4))]
        answers.insert(rng.randint(0, len(answers)), Answer(example.gold_sql, rng.random() < 0.5))
        made.append((example, answers))
    return made


@pytest.fixture(scope="module")
def serial(groups: list[Group]) -> list[list[Judged]]:
    """One answer at a time."""
    worker = RewardWorker(deadline_s=1.0)
    judged = [[worker.judge_groups([(example, [a])])[0][0] for a in answers] for example, answers in groups]
    worker.close()
    return judged


def test_a_worker_gives_each_answer_its_own_verdict(groups: list[Group], serial: list[list[Judged]]) -> None:
    worker = RewardWorker(deadline_s=1.0)
    assert worker.judge_groups(groups) == serial
    worker.close()
    assert len({judged.verdict for judged_K in serial for judged in judged_K}) > 1


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
def test_rewards_keep_their_questions_whatever_the_order_in_which_they_arrive(
    groups: list[Group], serial: list[list[Judged]]
) -> None:
    config = RewardConfig(executable=0.1, format=0.1)
    expected = [group_rewards(judged, config) for judged in serial]
    with Pool(Unhurried, 1.0, method="judge_groups", size=2, name="unhurried", num_cpus=0.1) as pool:
        judged = pool.map(groups, batch_size=1, timeout_s=PATIENCE_S)
        assert [group_rewards(judged_K, config) for judged_K in judged] == expected
        places = {pool.submit([group], PATIENCE_S): place for place, group in enumerate(groups)}
        arrived = {places[future]: future.result()[0] for future in as_completed(places, PATIENCE_S)}
    assert list(arrived) != sorted(arrived), "they did arrive out of order"
    assert [group_rewards(arrived[place], config) for place in range(len(groups))] == expected
