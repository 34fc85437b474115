import os
import time
from collections.abc import Callable

import psutil
import pytest

from cluster.actor import spawn
from cluster.errors import ActorDied, ClusterError, ResourcesMissing, WaitTimeout
from cluster.runtime import Runtime
from tests.cluster.workers import Counter

PATIENCE_S = 120.0  # for what must succeed, on a busy machine too
pytestmark = pytest.mark.usefixtures("runtime")


@pytest.mark.slow
def test_calls_to_one_actor_run_in_order_on_one_object() -> None:
    counter = spawn(Counter, 10, name="counter", num_cpus=0.1)
    answers = [counter.call("add", n) for n in (1, 2, 3)]
    # 10 + 1, + 2, + 3
    assert [answer.result(PATIENCE_S) for answer in answers] == [11, 13, 16]
    assert answers[0].done()
    counter.kill()


@pytest.mark.slow
def test_environment_is_set_before_the_class_is_built() -> None:
    counter = spawn(Counter, name="counter", num_cpus=0.1, env={"ROLLSQL_PROBE": "42"})
    assert counter.call("env", "ROLLSQL_PROBE").result(PATIENCE_S) == "42"
    assert os.environ.get("ROLLSQL_PROBE") is None
    counter.kill()


@pytest.mark.slow
def test_a_wait_over_its_deadline_names_actor_call_and_queue_and_ps_shows_the_call() -> None:
    sleeper = spawn(Counter, name="sleeper", num_cpus=0.1)
    process = sleeper.ready(PATIENCE_S)
    sleeper.call("nap", 600)
    behind = sleeper.call("add")
    assert _soon(lambda: psutil.Process(process.pid).cmdline()[0].strip() == "ray::sleeper.nap")
    started = time.monotonic()
    with pytest.raises(WaitTimeout, match=rf"sleeper\.add: no answer in [0-9.]+ s.*2 calls.*process {process.pid}"):
        behind.result(0.3)
    assert time.monotonic() - started < 3
    sleeper.kill()


@pytest.mark.slow
def test_an_exception_in_a_method_arrives_as_itself_with_its_remote_traceback() -> None:
    counter = spawn(Counter, name="counter", num_cpus=0.1)
    with pytest.raises(KeyError, match="the seventh key") as caught:
        counter.call("fail").result(PATIENCE_S)
    notes = "".join(caught.value.__notes__)
    assert "counter.fail" in notes and "workers.py" in notes
    # and the actor lives on
    assert counter.call("add").result(PATIENCE_S) == 1
    counter.kill()


def test_a_failing_constructor_raises_its_own_exception_at_ready_and_at_every_call() -> None:
    counter = spawn(Counter, name="counter", num_cpus=0.1, broken="lamp")
    with pytest.raises(LookupError, match="no such thing: lamp"):
        counter.ready(PATIENCE_S)
    with pytest.raises(LookupError, match="no such thing: lamp"):
        counter.call("add").result(PATIENCE_S)
    counter.kill()


def test_a_slow_constructor_is_told_apart_from_missing_room() -> None:
    slow = spawn(Counter, name="slow", num_cpus=0.1, slow_s=600)
    assert _soon(lambda: slow.process() is not None)
    with pytest.raises(WaitTimeout, match=r"starting slow: no answer"):
        slow.ready(0.2)
    slow.kill()


def test_a_dead_actor_is_named_with_its_last_output_and_takes_its_children_with_it() -> None:
    counter = spawn(Counter, name="frail", num_cpus=0.1)
    child = counter.call("child").result(PATIENCE_S)
    with pytest.raises(ActorDied, match=r"(?s)frail died.*frail\.die.*last words"):
        counter.call("die").result(PATIENCE_S)
    with pytest.raises(ActorDied, match="frail died"):
        counter.call("add").result(PATIENCE_S)
    assert _soon(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


@pytest.mark.slow
def test_a_restarted_actor_is_a_new_object_in_a_new_process() -> None:
    counter = spawn(Counter, 5, name="phoenix", num_cpus=0.1)
    assert counter.call("add").result(PATIENCE_S) == 6
    first = counter.ready(PATIENCE_S)
    with pytest.raises(ActorDied):
        counter.call("die").result(PATIENCE_S)
    counter.restart()
    assert counter.call("add").result(PATIENCE_S) == 6
    assert counter.ready(PATIENCE_S).pid != first.pid
    counter.kill()


def test_a_request_that_no_node_can_meet_is_refused_at_once_naming_both_sides() -> None:
    started = time.monotonic()
    with pytest.raises(ResourcesMissing, match=r"(?s)no room for engine \(1 CPU, 3 GPU\).*node 0: 4 CPU, 0 GPU"):
        spawn(Counter, name="engine", num_cpus=1, num_gpus=3)
    assert time.monotonic() - started < 30


@pytest.mark.slow
def test_an_actor_without_a_free_slot_says_what_is_free(runtime: Runtime) -> None:
    hog = spawn(Counter, name="hog", num_cpus=4)
    hog.ready(PATIENCE_S)
    late = spawn(Counter, name="late", num_cpus=1)
    with pytest.raises(ClusterError, match=r"(?s)starting late.*asks for 1 CPU; free now: 0 CPU"):
        late.ready(0.5)
    hog.kill()
    assert late.call("add").result(PATIENCE_S) == 1
    late.kill()


def _soon(happens: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not (there := happens()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return there
