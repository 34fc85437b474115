"""`python -m cluster.plan [--nodes 8x80GB] -- python -m MODULE ARGUMENTS…`: what it would take, and whether it fits.

What the command needs it says itself (cluster/needs.py); what there is comes from --nodes (hypothetical), --address (a
cluster's dashboard) or, with neither, from this machine. Without `--` the other arguments are those of the command that
pyproject.toml names in [tool.cluster]. Exit code 0 when it fits, 1 when it does not. No GPU is needed.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cluster.errors import ClusterError, CommandLine, exit_on_cluster_error
from cluster.fit import GIB, Misfit, Node
from cluster.needs import DEVICES, PROJECT, Needs, ask
from cluster.resources import gpu_memory, machine

MISFIT_EXIT = 1
CPUS_PER_GPU, HOST_GIB_PER_GPU = 8, 64  # of a node whose CPUs and memory are not given
_NODE = re.compile(r"(?:(\d+)\*)?(\d+)x(\d+(?:\.\d+)?)GB(?::(\d+))?(?::(\d+)GB)?", re.IGNORECASE)
_USAGE = (
    "python -m cluster.plan [-h] [--device {auto,cpu,cuda}] [--nodes NODES | --address URL] "
    "[--] [python -m MODULE] [ARGUMENT …]"
)


@exit_on_cluster_error
def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    at = words.index("--") if "--" in words else len(words)
    args, rest = _parser().parse_known_args(words[:at])
    command = words[at + 1 :] or ["python", "-m", _default(), *rest]
    needs = ask(command, Path.cwd(), args.device)
    if needs is None:
        raise ClusterError(f"{' '.join(command)} does not say what it needs: give a command like python -m MODULE …")
    nodes = nodes_of(args.nodes) if args.nodes else _cluster(args.address) if args.address else [this_machine(needs)]
    layout, tried = needs.layout_on(nodes)
    print("\n".join([*filter(None, [needs.about]), *verdict_lines(nodes, layout, tried)]))
    return 0 if layout else MISFIT_EXIT


def _parser() -> argparse.ArgumentParser:
    parser = CommandLine("python -m cluster.plan", _USAGE, (__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--device", choices=DEVICES, default="auto", help="where the model runs")
    there = parser.add_mutually_exclusive_group()
    there.add_argument("--nodes", help="what to compare with: 1x24GB, 8x80GB:96:1000GB (CPUs, host memory), 2*1x80GB")
    there.add_argument("--address", help="dashboard of a running cluster, e.g. http://127.0.0.1:8265")
    return parser


def _default() -> str:
    """The module that is asked when none is named."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    return str(settings["tool"]["cluster"]["command"])


def this_machine(needs: Needs) -> Node:
    """This machine, where a run starts a Ray with as many CPU slots as it asks for: they are bookkeeping there."""
    here = machine()
    first = next(iter(needs.layouts.values()), [])
    slots = needs.driver.cpus + sum(bundle.cpus * bundle.count for bundle in first)
    name = f"this machine ({here.cpus:g} cores; a Ray started by the run has slots as it needs)"
    memory = min(gpu_memory(), default=None)
    return replace(here, name=name, cpus=max(here.cpus, slots), gpu_bytes=memory, is_head=True)


def nodes_of(text: str) -> list[Node]:
    """Hypothetical nodes: "1x80GB", "2*8x80GB", "1x24GB:16:128GB" (CPUs and host memory), by commas.

    Without them a node has 8 CPUs and 64 GiB of host memory per GPU.
    """
    nodes: list[Node] = []
    for part in text.split(","):
        match = _NODE.fullmatch(part.strip())
        if not match:
            raise ClusterError(
                f"--nodes must be like 1x24GB or 2*8x80GB:96:1000GB (nodes*GPUsxmemory:CPUs:host memory), got {part!r}"
            )
        count, gpus, size, cpus, host = match.groups()
        many = max(1, int(gpus))
        memory = int(host or HOST_GIB_PER_GPU * many) * GIB
        one = Node("", float(cpus or CPUS_PER_GPU * many), int(gpus), memory, round(float(size) * GIB))
        nodes += [replace(one, name=f"node {len(nodes) + i}") for i in range(int(count or 1))]
    return nodes


def _cluster(address: str) -> list[Node]:
    from cluster.dashboard import reach  # imports Ray

    return list(reach(address).nodes)


def verdict_lines(nodes: Sequence[Node], layout: str | None, tried: Mapping[str, Misfit | None]) -> list[str]:
    """What there is, and per layout whether it fits."""
    lines = ["there:", *(f"  {node}" for node in nodes)]
    lines += [f"{name}: {misfit}" if misfit else f"{name}: FITS" for name, misfit in tried.items()]
    return lines if layout else [*lines, "DOES NOT FIT: ask for less in the config, or add nodes"]


if __name__ == "__main__":
    raise SystemExit(main())
