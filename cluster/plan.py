"""`python -m cluster.plan --config FILE [--data DIR] [key.sub=value …]`: does an RL run fit, how long, at what price?

What the run needs comes from `python -m rl.plan`; what there is from --nodes (hypothetical), --address (a cluster's
dashboard) or, with neither, from this machine. Exit code 0 when it fits, 1 when it does not. No GPU is needed.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError, CommandLine, WaitTimeout, exit_on_cluster_error
from cluster.fit import GIB, Misfit, Node, fitting_layout, nodes_of
from cluster.resources import gpu_memory, machine

PLAN_TIMEOUT_S = 300.0
MISFIT_EXIT = 1


@exit_on_cluster_error
def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_intermixed_args(argv)
    data = ["--data", str(args.data)] if args.data else []
    plan = read_plan(["--config", str(args.config), *data, "--device", args.device, *args.overrides])
    print(plan["text"], flush=True)
    nodes = nodes_of(args.nodes) if args.nodes else _cluster(args.address) if args.address else [this_machine(plan)]
    layout, tried = fitting_layout(plan, nodes)
    print("\n".join(verdict_lines(nodes, layout, tried)))
    gpus = sum(node.gpus for node in nodes)
    print("\n".join(cost_lines(plan["steps"], args.seconds_per_step, gpus, args.gpu_hour_price)))
    return 0 if layout else MISFIT_EXIT


def _parser() -> argparse.ArgumentParser:
    parser = CommandLine(prog="python -m cluster.plan", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, required=True, help="TOML file of rl.train, e.g. rl/configs/tiny.toml")
    parser.add_argument("--data", type=Path, help="folder of the benchmark: its questions are read, too")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the model runs")
    there = parser.add_mutually_exclusive_group()
    there.add_argument("--nodes", help="what to compare with: 1x24GB, 8x80GB:96:1000GB (CPUs, host memory), 2*1x80GB")
    there.add_argument("--address", help="dashboard of a running cluster, e.g. http://127.0.0.1:8265")
    parser.add_argument("--gpu-hour-price", type=float, metavar="P", help="of one GPU, in any currency")
    parser.add_argument(
        "--seconds-per-step", type=float, metavar="S", help="as measured: seconds.step in metrics.jsonl"
    )
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="settings that override the file's")
    return parser


def read_plan(arguments: Sequence[str], cwd: Path | None = None) -> dict[str, Any]:
    """`rl.plan --json` for the arguments of rl.train. ClusterError: its message, when it refuses them."""
    command = [sys.executable, "-m", "rl.plan", *arguments, "--json"]  # a process: this folder imports nothing of rl
    folder = cwd or Path.cwd()
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    try:
        done = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, timeout=PLAN_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise WaitTimeout(f"rl.plan has not counted the run in {PLAN_TIMEOUT_S:g} s: {' '.join(arguments)}") from None
    if done.returncode:
        raise ClusterError(done.stderr.strip().removeprefix("error: ") or f"rl.plan ended with code {done.returncode}")
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def this_machine(plan: Mapping[str, Any]) -> Node:
    """This machine, where rl.train starts a Ray with as many CPU slots as it asks for: they are bookkeeping there."""
    here, sizes = machine(), gpu_memory()
    slots = sum(bundle["cpus"] * bundle["count"] for bundle in plan["layouts"][0]["bundles"])
    name = f"this machine ({here.cpus:g} cores; a Ray started by the run has slots as it needs)"
    memory = min(sizes) if sizes else None
    return Node(name, max(here.cpus, slots), int(here.gpus), here.memory_bytes, memory, is_head=True)


def _cluster(address: str) -> list[Node]:
    from cluster.dashboard import reach  # imports Ray

    return list(reach(address).nodes)


def verdict_lines(nodes: Sequence[Node], layout: str | None, tried: Mapping[str, Misfit | None]) -> list[str]:
    """What there is, and per layout whether it fits."""
    lines = ["there:", *(f"  {node}" for node in nodes)]
    for name, misfit in tried.items():
        lines.append(f"{name}: {misfit}" if misfit else f"{name}: FITS")
    return lines if layout else [*lines, "DOES NOT FIT: ask for less in the config, or add nodes"]


def cost_lines(steps: int, seconds_per_step: float | None, gpus: int, price: float | None) -> list[str]:
    """Hours of all steps and, given a price, what the nodes' GPUs cost meanwhile."""
    if seconds_per_step is None:
        return ["hours: run a few steps, then give --seconds-per-step (seconds.step in runs/<name>/metrics.jsonl)"]
    hours = steps * seconds_per_step / 3600
    lines = [f"hours: {hours:.2f} for {steps} steps of {seconds_per_step:g} s; evaluations and starts come on top"]
    if price is not None:
        lines.append(f"cost: {hours * gpus * price:.2f} for {gpus} GPU(s) at {price:g} per GPU-hour")
    return lines


def needs(plan: Mapping[str, Any]) -> str:
    """The bundles of the plan's first layout, as a phrase for messages."""
    first = plan["layouts"][0]
    parts = [
        f"{b['count']} × {b['name']} ({b['cpus']:g} CPU, {b['gpus']:g} GPU, "
        f"{(b['gpu_bytes'] or b['host_bytes']) / GIB:.1f} GiB)"
        for b in first["bundles"]
    ]
    return f"{first['name']}: {', '.join(parts)}"


if __name__ == "__main__":
    raise SystemExit(main())
