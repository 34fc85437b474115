"""Whole GRPO steps on Spider's training questions, ours against TRL's GRPOTrainer on the same machine.

python -m tests.bench.loop --data DIR/spider [--model bundled] [--adapter DIR] [--groups 8] [--samples 8] [--steps 12]

Same model and adapter, questions, prompts, K, longest answer, temperature, loss and SQL reward; no quantisation, since
TRL's vLLM cannot serve a 4-bit base on a CPU. Ours is `python -m rl.train`; TRL generates by transformers and by vLLM
(`tests/bench/trl_loop.py`), and its faster way counts. A step lasts from the end of the one before to its own end,
journal included; the first two do not count.

    --model bundled   sft/tiny after one pass of SFT over Spider (--adapter, or made here in some ten minutes). It ends
                      its answers itself, and most groups have no signal: our learner skips these, TRL's does not.
    --model 16m       random weights, 16.5 M: all answers have the full length, no group has a signal

`all_learned` is ours with a tiny advantage wherever there was none: the learner skips nothing, as in TRL. For 16m it is
all that is measured. `overlap` is step seconds / max(generate + reward, learn) of such a run with rollout.staleness = 1
and one thread each for engine and learner; `overlap_of_generation` leaves the reward out, since rewards run beside
both. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rl.config import RolloutConfig
from tests.bench import trl_loop

WARM_UP = 2  # steps that do not count
TINY = 1e-9  # an advantage that changes nothing


def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    args, overrides = parser.parse_known_args(argv)
    if args.side:
        return _child(args, overrides)
    if overrides:
        parser.error(f"unrecognized arguments: {' '.join(overrides)}")
    with tempfile.TemporaryDirectory() as work:
        args.work = args.work or Path(work)
        _make_model(args)
        names = ["as_is"] * (args.model == "bundled") + ["all_learned"]
        args.rollouts = args.work / names[0] / "rollouts"
        busy: dict[str, float] = {}
        ours = {name: _watched(busy, name, _ours, args) for name in names}
        trl = {way: _watched(busy, way, _trl, args) for way in args.ways}
        overlapped = _watched(busy, "overlapped", _ours, args) if _has_staleness() else []
    print(json.dumps(_result(args, ours, trl, overlapped) | {"load_average": busy}))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.loop", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of Spider")
    parser.add_argument("--model", choices=("bundled", "16m"), default="bundled")
    parser.add_argument("--adapter", type=Path, help="of sft/tiny, in lora mode on Spider; default: made here")
    parser.add_argument("--groups", type=int, default=8, help="questions per step")
    parser.add_argument("--samples", type=int, default=8, help="answers per question")
    parser.add_argument("--max-tokens", type=int, default=48, help="longest answer")
    parser.add_argument("--context", type=int, default=768, help="prompt + answer; longer questions are left out")
    parser.add_argument("--steps", type=int, default=12, help=f"of which the first {WARM_UP} do not count")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--micro", type=int, default=8, help="TRL: answers per forward of its learner")
    parser.add_argument("--ways", nargs="+", choices=trl_loop.WAYS, default=list(trl_loop.WAYS), help="TRL: generation")
    parser.add_argument("--learning-rate", type=float, default=1e-5, help="low: lengths stay those of the first step")
    parser.add_argument("--work", type=Path, help="folder for runs, kept; default: a temporary one")
    for hidden in ("--side", "--model-path"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--rollouts", type=Path, help=argparse.SUPPRESS)
    return parser


def _watched(busy: dict[str, float], name: str, measure: Any, args: argparse.Namespace) -> Any:
    """measure(args, name); leaves the machine's load average at its end, minutes back, in `busy`."""
    found = measure(args, name)
    busy[name] = round(os.getloadavg()[1], 1)
    return found


def _child(args: argparse.Namespace, overrides: list[str]) -> int:
    if args.side in trl_loop.WAYS:
        print(json.dumps(trl_loop.run(args, args.side)))
        return 0
    from rl.train.__main__ import main as train

    _learn_every_group()
    return train([*overrides, "--data", str(args.data)])


def _learn_every_group() -> None:
    """Advantages of groups without signal become ± TINY: the learner has the work of all groups."""
    from rl.algorithms import base

    estimate = base.advantages

    def never_zero(*args: Any) -> list[list[float]]:
        return [[a or TINY * (-1) ** k for k, a in enumerate(row)] for row in estimate(*args)]

    base.advantages = never_zero  # type: ignore[assignment]


def _make_model(args: argparse.Namespace) -> None:
    """Sets args.model_path and args.adapter."""
    if args.model == "16m":
        import torch

        from tests.bench.shapes import make_16m_sql_model

        args.model_path = str(make_16m_sql_model(args.work / "model", getattr(torch, args.dtype)))
        return
    args.model_path = "sft/tiny"
    if args.adapter is None:
        print("SFT of sft/tiny on Spider, some ten minutes", flush=True)
        command = ["sft.train", "--config", "sft/configs/spider-tiny.toml", "--data", str(args.data)]
        settings = ["model.quantization=none", "train.mode=lora", f"run.dir={args.work}", "run.name=sft"]
        subprocess.run([sys.executable, "-m", *command, *settings], check=True)
        args.adapter = args.work / "sft" / "adapter"


def _has_staleness() -> bool:
    return "staleness" in RolloutConfig.model_fields


