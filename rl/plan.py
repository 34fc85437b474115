"""`python -m rl.plan --config FILE [--data DIR] [key.sub=value …] [--json]`: what a run of rl.train would take.

Bundles (what each actor asks of the cluster), memory by part, disk and bytes that travel, from shapes alone: no weights
are read, no Ray is started. `cluster.plan` sets it against a cluster, `cluster.submit` checks a job with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from evaluation.benchmarks import is_bundled, load_examples
from evaluation.errors import UserError, exit_on_user_error
from rl import memory
from rl.config import RlConfig
from rl.placement import CPUS
from sft.policy import provenance
from sft.policy.adapter import check_adapter
from sft.policy.engine_memory import engine_memory, export_memory
from sft.policy.shapes import ModelShape, local_directory, shape_of
from sft.settings.command import ConfigCommand

GIB = memory.GIB
EXPORT = "engine, while the served base is made"
CPU_PARAMETERS = 100_000_000
"""A base with fewer is planned for machines without a GPU unless --device says otherwise."""
Device = Literal["cpu", "cuda"]
PATHS = ("run.dir", "checkpoint.dir", "init_adapter", "sft_metrics", "data.checked", "model.path")


@dataclass(frozen=True)
class Bundle:
    """What `count` equal actors ask for, each. gpu_bytes: on each of its GPUs; host_bytes: of the node's memory."""

    name: str
    count: int
    cpus: float
    gpus: float
    gpu_bytes: int
    host_bytes: int


@dataclass(frozen=True)
class Plan:
    """layouts: ways to lay the actors out, best first; any that fits will do.

    memory: bytes by process and part; kv_tokens: how many the KV cache holds; published: bytes from learner to engines
    per step; reduced: bytes of gradients that each rank sends per step; driver_bytes: of the driver's host memory, with
    the object store; paths: settings that name files.
    """

    config: RlConfig
    device: Device
    layouts: Mapping[str, Sequence[Bundle]]
    memory: Mapping[str, Mapping[str, int]]
    disk: Mapping[str, int]
    kv_tokens: int
    published: int
    reduced: int
    driver_bytes: int
    needs_data: bool

    @property
    def paths(self) -> dict[str, str]:
        return {key: str(_setting(self.config, key)) for key in PATHS}


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    command = ConfigCommand("rl.plan", (__doc__ or "").splitlines()[0], RlConfig, "rl/configs/tiny.toml").add_data()
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the model runs")
    command.add_argument("--json", action="store_true", help="for programs: one JSON object")
    config, args = command.read(argv)
    made = plan(config, None if args.device == "auto" else args.device)
    check_inputs(config, args.data)
    print(json.dumps(as_json(made)) if args.json else format_plan(made))
    return 0


def plan(config: RlConfig, device: Device | None = None) -> Plan:
    """Count it all. UserError: a model of unknown shape."""
    shape = shape_of(config.model.path)
    device = device or ("cpu" if shape.parameters < CPU_PARAMETERS else "cuda")
    parts = process_memory(config, shape, device)
    trainable = shape.adapter_parameters(memory.adapter_rank(config))
    return Plan(
        config,
        device,
        layouts(config, parts, device, host_bytes(config, shape)),
        parts,
        memory.disk(config, shape),
        int(config.engine.kv_cache_gib * GIB) // memory.served(config, shape).kv_token,
        published=memory.BYTES[config.model.dtype] * trainable * config.engine.replicas,
        reduced=4 * trainable if config.learner.ranks > 1 else 0,
        driver_bytes=host_bytes(config, shape)["driver"],
        needs_data=not is_bundled(config.data.benchmark),
    )


def check_inputs(config: RlConfig, data: Path | None) -> None:
    """Refuse what rl.train would refuse before it starts an actor; what is not on this machine is not looked into."""
    if config.init_adapter and Path(config.init_adapter).is_dir():
        check_adapter(Path(config.init_adapter))
    if config.init_adapter and Path(config.init_adapter).is_dir() and local_directory(config.model.path):
        provenance.check(Path(config.init_adapter), config.model, config.data.prompt_style)
    if data is not None or is_bundled(config.data.benchmark):
        for split in ("train", "dev"):
            load_examples(config.data.benchmark, split, data)
    if config.model.max_length <= config.rollout.max_tokens:
        raise UserError(
            f"model.max_length = {config.model.max_length} must be more than rollout.max_tokens = "
            f"{config.rollout.max_tokens}: the prompt comes before the answer"
        )


def process_memory(config: RlConfig, shape: ModelShape, device: Device) -> dict[str, dict[str, int]]:
    """Bytes by process and part. On "cpu" the parts are in the node's memory, and nothing is CUDA's."""
    parts = {
        "learner": memory.learner_memory(config, shape),
        "engine": engine_memory(memory.served(config, shape), config.engine.kv_cache_gib),
        EXPORT: export_memory(shape, config.model.dtype, config.model.quantization, host=device == "cpu"),
    }
    if device == "cpu":
        parts = {name: {k: v for k, v in part.items() if "CUDA" not in k} for name, part in parts.items()}
    return {name: part for name, part in parts.items() if part}


