"""One optimizer step of our learner against the same step of TRL's GRPOTrainer: speed, memory, gradients.

python -m tests.bench.learner [--groups 16] [--samples 8] [--prompt 500] [--answer 48] [--rounds 3] [--dtype float32]
    [--databases 4]

16 groups of 8 answers, a model of 16 M random parameters under LoRA r = 16 on all linear layers, the same ids,
advantages, loss (token mean, clipped) and optimizer on both sides; no generation, no reward, no KL. TRL runs its own
compute_loss with gradient checkpointing off, at the micro-batch that is fastest here. Each side runs in a process of
its own, in turns; memory is the growth of the process over what it held before its first step. Lengths vary by ± 20 %.
With --databases the questions are about so many databases, whose schemas are 17 parts in 20 of their prompts.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from rl.types import Episode, Group, Reward
from tests.bench.shapes import make_16m_model
from tests.rl.question import question

LEARNING_RATE = 1e-4
MICRO_BATCHES = (4, 8, 16)  # answers per forward, tried for TRL on a quarter of the groups


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    warnings.filterwarnings("ignore")
    if args.side:
        return _child(args)
    with tempfile.TemporaryDirectory() as work:
        make_16m_model(Path(work) / "model", getattr(torch, args.dtype))
        micro = args.micro or _fastest(args, work)
        runs: dict[str, list[dict[str, Any]]] = {"ours": [], "trl": []}
        for turn in range(args.rounds):
            for side in ("trl", "ours"):
                runs[side].append(_run(args, work, side, micro))
                print(f"round {turn + 1}  {side:<5} {_shown(runs[side][-1])}", flush=True)
        print(json.dumps(_result(args, runs, micro, Path(work))))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.learner", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--groups", type=int, default=16)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--prompt", type=int, default=500, help="tokens, about")
    parser.add_argument("--answer", type=int, default=48, help="tokens, about")
    parser.add_argument("--databases", type=int, default=0, help="0: one for each question")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--token-budget", type=int, default=8192, help="ours: tokens per micro-batch")
    parser.add_argument("--micro", type=int, default=0, help="TRL: answers per micro-batch; 0: the fastest of a few")
    parser.add_argument("--side", choices=("ours", "trl"), help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    return parser


def _fastest(args: argparse.Namespace, work: str) -> int:
    fewer = argparse.Namespace(**vars(args) | {"groups": max(1, args.groups // 4), "databases": args.databases // 4})
    seconds = {micro: _run(fewer, work, "trl", micro)["seconds"] for micro in MICRO_BATCHES}
    shown = ", ".join(f"{micro}: {s:.2f}" for micro, s in seconds.items())
    print(f"TRL, s per step by answers per forward: {shown}", flush=True)
    return min(seconds, key=lambda micro: seconds[micro])


def _run(args: argparse.Namespace, work: str, side: str, micro: int) -> dict[str, Any]:
    kept = ("groups", "databases", "samples", "prompt", "answer", "dtype", "token_budget")
    options = [text for name in kept for text in (f"--{name.replace('_', '-')}", str(getattr(args, name)))]
    command = [sys.executable, "-m", "tests.bench.learner", "--side", side, "--work", work, "--micro", str(micro)]
    done = subprocess.run([*command, *options], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _child(args: argparse.Namespace) -> int:
    """Two steps: the first warms up and leaves its gradients, the second is timed. Three, and the faster counts."""
    groups = _groups(args)
    step = _our_step(args, groups) if args.side == "ours" else _trl_step(args, groups)
    before = _resident_mib()
    gradients = step()
    save_file(gradients, args.work / f"{args.side}.safetensors")
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": min(seconds), "growth_mib": peak - before, "peak_mib": peak}))
    return 0


def _groups(args: argparse.Namespace) -> list[Group]:
    rng = random.Random(0)

    def ids(about: float) -> list[int]:
        return [rng.randrange(5, 8192) for _ in range(round(about * rng.uniform(0.8, 1.2)))]

    groups, shared = [], 0.85 * args.prompt if args.databases else 0.0
    schemas = [ids(shared) for _ in range(args.databases or args.groups)]
    for q in range(args.groups):
        prompt = schemas[q % len(schemas)] + ids(args.prompt - shared)
        answers = [[*ids(args.answer - 1), 2] for _ in range(args.samples)]
        rollouts = [
            Episode.single(k, prompt, answer, [-9.0 + 0.01 * rng.random() for _ in answer], "stop", 0)
            for k, answer in enumerate(answers)
        ]
        advantages = [rng.uniform(-1.5, 1.5) for _ in answers]
        asked = question(str(q), f"db{q % len(schemas)}")
        groups.append(Group(asked, rollouts, [Reward(0.0, {}, "wrong")] * len(answers), advantages))
    return groups


def _our_step(args: argparse.Namespace, groups: list[Group]) -> Any:
    from rl.learner import Learner, LearnerConfig
    from sft.config import LoraConfig, ModelConfig

    model = ModelConfig(path=str(args.work / "model"), quantization="none", dtype=args.dtype, max_length=2048)
    config = LearnerConfig(learning_rate=LEARNING_RATE, token_budget=args.token_budget, max_grad_norm=1e9)
    learner = Learner(model, LoraConfig(r=16), config, "", 1.0, 2 * args.answer, 10, 0)
    gradients: dict[str, torch.Tensor] = {}
    learner.optimizer.register_step_pre_hook(lambda *_: gradients.update(_gradients(learner.model)))
    _same_adapter(learner.model)
    numbers = iter(range(1, 10))

    def step() -> dict[str, torch.Tensor]:
        learner.learn(groups, next(numbers))
        return gradients

    return step


def _trl_step(args: argparse.Namespace, groups: list[Group]) -> Any:
    """TRL's own trainer and compute_loss; the micro-batches are handed to it as its generation would."""
    import peft
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from sft.config import LoraConfig, ModelConfig
    from sft.policy.base import load_model, load_tokenizer

    model = ModelConfig(path=str(args.work / "model"), quantization="none", dtype=args.dtype, max_length=2048)
    policy = load_model(model, LoraConfig(r=16))
    samples = args.groups * args.samples
    steps = -(-samples // args.micro)
    config = GRPOConfig(
        output_dir=str(args.work / "trl"),
        per_device_train_batch_size=args.micro,
        gradient_accumulation_steps=steps,
        steps_per_generation=steps,
        num_generations=args.samples,
        max_completion_length=2 * args.answer,
        learning_rate=LEARNING_RATE,
        max_grad_norm=1e9,
        optim="paged_adamw_8bit",
        loss_type="dapo",
        beta=0.0,
        epsilon=0.2,
        epsilon_high=0.28,
        bf16=args.dtype == "bfloat16",
        gradient_checkpointing=False,
        use_cpu=not torch.cuda.is_available(),
        report_to="none",
        save_strategy="no",
    )
    trainer = GRPOTrainer(
        policy,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=config,
        train_dataset=Dataset.from_dict({"prompt": ["q"] * args.groups}),
        processing_class=load_tokenizer(model.path),
    )
    assert isinstance(trainer.model, peft.PeftModel)
    _same_adapter(trainer.model)
    trainer.create_optimizer()
    trainer.current_gradient_accumulation_steps = steps
    trainer.model.train()
    batches = _trl_batches(groups, args.micro)

    def step() -> dict[str, torch.Tensor]:
        for batch in batches:
            loss = trainer.compute_loss(trainer.model, dict(batch))
            trainer.accelerator.backward(loss)
        torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), config.max_grad_norm)
        gradients = _gradients(trainer.model)
        trainer.optimizer.step()
        trainer.optimizer.zero_grad(set_to_none=True)
        return gradients

    return step


