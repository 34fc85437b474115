import functools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.dashboard import parse_nodes
from cluster.errors import ClusterError
from cluster.fit import GIB, Bundle, Misfit, Node, fit, fitting_layout, nodes_of
from cluster.plan import cost_lines, main, read_plan, this_machine, verdict_lines

ROOT = Path(__file__).resolve().parents[2]
TINY = str(ROOT / "rl" / "configs" / "tiny.toml")
LEARNER = Bundle("learner", cpus=2, gpus=1, gpu_bytes=20 * GIB, host_bytes=4 * GIB)
ENGINE = Bundle("engine", cpus=2, gpus=1, gpu_bytes=15 * GIB, host_bytes=4 * GIB)
REWARDS = Bundle("reward worker", count=4, cpus=1, host_bytes=GIB)


def test_nodes_are_written_as_gpus_times_memory() -> None:
    one, two, three = nodes_of("1x24GB:16:128GB, 2*8x80GB")
    assert (one.cpus, one.gpus, one.gpu_bytes, one.memory_bytes) == (16, 1, 24 * GIB, 128 * GIB)
    # 8 CPUs and 64 GiB of host memory for each of the eight GPUs
    assert (two.cpus, two.gpus, two.memory_bytes) == (64, 8, 512 * GIB) and two == replace(three, name=two.name)
    with pytest.raises(ClusterError, match="--nodes must be like 1x24GB"):
        nodes_of("1x24GB,big")


def test_a_gpu_each_needs_two_gpus_and_halves_of_one_need_the_sum_of_their_memory() -> None:
    apart = [LEARNER, ENGINE, REWARDS]
    shared = [replace(LEARNER, gpus=0.5), replace(ENGINE, gpus=0.5), REWARDS]
    assert fit(apart, nodes_of("2*1x24GB")) is None
    assert fit(shared, nodes_of("1x40GB")) is None  # 20 + 15 = 35 of 0.95 x 40 = 38
    tight = fit(shared, nodes_of("1x36GB"))  # 35 of 34.2
    assert tight and tight.bundle.name == "engine" and "15.0 GiB of GPU memory (14.2 GiB left)" in str(tight)
    lonely = fit(apart, nodes_of("1x80GB"))
    assert lonely and str(lonely) == (
        "no room for engine (2 CPU, 1 GPU with 15.0 GiB, 4.0 GiB of host memory). Missing: node 0: 1 GPU (0 left)"
    )


def test_a_misfit_counts_which_of_equal_bundles_it_is_and_names_every_node() -> None:
    # two nodes of 3 CPUs: the learner takes 2 of one, three workers the rest and the other node's, no room for a 5th
    nodes = [Node("a", 3, 1, 64 * GIB, 24 * GIB), Node("b", 3, 0, 64 * GIB)]
    misfit = fit([LEARNER, replace(REWARDS, count=6)], nodes)
    assert misfit and misfit.number == 5 and misfit.lacks == ("a: 1 CPU (0 left)", "b: 1 CPU (0 left)")
    assert "reward worker 5 of 6" in str(misfit)


def test_an_engine_over_two_gpus_needs_both_on_one_node() -> None:
    wide = replace(ENGINE, gpus=2)
    assert fit([wide], nodes_of("2x24GB")) is None
    assert isinstance(fit([wide], nodes_of("2*1x24GB")), Misfit)


def test_host_memory_counts_too_and_the_driver_takes_its_part_of_the_head() -> None:
    nodes = [Node("head", 8, 1, 6 * GIB, 24 * GIB)]
    assert fit([LEARNER], nodes, driver_bytes=GIB) is None
    misfit = fit([LEARNER], nodes, driver_bytes=3 * GIB)
    assert misfit and "4.0 GiB of host memory (3.0 GiB left)" in str(misfit)


def test_unknown_gpu_memory_is_not_held_against_a_node_and_no_node_at_all_is_said() -> None:
    assert fit([LEARNER], [Node("a", 8, 1, 64 * GIB, None)]) is None
    assert "there is no node" in str(fit([LEARNER], []))