def host_bytes(config: RlConfig, shape: ModelShape) -> dict[str, int]:
    """Bytes of a node's memory that each kind of process takes beside its GPU's."""
    export = export_memory(shape, config.model.dtype, config.model.quantization, host=True)
    more = {
        "driver": memory.object_store_bytes(config, shape),
        "learner": round(memory.CUDA_HOST_GIB * GIB),
        "engine": round(memory.CUDA_HOST_GIB * GIB) + sum(export.values()),
    }
    return {process: round(own * GIB) + more.get(process, 0) for process, own in memory.PROCESS_GIB.items()}


def layouts(
    config: RlConfig, parts: Mapping[str, Mapping[str, int]], device: Device, host: Mapping[str, int]
) -> dict[str, list[Bundle]]:
    """cpu; or each on a GPU of its own, and where there are just two of them also both on one."""
    learner = sum(parts["learner"].values())
    engine = max(sum(part.values()) for name, part in parts.items() if name.startswith("engine"))
    ranks, engines, parallel = config.learner.ranks, config.engine.replicas, config.engine.tensor_parallel
    rewards = Bundle("reward worker", config.reward.least_workers, CPUS, 0, 0, host["reward worker"])
    both = [
        Bundle("learner", ranks, CPUS, 1, learner, host["learner"]),
        Bundle("engine", engines, CPUS, parallel, engine, host["engine"]),
    ]
    if device == "cpu":
        own = {name: round(gib * GIB) for name, gib in memory.PROCESS_GIB.items()}
        moved = [replace(b, gpus=0, gpu_bytes=0, host_bytes=own[b.name] + b.gpu_bytes) for b in both]
        return {"on CPUs": [*moved, rewards]}
    apart = {"a GPU each": [*both, rewards]}
    if (ranks, engines, parallel) != (1, 1, 1):
        return apart
    return apart | {"one GPU for both": [*(replace(b, gpus=0.5) for b in both), rewards]}


def as_json(plan: Plan) -> dict[str, Any]:
    """What `cluster.plan` and `cluster.submit` read."""
    rollout = plan.config.rollout
    return {
        "model": plan.config.model.path,
        "device": plan.device,
        "steps": plan.config.steps,
        "samples_per_step": rollout.questions * rollout.samples,
        "layouts": [
            {"name": name, "bundles": [asdict(bundle) for bundle in bundles]} for name, bundles in plan.layouts.items()
        ],
        "memory": plan.memory,
        "disk": plan.disk,
        "driver_host_bytes": plan.driver_bytes,
        "published_bytes": plan.published,
        "reduced_bytes": plan.reduced,
        "kv_tokens": plan.kv_tokens,
        "needs_data": plan.needs_data,
        "paths": plan.paths,
        "text": format_plan(plan),
    }


def format_plan(plan: Plan) -> str:
    """Plain text, a line per figure."""
    config = plan.config
    lines = [
        f"{config.model.path} ({config.model.quantization}, {config.model.dtype}) on {config.data.benchmark}: "
        f"{config.steps} steps of {config.rollout.questions} questions × {config.rollout.samples} samples",
        *_bundle_lines(plan.layouts),
    ]
    where = "GPU" if plan.device == "cuda" else "host"
    for process, parts in plan.memory.items():
        lines += _part_lines(f"{where} memory, {process}, GiB", parts)
    lines += _part_lines("disk, GiB", plan.disk)
    lines.append(f"a learner's longest micro-batch: {memory.micro_batch_tokens(config):,} tokens")
    lines.append(_kv_line(plan))
    lines.append(f"published per step: {plan.published / 2**20:,.1f} MiB to {config.engine.replicas} engine(s)")
    if plan.reduced:
        lines.append(f"all-reduced per step: {plan.reduced / 2**20:,.1f} MiB by each of {config.learner.ranks} ranks")
    return "\n".join(lines)


def _bundle_lines(layouts: Mapping[str, Sequence[Bundle]]) -> list[str]:
    lines = []
    for name, bundles in layouts.items():
        lines.append(f"bundles, {name}:        count  CPU  GPU  GPU memory  host memory, GiB")
        for b in bundles:
            memories = f"{b.gpu_bytes / GIB:>10.1f}  {b.host_bytes / GIB:>11.1f}"
            lines.append(f"  {b.name:<{len(name) + 15}}{b.count:>6} {b.cpus:>4g} {b.gpus:>4g}  {memories}")
    return lines


def _part_lines(title: str, parts: Mapping[str, int]) -> list[str]:
    rows = [f"  {part:<62}{size / GIB:>9.3f}" for part, size in parts.items() if size]
    return [title, *rows, f"  {'total':<62}{sum(parts.values()) / GIB:>9.3f}"]


def _kv_line(plan: Plan) -> str:
    whole = memory.group_tokens(plan.config)
    held = f"KV cache: {plan.kv_tokens:,} tokens, {plan.kv_tokens / whole:.1f} whole groups of {whole:,}"
    if plan.kv_tokens < plan.config.model.max_length:
        return f"{held}: TOO SMALL for one context of {plan.config.model.max_length}, raise engine.kv_cache_gib"
    return held


def _setting(config: RlConfig, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


if __name__ == "__main__":
    raise SystemExit(main())
