"""From publish to served: our adapter bytes into an engine of its own, against TRL's merge-and-push of weights.

python -m tests.bench.sync [--publishes 15] [--dtype bfloat16] [--profile]

A model of 16 M random parameters under LoRA r = 16 on all linear layers. Ours is what a run does: the learner's actor
publishes, the bytes travel, the engine's actor loads them and counts its live modules; done when `load` has returned.
TRL's is `VLLMGeneration.sync_weights` of TRL 1.16 with vLLM in the process of the trainer (colocate): merge the
adapter, push every parameter, reset the prefix cache, unmerge. It needs no other process, and its time is taken inside.
The two take turns, and before each publish the adapter changes. After it, outside of the time, the engines must give
the learners' log-probabilities, and others than before. The last line is one JSON object; `parts` are medians in ms.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import json
import pstats
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from cluster.actor import Handle, spawn
from cluster.runtime import start
from rl.learner import Learner, LearnerConfig
from sft.config import LoraConfig, ModelConfig
from sft.policy.base import PolicyVersion, load_model, load_tokenizer
from sft.policy.generator import Generator, GeneratorConfig
from tests.bench.shapes import make_16m_model

RANK: Literal[16] = 16
CONTEXT = 1024
WARM_UP = 3  # publishes that do not count
TIMEOUT_S = 300.0
AGREED = 0.05  # mean |Δ log-prob| of learner and engine: the limit that runs have, too
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}  # a core for each of two busy processes


class OurLearner(Learner):
    """The learner of a run, with an adapter that can be changed without data, and a clock."""

    def __init__(self, model: ModelConfig) -> None:
        super().__init__(model, LoraConfig(r=RANK), LearnerConfig(), "", 1.0, 48, 10, 0)

    def change(self, seed: int) -> None:
        change_adapter(self.model, seed)

    def timed_publish(self, step: int) -> tuple[PolicyVersion, float]:
        began = time.perf_counter()
        version = self.publish(step)
        return version, time.perf_counter() - began


class OurEngine(Generator):
    """The engine of a run, with a clock and a profiler of `load`."""

    def __init__(self, config: GeneratorConfig, profiled: bool) -> None:
        super().__init__(config)
        self.profile = cProfile.Profile() if profiled else None

    def timed_load(self, version: PolicyVersion) -> float:
        began = time.perf_counter()
        if self.profile is None:
            self.load(version)
        else:
            self.profile.runcall(self.load, version)
        return time.perf_counter() - began

    def profile_text(self) -> str:
        assert self.profile is not None
        text = io.StringIO()
        pstats.Stats(self.profile, stream=text).sort_stats("cumulative").print_stats(45)
        return text.getvalue()


class TrlPair:
    """TRL's learner and its colocated engine, in one process."""

    def __init__(self, model: ModelConfig) -> None:
        from tests.bench import trl_engine

        trl_engine.prepare(kv_cache_gib=1)
        from accelerate import Accelerator
        from trl.generation.vllm_generation import VLLMGeneration

        self.policy = load_model(model, LoraConfig(r=RANK)).eval()
        accelerator, tokenizer = Accelerator(cpu=True), load_tokenizer(model.path)
        self.generation = VLLMGeneration(self.policy, accelerator, tokenizer, max_model_length=CONTEXT, max_num_seqs=64)
        self.bytes = sum(parameter.nbytes for _, parameter in self.generation._iter_named_params())

    def change(self, seed: int) -> None:
        change_adapter(self.policy, seed)

    def sync(self) -> tuple[float, int]:
        """Seconds, and bytes of the parameters pushed."""
        began = time.perf_counter()
        self.generation.sync_weights()
        return time.perf_counter() - began, self.bytes

    def scores(self, prompt: list[int], answer: list[int]) -> tuple[list[float], list[float]]:
        """Log-probabilities of the answer's ids by the learner and by the engine."""
        from vllm import SamplingParams

        ids = [*prompt, *answer]
        with torch.no_grad():
            logits = self.policy(torch.tensor([ids])).logits[0, len(prompt) - 1 : -1].float()
        learner = logits.log_softmax(-1).gather(1, torch.tensor(answer)[:, None])[:, 0].tolist()
        params = SamplingParams(max_tokens=1, prompt_logprobs=0)
        output = self.generation.llm.generate([{"prompt_token_ids": ids}], params, use_tqdm=False)[0]
        found = output.prompt_logprobs[len(prompt) :]
        return learner, [entry[token].logprob for entry, token in zip(found, answer, strict=True)]


