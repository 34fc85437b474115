from typing import Any

import pytest

from rl.alarms import Alarm, AlarmConfig, Alarms, after_evaluation
from rl.watch import sound

HEALTHY: dict[str, Any] = {"mismatch": 0.001, "entropy": 0.4, "verdicts": {"correct": 60, "wrong": 40}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"verdicts": {"error": 96, "wrong": 4}}, "96% of the samples have the verdict 'error'"),
        ({"entropy": 0.001}, "the entropy is 0.0010 nats"),
        ({"mismatch": float("nan")}, "engine and learner differ by nan"),
        ({"value_loss": float("nan")}, "the critic diverges, its loss is nan"),
        ({"kl_reference": 0.7}, "the KL to the reference is 0.700"),
        ({"correct": 0.0}, "no answer is right (alarm.no_right): the questions are too hard for this policy"),
        (
            {"no_signal": 1.0, "none_correct": 0.9, "all_correct": 0.1, "correct": 0.1},
            "100% of the groups teach nothing (alarm.no_signal = 0.95), 90% without a right answer and 10% without a "
            "wrong one: the questions are too hard for this policy; start from an adapter that SFT has made "
            "(init_adapter=…), raise rollout.samples, or take easier questions",
        ),
        (
            {"no_signal": 0.95, "none_correct": 0.05, "all_correct": 0.9, "correct": 0.9},
            "the questions are too easy by now; take harder ones",
        ),
    ],
)
def test_an_alarm_sounds_after_three_steps_in_a_row_and_says_since_when(change: dict[str, Any], words: str) -> None:
    alarms = Alarms(AlarmConfig(kl=0.5))
    rows = [HEALTHY | change, HEALTHY | change, HEALTHY, *[HEALTHY | change] * 4]
    heard = [alarms.check(step, row) for step, row in enumerate(rows, 1)]
    assert heard[:5] == [[], [], [], [], []]
    assert [len(messages) for messages in heard[5:]] == [1, 1]
    assert words in heard[6][0] and heard[6][0].endswith("since step 4")


def test_samples_of_an_older_policy_are_no_mismatch_but_the_canary_is() -> None:
    stale = HEALTHY | {"mismatch": 0.3, "lag": 1.0, "canary": 0.001}
    assert Alarms(AlarmConfig(patience=1)).check(1, stale) == []
    assert "differ by 0.2000" in Alarms(AlarmConfig(patience=1)).check(1, stale | {"canary": 0.2})[0]


def test_a_bound_of_zero_is_off() -> None:
    alarms = Alarms(AlarmConfig(patience=1, mismatch=0, entropy=0, one_verdict=0, no_signal=0, no_right=False))
    silent = {"mismatch": 9.0, "entropy": 0.0, "verdicts": {"wrong": 8}, "correct": 0.0, "no_signal": 1.0}
    assert alarms.check(1, silent) == []


def test_an_evaluation_without_a_right_answer_says_so_at_once() -> None:
    nothing = {"n": 40, "ex_strict": 0.0, "ex_strict_sampled": 0.0}
    (text,) = after_evaluation(AlarmConfig(), "sft", nothing)
    assert text.startswith("sft: no answer to any of 40 dev questions is right") and "init_adapter=…" in text
    assert after_evaluation(AlarmConfig(), "sft", nothing | {"ex_strict_sampled": 0.01}) == []
    assert after_evaluation(AlarmConfig(no_right=False), "sft", nothing) == []


def test_an_alarm_warns_or_stops_the_run(caplog: pytest.LogCaptureFixture) -> None:
    sound(AlarmConfig(), ["step 3: no answer is right"])
    assert caplog.messages == ["ALARM step 3: no answer is right"]
    with pytest.raises(Alarm, match="step 3: no answer is right"):
        sound(AlarmConfig(action="stop"), ["step 3: no answer is right"])
