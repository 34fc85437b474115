from dataclasses import replace

import pytest

from evaluation.benchmarks import load_examples
from evaluation.compare import Columns
from evaluation.errors import UserError
from rl.algorithms.advantages import advantages
from rl.reward import Judged, RewardConfig, RewardWorker, complexity, group_rewards, self_test
from tests.evaluation.test_instances import shop

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
    assert advantages("grpo", [[r.value for r in group_rewards(judged, SHAPED)]]) == [[0.0, 0.0, 0.0]]


def test_shaping_ranks_wrong_answers_once_the_group_holds_a_right_one():
    judged = [Judged("correct", RIGHT), Judged("wrong", WRONG), Judged("error", BROKEN)]
    assert [r.value for r in group_rewards(judged, SHAPED)] == pytest.approx([1.2, 0.2, 0.1])


def test_a_right_answer_that_another_database_shows_to_be_luck_earns_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("ROLLSQL_CACHE", str(tmp_path / "cache"))
    example = load_examples("own", "dev", shop(tmp_path))[0]
    lucky = "SELECT name FROM goods ORDER BY weight DESC LIMIT 1"
    for instances, verdict in ((1, "correct"), (3, "lucky")):
        worker = RewardWorker(1.0, instances=instances)
        judged = [worker.judge(example, sql) for sql in (lucky, example.gold_sql)]
        worker.close()
        assert [one.verdict for one in judged] == [verdict, "correct"]
        assert [one.parts["correct"] for one in judged] == [float(verdict == "correct"), 1.0]


def test_the_shuffled_control_permutes_rewards_and_leaves_verdicts():
    judged = [Judged("correct", RIGHT)] * 2 + [Judged("wrong", WRONG)] * 6
    control = RewardConfig(shuffled=True)
    groups = [group_rewards(judged, control, shuffle_seed=str(seed)) for seed in range(20)]
    assert all(sorted(r.value for r in group) == [0.0] * 6 + [1.0] * 2 for group in groups)
    assert any(group[7].value == 1.0 for group in groups)
    assert all([r.verdict for r in group][:2] == ["correct"] * 2 for group in groups)


def test_a_part_without_weight_is_not_computed(worker, examples, monkeypatch):
    monkeypatch.setattr("rl.reward.complexity", lambda sql: pytest.fail("parsed for nothing"))
    default = RewardWorker(1.0, RewardConfig().parts)
    judged = [default.judge(example, example.gold_sql) for example in examples[:4]]
    default.close()
    assert [j.parts for j in judged] == [{"correct": 1.0, "executable": 1.0}] * 4
    assert [r.value for r in group_rewards(judged, RewardConfig())] == [1.0] * 4
    assert RewardConfig(simple=0.1).parts == ("correct", "executable", "simple")
    assert RewardConfig(format=0.1).parts == ("correct", "executable", "format")


def test_a_query_more_complex_than_gold_earns_the_share_that_gold_needs(worker, examples):
    example = examples[0]
    # gold nested once more: of 1 + n parts to 1 + n + 1
    nested = f"SELECT * FROM ({example.gold_sql.rstrip(';')})"
    n = complexity(example.gold_sql)
    assert worker.judge(example, example.gold_sql).parts["simple"] == 1.0
    assert worker.judge(example, nested).parts["simple"] == pytest.approx(n / (n + 1))


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


def test_columns_in_another_order_earn_the_reward_only_where_it_takes_any():
    example = next(e for e in load_examples("tiny", "train") if e.gold_sql.startswith("SELECT name, "))
    first, rest = example.gold_sql.removeprefix("SELECT ").split(" FROM ", 1)
    swapped = "SELECT " + ", ".join(reversed(first.split(", "))) + " FROM " + rest
    cases: list[tuple[Columns, float, str]] = [("given", 0.0, "wrong"), ("any", 1.0, "reordered")]
    for columns, earned, verdict in cases:
        worker = RewardWorker(1.0, columns=columns)
        judged = worker.judge(example, swapped)
        assert (judged.parts["correct"], judged.verdict, judged.ex_strict) == (earned, verdict, False)
        assert [reward.correct for reward in group_rewards([judged], RewardConfig())] == [bool(earned)]
        assert worker.judge(example, example.gold_sql).ex_strict
        worker.close()


def test_the_self_test_stops_on_a_gold_that_blind_queries_answer(worker, examples):
    table = worker.blind_queries(examples[0])[0].split('"')[1]
    for answer, found in (("0", "SELECT 0 FROM"), ("NULL", "SELECT NULL FROM")):
        blind = replace(examples[0], gold_sql=f'SELECT {answer} FROM "{table}" LIMIT 1')
        assert worker.judge(blind, blind.gold_sql).blind
        with pytest.raises(UserError, match=f"self-test: '{found}"):
            self_test(worker, [blind])
    assert not any(worker.judge(example, example.gold_sql).blind for example in examples)