def _ours(args: argparse.Namespace, name: str) -> list[dict[str, Any]]:
    """The counted rows of metrics.jsonl, each with `wall`: seconds from the line of the step before to its own."""
    settings = _settings(args, name)
    command = ["rl.train", *settings, "--data", str(args.data)]
    if name != "as_is":
        command = ["tests.bench.loop", "--side", "ours", "--data", str(args.data), *settings]
    environment = dict(os.environ) | ({"OMP_NUM_THREADS": "1"} if name == "overlapped" else {})
    ends: list[float] = []
    with subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True, env=environment) as run:
        for line in run.stdout or ():
            if line.startswith("step "):
                ends.append(time.perf_counter())
                print(f"{name:<12} {line}", end="", flush=True)
    if run.returncode:
        raise SystemExit(f"our run {name} failed with exit code {run.returncode}")
    rows = [json.loads(line) for line in (args.work / name / "metrics.jsonl").read_text().splitlines()]
    for row, before, after in zip(rows[1:], ends, ends[1:], strict=False):
        row["wall"] = after - before
    if name != "as_is" and any(row["no_signal"] for row in rows):
        raise SystemExit(
            f"our run {name} must learn every group, but it skipped some: the advantages were not replaced"
        )
    return rows[WARM_UP:]


def _settings(args: argparse.Namespace, name: str) -> list[str]:
    given = {
        "steps": args.steps,
        "init_adapter": args.adapter or "",
        "run.name": name,
        "run.dir": args.work,
        "model.path": args.model_path,
        "model.quantization": "none",
        "model.dtype": args.dtype,
        "model.max_length": args.context,
        "rollout.questions": args.groups,
        "rollout.samples": args.samples,
        "rollout.max_tokens": args.max_tokens,
        "learner.learning_rate": args.learning_rate,
        "learner.warmup_steps": 0,
        "learner.decay": "false",
        "learner.token_budget": 8192,
        "evaluation.base": "false",
        "evaluation.limit": 1,
        "evaluation.samples": 1,
        "checkpoint.every": args.steps,
    }
    if name == "overlapped":
        given["rollout.staleness"] = 1
    return ["--config", "rl/configs/spider-tiny.toml", *(f"{key}={value}" for key, value in given.items())]


def _trl(args: argparse.Namespace, way: str) -> dict[str, Any]:
    """The figures of TRL's run; its `seconds` are those of the steps that count."""
    kept = ("data", "model_path", "adapter", "groups", "samples", "max_tokens", "context", "steps", "dtype", "micro")
    names = [name for name in (*kept, "learning_rate", "work", "rollouts") if getattr(args, name) is not None]
    options = [text for name in names for text in (f"--{name.replace('_', '-')}", str(getattr(args, name)))]
    command = [sys.executable, "-m", "tests.bench.loop", "--side", way, *options]
    environment = dict(os.environ, HF_HUB_DISABLE_TELEMETRY="1")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"TRL's run with {way} failed with exit code {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"TRL {way:<17} s per step: " + " ".join(f"{s:.2f}" for s in found["seconds"]), flush=True)
    return found | {"seconds": found["seconds"][WARM_UP:]}


def _result(
    args: argparse.Namespace, ours: dict[str, list[dict[str, Any]]], trl: dict[str, Any], overlapped: list[Any]
) -> dict[str, Any]:
    samples = args.groups * args.samples
    ours_speed = {name: samples / _median(rows, "wall") for name, rows in ours.items()}
    trl_speed = {way: samples / statistics.median(found["seconds"]) for way, found in trl.items()}
    best = max(trl_speed.values())
    first = next(iter(ours))  # as a run is; where nothing has a signal, all learned
    return {
        "loop_vs_trl": round(ours_speed[first] / best, 2),
        "loop_vs_trl_all_learned": round(ours_speed["all_learned"] / best, 2),
        "ours_samples_per_s": {name: round(speed, 2) for name, speed in ours_speed.items()},
        "trl_samples_per_s": {way: round(speed, 2) for way, speed in trl_speed.items()},
        "no_signal": round(statistics.fmean(row["none_correct"] + row["all_correct"] for row in ours[first]), 3),
        "trl_no_signal": {way: round(found["no_signal"], 3) for way, found in trl.items()},
        "mean_tokens": {name: round(_mean(rows, "mean_tokens"), 1) for name, rows in ours.items()},
        "trl_mean_tokens": {way: round(found["mean_tokens"], 1) for way, found in trl.items()},
        "ours_seconds": {name: _phases(rows) for name, rows in ours.items()},
        "overlap": round(statistics.median(map(_overlap, overlapped)), 3) if overlapped else None,
        "overlap_of_generation": round(statistics.median(map(_bare, overlapped)), 3) if overlapped else None,
        "overlap_seconds": _phases(overlapped) if overlapped else None,
        "shape": f"{args.model}, {args.groups} x {args.samples}, answers up to {args.max_tokens}, {args.dtype}",
        "steps": args.steps - WARM_UP,
        "trl_micro_batch": args.micro,
    }


def _overlap(row: dict[str, Any]) -> float:
    seconds = row["seconds"]
    return float(row["wall"] / max(seconds["generate"] + seconds["reward"], seconds["learn"]))


def _bare(row: dict[str, Any]) -> float:
    """The same without the rewards, most of which are worked out while others are sampled."""
    seconds = row["seconds"]
    return float(row["wall"] / max(seconds["generate"], seconds["learn"]))


def _phases(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Median seconds by phase; `wall` is the whole step."""
    phases = {name: statistics.median(row["seconds"].get(name, 0.0) for row in rows) for name in rows[0]["seconds"]}
    return {name: round(value, 3) for name, value in (phases | {"wall": _median(rows, "wall")}).items()}


def _median(rows: list[dict[str, Any]], key: str) -> float:
    return statistics.median(row[key] for row in rows)


def _mean(rows: list[dict[str, Any]], key: str) -> float:
    return statistics.fmean(row[key] for row in rows)


if __name__ == "__main__":
    raise SystemExit(main())
