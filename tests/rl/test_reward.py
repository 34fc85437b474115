import pytest

from evaluation.benchmarks import load_examples
from evaluation.errors import UserError
from rl.advantages import advantages
from rl.reward import Judged, RewardConfig, RewardWorker, group_rewards, self_test

SHAPED = RewardConfig(executable=0.1, format=0.1)
WRONG = {"correct": 0.0, "executable": 1.0, "simple": 0.0, "format": 1.0}
BROKEN = {"correct": 0.0, "executable": 0.0, "simple": 0.0, "format": 1.0}
RIGHT = {"correct": 1.0, "executable": 1.0, "simple": 0.0, "format": 1.0}


@pytest.fixture(scope="module")
def worker():
    worker = RewardWorker(deadline_s=1.0)
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def examples():
    return load_examples("tiny", "train")[::100]


def test_an_all_wrong_group_never_learns_from_shaping():
    judged = [Judged("wrong", WRONG), Judged("error", BROKEN), Judged("error", BROKEN)]
    assert [r.value for r in group_rewards(judged, SHAPED)] == [0.0, 0.0, 0.0]
    # without the gate, 0.1 of shaping becomes an advantage of full size: (0.2 - 0.133) / 0.0577 = 1.15
    ungated = [0.1 * j.parts["executable"] + 0.1 * j.parts["format"] for j in judged]
    assert advantages("grpo", [ungated])[0][0] == pytest.approx(1.1547, rel=1e-3)


def test_shaping_ranks_wrong_answers_once_the_group_holds_a_right_one():
    judged = [Judged("correct", RIGHT), Judged("wrong", WRONG), Judged("error", BROKEN)]
    assert [r.value for r in group_rewards(judged, SHAPED)] == pytest.approx([1.2, 0.2, 0.1])


def test_the_shuffled_control_permutes_rewards_and_leaves_verdicts():
    judged = [Judged("correct", RIGHT)] * 2 + [Judged("wrong", WRONG)] * 6
    control = RewardConfig(shuffled=True)
    groups = [group_rewards(judged, control, shuffle_seed=str(seed)) for seed in range(20)]
    assert all(sorted(r.value for r in group) == [0.0] * 6 + [1.0] * 2 for group in groups)
    assert any(group[7].value == 1.0 for group in groups)
    assert all([r.verdict for r in group][:2] == ["correct"] * 2 for group in groups)


@pytest.mark.parametrize(
    "hack", ["SELECT 1", "-- nothing", "SELECT * FROM sqlite_master LIMIT 0", "PRAGMA user_version", ""]
)
def test_queries_that_answer_nothing_earn_nothing(worker, examples, hack):
    judged = [worker.judge(example, hack) for example in examples]
    assert not any(j.parts["correct"] for j in judged)


def test_the_self_test_passes_on_good_data_and_stops_on_broken_golds(worker, examples):
    self_test(worker, examples)
    broken = [type(e)(**{**e.__dict__, "gold_sql": "SELECT nothing FROM nowhere"}) for e in examples]
    with pytest.raises(UserError, match="self-test"):
        self_test(worker, broken)
