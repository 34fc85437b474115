"""`python -m rl.plan --config FILE [--data DIR] [key.sub=value …] [--json]`: what a run of rl.train would take.

Parameters, bundles (what each actor asks of the cluster), memory by part and disk, from shapes alone: no weights are
read, no Ray is started. It is also what rl.train answers when it is asked for its needs.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from cluster.fit import GIB, Bundle
from cluster.needs import Needs
from evaluation.benchmarks import is_bundled, load_examples
from evaluation.errors import UserError, exit_on_user_error
from rl import memory
from rl.config import RlConfig
from rl.placement import ENGINE, LEARNER, REWARD, Placement
from sft.plan import CPU_PARAMETERS, CUDA_HOST_GIB, part_lines
from sft.policy import provenance
from sft.policy.adapter import check_adapter
from sft.policy.engine_memory import engine_memory, export_memory
from sft.policy.shapes import ModelShape, local_directory, shape_of
from sft.settings.command import ConfigCommand

EXPORT = "engine, while the served base is made"
Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Plan:
    """layouts: ways to lay the actors out, best first; any that fits will do.

    memory: bytes by process and part; kv_tokens: how many the KV cache holds; driver_bytes: of the driver's host
    memory, with the object store; checkpoints: bytes on the disk.
    """

    config: RlConfig
    device: Device
    parameters: int
    trainable: int
    layouts: Mapping[str, Sequence[Bundle]]
    memory: Mapping[str, Mapping[str, int]]
    kv_tokens: int
    driver_bytes: int
    checkpoints: int


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    command = ConfigCommand("rl.plan", (__doc__ or "").splitlines()[0], RlConfig, "rl/configs/tiny.toml").add_data()
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the model runs")
    command.add_argument("--json", action="store_true", help="for programs: one JSON object, that of --needs")
    config, args = command.read(argv)
    made = plan(config, None if args.device == "auto" else args.device)
    check_inputs(config, args.data)
    print(as_needs(made).as_json() if args.json else format_plan(made))
    return 0


def needs(config: RlConfig, args: argparse.Namespace) -> Needs:
    """What rl.train answers to --needs. Data that is not on this machine is looked into by the job."""
    if not (args.data or is_bundled(config.data.benchmark)):
        raise UserError("the benchmark's folder must be given: --data DIR, an absolute path where the job runs")
    check_inputs(config, args.data if args.data and args.data.exists() else None)
    return as_needs(plan(config, None if args.needs == "auto" else args.needs))


def as_needs(plan: Plan) -> Needs:
    return Needs(plan.layouts, Bundle("driver", host_bytes=plan.driver_bytes), about=format_plan(plan))


def plan(config: RlConfig, device: Device | None = None) -> Plan:
    """Count it all. UserError: a model of unknown shape."""
    shape = shape_of(config.model.path)
    device = device or ("cpu" if shape.parameters < CPU_PARAMETERS else "cuda")
    parts = process_memory(config, shape, device)
    return Plan(
        config,
        device,
        shape.parameters,
        shape.adapter_parameters(memory.adapter_rank(config)),
        layouts(config, parts, device, host_bytes(config, shape)),
        parts,
        int(config.engine.kv_cache_gib * GIB) // memory.served(config, shape).kv_token,
        host_bytes(config, shape)["driver"],
        memory.checkpoints_bytes(config, shape),
    )


def check_inputs(config: RlConfig, data: Path | None) -> None:
    """Refuse what rl.train would refuse before it starts an actor; what is not on this machine is not looked into."""
    if config.model.max_length <= config.rollout.max_tokens:
        raise UserError(
            f"model.max_length = {config.model.max_length} must be more than rollout.max_tokens = "
            f"{config.rollout.max_tokens}: the prompt comes before the answer"
        )
    if config.init_adapter and Path(config.init_adapter).is_dir():
        check_adapter(Path(config.init_adapter))
        if local_directory(config.model.path):
            provenance.check(Path(config.init_adapter), config.model, config.data.prompt_style)
    if data is not None or is_bundled(config.data.benchmark):
        for split in ("train", "dev"):
            load_examples(config.data.benchmark, split, data, synthetic=config.data.synthetic_rows)


def process_memory(config: RlConfig, shape: ModelShape, device: Device) -> dict[str, dict[str, int]]:
    """Bytes by process and part. On "cpu" the parts are in the node's memory, and nothing is CUDA's."""
    parts = {
        LEARNER: memory.learner_memory(config, shape),
        ENGINE: engine_memory(memory.served(config, shape), config.engine.kv_cache_gib),
        EXPORT: export_memory(shape, config.model.dtype, config.model.quantization, host=device == "cpu"),
    }
    if device == "cpu":
        parts = {name: {k: v for k, v in part.items() if "CUDA" not in k} for name, part in parts.items()}
    return {name: part for name, part in parts.items() if part}


def host_bytes(config: RlConfig, shape: ModelShape) -> dict[str, int]:
    """Bytes of a node's memory that each kind of process takes beside its GPU's."""
    export = export_memory(shape, config.model.dtype, config.model.quantization, host=True)
    cuda = round(CUDA_HOST_GIB * GIB)
    more = {
        "driver": memory.object_store_bytes(config, shape),
        LEARNER: cuda,
        ENGINE: cuda + sum(export.values()),
    }
    return {process: round(own * GIB) + more.get(process, 0) for process, own in memory.PROCESS_GIB.items()}


def layouts(
    config: RlConfig, parts: Mapping[str, Mapping[str, int]], device: Device, host: Mapping[str, int]
) -> dict[str, list[Bundle]]:
    """cpu; or each on a GPU of its own, and where there are just two of them also both on one."""
    gpu = {LEARNER: sum(parts[LEARNER].values()), REWARD: 0}
    gpu[ENGINE] = max(sum(part.values()) for name, part in parts.items() if name.startswith(ENGINE))
    engine = config.engine
    if device == "cpu":
        own = {name: round(gib * GIB) for name, gib in memory.PROCESS_GIB.items()}
        asked = Placement(0, 0).requests(config, config.reward.least_workers)
        return {"on CPUs": [replace(b, host_bytes=own[b.name] + gpu[b.name]) for b in asked]}
    ways = {"a GPU each": Placement(1, engine.tensor_parallel)}
    if (config.learner.ranks, engine.replicas, engine.tensor_parallel) == (1, 1, 1):
        ways["one GPU for both"] = Placement(0.5, 0.5)
    asked_by = {way: where.requests(config, config.reward.least_workers) for way, where in ways.items()}
    return {
        way: [replace(b, gpu_bytes=gpu[b.name], host_bytes=host[b.name]) for b in asked]
        for way, asked in asked_by.items()
    }


def format_plan(plan: Plan) -> str:
    """Plain text, a line per figure."""
    config = plan.config
    lines = [
        f"{config.model.path} ({config.model.quantization}, {config.model.dtype}) on {config.data.benchmark}: "
        f"{config.steps} steps of {config.rollout.questions} questions × {config.rollout.samples} samples",
        f"parameters {plan.parameters:,}; trainable {plan.trainable:,}, "
        f"{memory.BYTES[config.model.dtype] * plan.trainable / 2**20:,.1f} MiB to each engine per step",
        *(f"bundles, {way}: {b.count} × {b.name} ({b})" for way, bundles in plan.layouts.items() for b in bundles),
    ]
    where = "GPU" if plan.device == "cuda" else "host"
    for process, parts in plan.memory.items():
        lines += part_lines(f"{where} memory, {process}, GiB", {**parts, "total": sum(parts.values())})
    lines.append(f"a learner's longest micro-batch: {memory.micro_batch_tokens(config):,} tokens")
    lines.append(_kv_line(plan))
    lines.append(f"disk: {plan.checkpoints / GIB:.3f} GiB for {config.checkpoint.keep + 1} checkpoints")
    return "\n".join(lines)


def _kv_line(plan: Plan) -> str:
    whole = memory.group_tokens(plan.config)
    held = f"KV cache: {plan.kv_tokens:,} tokens, {plan.kv_tokens / whole:.1f} whole groups of {whole:,}"
    if plan.kv_tokens < plan.config.model.max_length:
        return f"{held}: TOO SMALL for one context of {plan.config.model.max_length}, raise engine.kv_cache_gib"
    return held


if __name__ == "__main__":
    raise SystemExit(main())