def _trl_batches(groups: list[Group], micro: int) -> list[dict[str, torch.Tensor]]:
    """Prompts padded on the left, answers on the right, as TRL pads them: per generation batch."""
    rollouts = [(r, a) for group in groups for r, a in zip(group.episodes, group.advantages, strict=True)]
    prompt = max(len(r.prompt_ids) for r, _ in rollouts)
    answer = max(len(r.token_ids) for r, _ in rollouts)
    columns: dict[str, list[Any]] = {
        name: [] for name in ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask", "old_per_token_logps")
    }
    for r, _ in rollouts:
        left, right = prompt - len(r.prompt_ids), answer - len(r.token_ids)
        columns["prompt_ids"].append([0] * left + list(r.prompt_ids))
        columns["prompt_mask"].append([0] * left + [1] * len(r.prompt_ids))
        columns["completion_ids"].append(list(r.token_ids) + [0] * right)
        columns["completion_mask"].append([1] * len(r.token_ids) + [0] * right)
        columns["old_per_token_logps"].append(list(r.log_probs) + [0.0] * right)
    whole = {name: torch.tensor(rows) for name, rows in columns.items()}
    whole["advantages"] = torch.tensor([advantage for _, advantage in rollouts])
    parts = {name: tensor.split(micro) for name, tensor in whole.items()}
    tokens = whole["completion_mask"].sum()
    return [
        {name: part[i] for name, part in parts.items()} | {"num_items_in_batch": tokens}
        for i in range(len(parts["advantages"]))
    ]


def _same_adapter(model: torch.nn.Module) -> None:
    """The same random adapter on both sides; B is not zero, so that A has a gradient, too."""
    generator = torch.Generator().manual_seed(1)
    for name, value in sorted(model.named_parameters()):
        if value.requires_grad:
            value.data = (torch.randn(value.shape, generator=generator) * 0.02).to(value.dtype)
        assert value.requires_grad == ("lora_" in name)


def _gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _result(args: argparse.Namespace, runs: dict[str, list[dict[str, Any]]], micro: int, work: Path) -> dict[str, Any]:
    ours, theirs = (load_file(work / f"{side}.safetensors") for side in ("ours", "trl"))
    assert ours.keys() == theirs.keys()
    difference = max(float((ours[name] - theirs[name]).abs().max()) for name in ours)
    largest = max(float(value.abs().max()) for value in theirs.values())

    def median(side: str, key: str) -> float:
        return statistics.median(run[key] for run in runs[side])

    return {
        "learner_vs_trl": round(median("trl", "seconds") / median("ours", "seconds"), 3),
        "ours_s": round(median("ours", "seconds"), 3),
        "trl_s": round(median("trl", "seconds"), 3),
        "ours_memory_mib": round(median("ours", "growth_mib")),
        "trl_memory_mib": round(median("trl", "growth_mib")),
        "ours_peak_mib": round(median("ours", "peak_mib")),
        "trl_peak_mib": round(median("trl", "peak_mib")),
        "gradient_max_abs_difference": difference,
        "gradient_largest": largest,
        "trl_micro_batch": micro,
        "token_budget": args.token_budget,
        "shape": f"{args.groups} x {args.samples}, {args.prompt} + {args.answer} tokens, {args.dtype}",
        "databases": args.databases or args.groups,
        "threads": torch.get_num_threads(),
    }


def _shown(run: dict[str, Any]) -> str:
    return f"{run['seconds']:7.2f} s  + {run['growth_mib']:6.0f} MiB"


if __name__ == "__main__":
    raise SystemExit(main())