def test_the_first_layout_that_fits_wins_and_the_others_say_why_not() -> None:
    def layout(name: str, *bundles: Bundle) -> dict[str, Any]:
        return {"name": name, "bundles": [vars(bundle) for bundle in bundles]}

    shared = [replace(LEARNER, gpus=0.5), replace(ENGINE, gpus=0.5)]
    plan = {"layouts": [layout("apart", LEARNER, ENGINE), layout("shared", *shared)], "driver_host_bytes": GIB}
    chosen, tried = fitting_layout(plan, nodes_of("1x80GB"))
    assert chosen == "shared" and tried["shared"] is None and "engine" in str(tried["apart"])
    lines = verdict_lines(nodes_of("1x24GB"), *fitting_layout(plan, nodes_of("1x24GB")))
    assert lines[-1].startswith("DOES NOT FIT")


def test_hours_and_cost_are_steps_times_seconds_times_all_gpus() -> None:
    # 200 steps x 90 s = 5 h; 5 h x 8 GPUs x 2.5 = 100
    hours, cost = cost_lines(200, 90, 8, 2.5)
    assert hours.startswith("hours: 5.00") and cost.startswith("cost: 100.00 for 8 GPU(s)")
    assert "--seconds-per-step" in cost_lines(200, None, 8, 2.5)[0]


def test_the_dashboards_nodes_are_read_with_their_gpus_memory_and_without_dead_ones() -> None:
    def summary(ip: str, state: str, is_head: bool, gpus: list[int]) -> dict[str, Any]:
        slots = {"CPU": 16.0, "memory": 2.0**36, **({"GPU": float(len(gpus))} if gpus else {})}
        raylet = {"state": state, "nodeManagerAddress": ip, "nodeManagerHostname": f"host-{ip}", "isHeadNode": is_head}
        return {"gpus": [{"memoryTotal": size} for size in gpus], "raylet": raylet | {"resourcesTotal": slots}}

    nodes = [
        summary("10.0.0.2", "ALIVE", False, [81559, 81559]),
        summary("10.0.0.1", "ALIVE", True, []),
        summary("10.0.0.3", "DEAD", False, []),
    ]
    head, worker = parse_nodes({"data": {"summary": nodes}})
    assert (head.name, head.is_head, head.gpus, head.gpu_bytes) == ("10.0.0.1", True, 0, None)
    assert (worker.gpus, worker.gpu_bytes, worker.memory_bytes) == (2, 81559 << 20, 64 * GIB)


@pytest.fixture(scope="module")
def tiny() -> dict[str, Any]:
    return read_plan(["--config", TINY, "reward.workers=3"], ROOT)


def test_a_run_on_this_machine_has_the_slots_that_it_asks_for(tiny: dict[str, Any]) -> None:
    here = this_machine(tiny)
    assert here.cpus >= 1 + 1 + 3 and fit([Bundle(**b) for b in tiny["layouts"][0]["bundles"]], [here]) is None
    json.dumps(tiny)


def test_the_command_says_what_fits_what_does_not_and_what_it_costs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    once = functools.cache(lambda *arguments: read_plan(arguments))  # it takes seconds
    monkeypatch.setattr("cluster.plan.read_plan", lambda arguments: once(*arguments))
    config = ["--config", str(ROOT / "rl" / "configs" / "qwen2.5-coder-7b-spider.toml")]
    price = ["--gpu-hour-price", "2", "--seconds-per-step", "36"]
    assert main([*config, "--nodes", "1x80GB", *price]) == 0
    said = capsys.readouterr().out
    assert "one GPU for both: FITS" in said and "weights, bfloat16" in said
    assert "hours: 2.00 for 200 steps" in said and "cost: 4.00 for 1 GPU(s)" in said
    assert main([*config, "--nodes", "1x24GB"]) == 1
    assert "DOES NOT FIT" in capsys.readouterr().out