def change_adapter(model: torch.nn.Module, seed: int) -> None:
    """Another random adapter, large enough that the model's answers change with it."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in sorted(model.named_parameters()):
            if "lora_" in name:
                value.copy_(torch.randn(value.shape, generator=generator) * 0.05)


class Ours:
    """The way of a run: two actors and the driver between them."""

    def __init__(self, model: ModelConfig, profiled: bool) -> None:
        config = GeneratorConfig(model.path, model.dtype, max_model_len=CONTEXT, max_lora_rank=RANK)
        self.learner: Handle = spawn(OurLearner, model, name="learner", env=ENVIRONMENT)
        self.engine: Handle = spawn(OurEngine, config, profiled, name="engine", env=ENVIRONMENT)

    def publish(self, step: int) -> dict[str, float]:
        """Seconds of a publish by part, and bytes that travelled."""
        self.learner.call("change", step).result(TIMEOUT_S)
        began = time.perf_counter()
        version, published = self.learner.call("timed_publish", step).result(TIMEOUT_S)
        loaded = self.engine.call("timed_load", version).result(TIMEOUT_S)
        whole = time.perf_counter() - began
        size = len(version.adapter) + len(version.adapter_config)
        return {
            "whole": whole,
            "bytes": size,
            "publish": published,
            "load": loaded,
            "transfer": whole - published - loaded,
        }

    def scores(self, prompt: list[int], answer: list[int], step: int) -> tuple[list[float], list[float]]:
        learner = self.learner.call("score", [prompt], [answer]).result(TIMEOUT_S)
        return learner[0], self.engine.call("score", [prompt], [answer], step).result(TIMEOUT_S)[0]


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as work, start(num_cpus=4):
        path = make_16m_model(Path(work) / "model", getattr(torch, args.dtype))
        model = ModelConfig(path=str(path), quantization="none", dtype=args.dtype, max_length=CONTEXT)
        ours, trl = Ours(model, args.profile), spawn(TrlPair, model, name="trl", env=ENVIRONMENT)
        before: dict[str, list[float]] = {}
        rows = [_round(step, ours, trl, before) for step in range(1, WARM_UP + args.publishes + 1)]
        if args.profile:
            print(ours.engine.call("profile_text").result(TIMEOUT_S))
    print(json.dumps(_result(rows[WARM_UP:]) | {"dtype": args.dtype, "publishes": args.publishes}))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sync", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--publishes", type=int, default=15)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--profile", action="store_true", help="print where `load` spends its time; slows it down")
    return parser


def _round(step: int, ours: Ours, trl: Handle, before: dict[str, list[float]]) -> dict[str, float]:
    """One publish of each; raises when an engine does not serve what its learner holds.

    before: what the engines scored in the last round, by side; replaced by this round's.
    """
    rng = random.Random(0)
    prompt, answer = [[rng.randrange(5, 8192) for _ in range(n)] for n in (100, 48)]
    row = ours.publish(step)
    scored = {"ours": ours.scores(prompt, answer, step)}
    trl.call("change", step).result(TIMEOUT_S)
    row["trl"], row["trl_bytes"] = trl.call("sync").result(TIMEOUT_S)
    scored["trl"] = trl.call("scores", prompt, answer).result(TIMEOUT_S)
    row["difference"] = max(_distance(*pair) for pair in scored.values())
    moved = [_distance(engine, before[side]) for side, (_, engine) in scored.items() if side in before]
    before.update({side: engine for side, (_, engine) in scored.items()})
    if row["difference"] > AGREED or min(moved, default=1.0) < 2 * AGREED:
        raise RuntimeError(
            f"publish {step}: mean |Δ log-prob| of learner and engine must be at most {AGREED}, got "
            f"{row['difference']:.4f}, and that of an engine before and after at least {2 * AGREED}, got {moved}"
        )
    print(
        f"publish {step:2}  ours {1e3 * row['whole']:6.1f} ms (publish {1e3 * row['publish']:.1f}, transfer "
        f"{1e3 * row['transfer']:.1f}, load {1e3 * row['load']:.1f})  TRL {1e3 * row['trl']:6.1f} ms",
        flush=True,
    )
    return row


def _distance(a: list[float], b: list[float]) -> float:
    return statistics.fmean(abs(x - y) for x, y in zip(a, b, strict=True))


def _result(rows: list[dict[str, float]]) -> dict[str, Any]:
    def ms(key: str) -> float:
        return round(1e3 * statistics.median(row[key] for row in rows), 1)

    return {
        "sync_ms": ms("whole"),
        "sync_bytes": int(rows[-1]["bytes"]),
        "trl_ms": ms("trl"),
        "trl_bytes": int(rows[-1]["trl_bytes"]),
        "sync_vs_trl": round(ms("trl") / ms("whole"), 2),
        "parts": {name: ms(name) for name in ("publish", "transfer", "load")},
        "sync_ms_range": [round(1e3 * pick(row["whole"] for row in rows), 1) for pick in (min, max)],
        "trl_ms_range": [round(1e3 * pick(row["trl"] for row in rows), 1) for pick in (min, max)],
        "largest_difference": round(max(row["difference"] for row in rows), 5),
    }


if __name__ == "__main__":
    raise SystemExit(main())
