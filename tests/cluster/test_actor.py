import os
import time

import psutil
import pytest

from cluster.actor import spawn
from cluster.errors import ActorDied, ClusterError, ResourcesMissing, WaitTimeout
from cluster.runtime import Runtime
from tests.cluster.workers import Counter

pytestmark = pytest.mark.usefixtures("runtime")


def test_calls_to_one_actor_run_in_order_on_one_object() -> None:
    counter = spawn(Counter, 10, name="counter", num_cpus=0.1)
    answers = [counter.call("add", n) for n in (1, 2, 3)]
    # 10 + 1, + 2, + 3
    assert [answer.result(30) for answer in answers] == [11, 13, 16]
    assert answers[0].done()
    counter.kill()


def test_environment_is_set_before_the_class_is_built() -> None:
    counter = spawn(Counter, name="counter", num_cpus=0.1, env={"ROLLSQL_PROBE": "42"})
    assert counter.call("env", "ROLLSQL_PROBE").result(30) == "42"
    assert os.environ.get("ROLLSQL_PROBE") is None
    counter.kill()


def test_a_wait_over_its_deadline_names_actor_call_and_queue() -> None:
    sleeper = spawn(Counter, name="sleeper", num_cpus=0.1)
    process = sleeper.ready(30)
    sleeper.call("nap", 600)
    behind = sleeper.call("add")
    started = time.monotonic()
    with pytest.raises(WaitTimeout, match=rf"sleeper\.add: no answer in 0\.3 s.*2 calls.*process {process.pid}"):
        behind.result(0.3)
    assert time.monotonic() - started < 3
    sleeper.kill()


def test_an_exception_in_a_method_arrives_as_itself_with_its_remote_traceback() -> None:
    counter = spawn(Counter, name="counter", num_cpus=0.1)
    with pytest.raises(KeyError, match="the seventh key") as caught:
        counter.call("fail").result(30)
    notes = "".join(caught.value.__notes__)
    assert "counter.fail" in notes and "workers.py" in notes
    # and the actor lives on
    assert counter.call("add").result(30) == 1
    counter.kill()


def test_a_failing_constructor_raises_its_own_exception_at_ready_and_at_every_call() -> None:
    counter = spawn(Counter, name="counter", num_cpus=0.1, broken="lamp")
    with pytest.raises(LookupError, match="no such thing: lamp"):
        counter.ready(30)
    with pytest.raises(LookupError, match="no such thing: lamp"):
        counter.call("add").result(30)
    counter.kill()


def test_a_dead_actor_is_named_with_its_last_output_and_takes_its_children_with_it() -> None:
    counter = spawn(Counter, name="frail", num_cpus=0.1)
    child = counter.call("child").result(30)
    with pytest.raises(ActorDied, match=r"(?s)frail died.*frail\.die.*last words"):
        counter.call("die").result(30)
    with pytest.raises(ActorDied, match="frail died"):
        counter.call("add").result(30)
    assert _ends_soon(child)


def test_a_restarted_actor_answers_again_with_a_new_object() -> None:
    counter = spawn(Counter, 5, name="phoenix", num_cpus=0.1, max_restarts=1)
    assert counter.call("add").result(30) == 6
    with pytest.raises(ActorDied):
        counter.call("die").result(30)
    assert counter.call("add").result(30) == 6
    counter.kill()


def test_a_request_that_no_node_can_meet_is_refused_at_once_naming_both_sides() -> None:
    started = time.monotonic()
    with pytest.raises(ResourcesMissing, match=r"(?s)engine \(1 CPU and 3 GPU\).*node 0: 4 CPU, 0 GPU"):
        spawn(Counter, name="engine", num_cpus=1, num_gpus=3)
    assert time.monotonic() - started < 30


def test_an_actor_without_a_free_slot_says_what_is_free(runtime: Runtime) -> None:
    hog = spawn(Counter, name="hog", num_cpus=4)
    hog.ready(30)
    late = spawn(Counter, name="late", num_cpus=1)
    with pytest.raises(ClusterError, match=r"(?s)placing late.*asks for 1 CPU; free now: 0 CPU"):
        late.ready(0.5)
    hog.kill()
    assert late.call("add").result(30) == 1
    late.kill()


def _ends_soon(pid: int) -> bool:
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False
