from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.dashboard import parse_nodes
from cluster.errors import ClusterError
from cluster.fit import GIB, Bundle, Misfit, Node, fit
from cluster.needs import File, Needs, ask
from cluster.plan import main, nodes_of, this_machine, verdict_lines

ROOT = Path(__file__).resolve().parents[2]
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
    assert fit([LEARNER], nodes, Bundle("driver", host_bytes=GIB)) is None
    misfit = fit([LEARNER], nodes, Bundle("driver", host_bytes=3 * GIB))
    assert misfit and "4.0 GiB of host memory (3.0 GiB left)" in str(misfit)


def test_unknown_gpu_memory_is_not_held_against_a_node_and_no_node_at_all_is_said() -> None:
    assert fit([LEARNER], [Node("a", 8, 1, 64 * GIB, None)]) is None
    assert "there is no node" in str(fit([LEARNER], []))


def test_a_driver_with_slots_of_its_own_goes_where_there_is_room_and_before_the_others() -> None:
    nodes = [Node("head", 4, 0, 8 * GIB), Node("worker", 4, 1, 64 * GIB, 24 * GIB)]
    driver = Bundle("training", cpus=1, gpus=1, gpu_bytes=20 * GIB)
    assert fit([], nodes, driver) is None
    misfit = fit([LEARNER], nodes, driver)
    assert misfit and misfit.bundle is LEARNER and misfit.lacks[1] == "worker: 1 GPU (0 left)"
    assert "no room for training (1 CPU, 1 GPU with 20.0 GiB)" in str(fit([], nodes[:1], driver))


def test_the_first_layout_that_fits_wins_and_the_others_say_why_not() -> None:
    shared = [replace(LEARNER, gpus=0.5), replace(ENGINE, gpus=0.5)]
    needs = Needs({"apart": [LEARNER, ENGINE], "shared": shared}, Bundle("driver", host_bytes=GIB))
    chosen, tried = needs.layout_on(nodes_of("1x80GB"))
    assert chosen == "shared" and tried["shared"] is None and "engine" in str(tried["apart"])
    lines = verdict_lines(nodes_of("1x24GB"), *needs.layout_on(nodes_of("1x24GB")))
    assert lines[-1].startswith("DOES NOT FIT")
    assert Needs({}).layout_on(nodes_of("1x24GB")) == ("one process", {"one process": None})


def test_needs_are_read_as_they_are_written_and_most_may_be_left_out() -> None:
    files = [File("--data", "bank", "read"), File("run.dir", "runs", "written")]
    needs = Needs({"apart": [LEARNER, REWARDS]}, Bundle("driver", gpus=1), files, "two lines\nof text")
    assert Needs.from_json(needs.as_json()) == needs
    assert Needs.from_json('{"files": []}') == Needs({}, files=[])


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


# A command of anybody's: it answers, or does not know the option, or refuses its arguments.
COMMAND = """
import argparse, json, sys
def main(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--config")
    {option}
    args = parser.parse_args(argv)
    bundle = {"name": "reader", "count": args.rows, "cpus": 1}
    print("reading", args.config)
    print(json.dumps({"layouts": [{"name": "on CPUs", "bundles": [bundle]}], "files": [], "about": "1 page"}))
main() if __name__ == "__main__" else None
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, option in (("knows", 'parser.add_argument("--needs")'), ("ignorant", "")):
        (tmp_path / f"{name}.py").write_text(COMMAND.replace("{option}", option))
    (tmp_path / "starts.py").write_text("import pathlib; pathlib.Path('started').touch()")
    return tmp_path


def test_a_command_is_asked_and_one_that_does_not_answer_is_not_started(folder: Path) -> None:
    found = ask(["python", "-m", "knows", "--rows", "3"], folder)
    assert found == Needs({"on CPUs": [Bundle("reader", 3, cpus=1)]}, files=[], about="1 page")
    assert ask(["python", "-m", "ignorant"], folder) is None
    assert ask(["python", "-m", "starts"], folder) is None and not (folder / "started").exists()
    assert ask(["bash", "-c", "true"], folder) is None and ask(["python", "-m", "pydoc"], folder) is None
    with pytest.raises(ClusterError, match="invalid int value: 'many'"):
        ask(["python", "-m", "knows", "--rows", "many"], folder)


def test_the_plan_of_any_command_says_what_it_takes_and_whether_it_fits(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    asked = ["--", "python", "-m", "knows", "--rows"]
    assert main(["--nodes", "1x24GB", *asked, "8"]) == 0
    assert capsys.readouterr().out.startswith("1 page\nthere:\n  node 0: 8 CPU, 1 GPU of 24.0 GiB")
    assert main(["--nodes", "1x24GB", *asked, "9"]) == 1
    assert "no room for reader 9 of 9 (1 CPU)" in (said := capsys.readouterr().out) and "DOES NOT FIT" in said
    assert main(["--", "python", "-m", "ignorant"]) == 2
    assert "ignorant does not say what it needs" in capsys.readouterr().err


def test_a_run_on_this_machine_has_the_slots_that_it_asks_for() -> None:
    needs = Needs({"on CPUs": [Bundle("learner", cpus=1), Bundle("reward worker", 300, cpus=1)]})
    here = this_machine(needs)
    assert here.cpus >= 301 and needs.layout_on([here])[0] == "on CPUs"


def test_without_a_command_the_one_of_pyproject_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    config = str(ROOT / "rl" / "configs" / "qwen2.5-coder-7b-spider.toml")
    assert main(["--config", config, "--nodes", "1x80GB", "stps=3"]) == 2
    assert capsys.readouterr().err == "error: the command line: unknown key stps; did you mean steps?\n"
