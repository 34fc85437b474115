"""`python -m sft.merge --model M --adapter A --out DIR`: base and adapter as one model that vLLM and transformers load.

The adapter is added, in fp32, to the values that it was trained on: a 4-bit base is de-quantised first. The sum is
rounded once, to the adapter's dtype. Then both are asked dev questions through the real engine, and the difference is
printed and kept in merge_report.json. Takes 4 bytes of memory per parameter, and no GPU for the merging itself.
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from evaluation import lineage
from evaluation.benchmarks import find_sources
from evaluation.command import BENCHMARK_HELP, CommandLine, add_data, at_least, benchmark, check_folder, folder
from evaluation.errors import UserError, exit_on_user_error
from sft.config import SftConfig
from sft.policy import provenance
from sft.policy.adapter import check_adapter, largest_rank, read_config, snap_rank
from sft.policy.chat import Chat
from sft.policy.encoder import PromptEncoder
from sft.policy.model_files import local_model
from sft.settings.file import validate

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from sft.dev import DevScore

REPORT = "merge_report.json"


@dataclass(frozen=True)
class Comparison:
    """The adapter on its base against the merged model, on the same questions."""

    adapter: DevScore
    merged: DevScore

    @property
    def same_queries(self) -> float:
        """Share of questions answered with the very same query."""
        pairs = list(zip(self.adapter.queries, self.merged.queries, strict=True))
        return sum(a == b for a, b in pairs) / len(pairs)

    def as_dict(self) -> dict[str, Any]:
        names = ("ex_strict", "em_spider", "loss")
        rows = {side: {name: getattr(getattr(self, side), name) for name in names} for side in ("adapter", "merged")}
        difference = {name: rows["merged"][name] - rows["adapter"][name] for name in names}
        return {**rows, "difference": difference, "same_queries": self.same_queries, "questions": self.adapter.n}

    def __str__(self) -> str:
        found = self.as_dict()
        lines = [f"{found['questions']} dev questions  {'adapter':>9}{'merged':>9}{'difference':>12}"]
        for name in ("ex_strict", "em_spider", "loss"):
            a, b, d = (found[side][name] for side in ("adapter", "merged", "difference"))
            lines.append(f"  {name:<18}{a:>9.4f}{b:>9.4f}{d:>+12.4f}")
        return "\n".join([*lines, f"  the same query for {self.same_queries:.1%} of the questions"])


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    local_model(args.model)
    read_config(args.adapter)
    _check_out(args.out)
    if args.questions:
        find_sources(args.benchmark, "dev", args.data)
    from sft.dev import DevEvaluator
    from sft.policy import base as policy  # slow: after the arguments

    config = _trained_with(args)
    provenance.check(args.adapter, config.model, config.data.prompt_style)
    encoder = PromptEncoder(
        policy.load_tokenizer(config.model.path),
        config.data.prompt_style,
        config.model.max_length,
        config.data.prompt_budget,
    )
    dev = DevEvaluator(config, encoder, args.data) if args.questions else None  # refuses before anything is written
    export(config, args.adapter, args.out)
    print(f"merged model in {args.out}\n{serving(args.out, config, encoder.chat)}", flush=True)
    if dev is None:
        return 0
    try:
        comparison = Comparison(dev.evaluate(args.adapter), dev.evaluate(args.out))
    finally:
        dev.close()
    report = {"benchmark": config.data.benchmark, **comparison.as_dict()}
    (args.out / REPORT).write_text(json.dumps(report, indent=2) + "\n")
    print(comparison, flush=True)
    return 0


def export(config: SftConfig, adapter: Path, out: Path) -> None:
    """Write the merged model, whole or not at all, with the tokenizer's files as they are and rollsql.json."""
    from sft.policy import base as policy

    merged = merge(config, adapter)
    settings = config.model.model_copy(update={"quantization": "none"})
    record = provenance.provenance(settings, config.data.prompt_style, config.data.prompt_budget)
    record |= {"merged_adapter": policy.read_adapter(adapter).digest, "trained": lineage.trained(adapter)}
    extra = {provenance.FILE: json.dumps(record, indent=2) + "\n", REPORT: "{}\n"}
    policy.save_model(merged, config.model.path, config.model.dtype, out, extra)


def merge(config: SftConfig, adapter: Path) -> PreTrainedModel:
    """The sum in fp32. UserError when the adapter is not plain LoRA, whole, and of this base."""
    import peft
    import torch
    import transformers

    from sft.policy import base as policy

    check_adapter(adapter, policy.model_directory(config.model.path))
    base = transformers.AutoModelForCausalLM.from_pretrained(policy.served_base(config.model), dtype=torch.float32)
    model = peft.PeftModel.from_pretrained(base, str(adapter))
    return cast("PreTrainedModel", model.merge_and_unload())


def serving(out: Path, config: SftConfig, chat: Chat) -> str:
    """How plain vLLM serves the merged model, and by what it must be asked."""
    options, style = chat.template_options(), config.data.prompt_style
    command = f"vllm serve {shlex.quote(str(out))} --max-model-len {config.model.max_length} --generation-config vllm"
    if options:
        command += f" --default-chat-template-kwargs {shlex.quote(json.dumps(options))}"
    asked = f"the one message of the user is what `python -m graph.show --db FILE --style {style} --question …` prints"
    asked += ", without its last newline"
    if options is None:
        asked = "its chat template makes another prompt than it was trained with, so send token ids to /v1/completions"
    return f"vLLM serves it: {command}\n  {asked}; temperature 0\n  or, database and all: rollsql serve --model {out}"


def _check_out(out: Path) -> None:
    if out.exists() and not (out / REPORT).is_file():
        raise UserError(f"--out {out} exists and is no merged model of ours: give a directory that does not exist yet")
    check_folder(out.parent)


def _trained_with(args: argparse.Namespace) -> SftConfig:
    """Settings of the adapter's training, as far as merging and asking need them."""
    check_adapter(args.adapter)
    path = args.adapter / provenance.FILE
    stored = json.loads(path.read_text()) if path.is_file() else {}
    quantization = stored.get("quantization", "nf4")
    values = {
        "model": {
            "path": args.model,
            "quantization": quantization,
            "dtype": stored.get("dtype", "bfloat16"),
            "max_length": args.max_length,
        },
        "lora": {"r": snap_rank(largest_rank(read_config(args.adapter)))},
        "data": {
            "benchmark": args.benchmark,
            "prompt_style": stored.get("prompt_style", "compact"),
            "prompt_budget": stored.get("prompt_budget", 0),
        },
        "train": {"mode": "qlora" if quantization == "nf4" else "lora"},
        "dev": {"questions": max(1, args.questions), "max_tokens": args.max_tokens},
    }
    return validate(SftConfig, values, "the command line")


def _parser() -> argparse.ArgumentParser:
    parser = CommandLine("sft.merge", (__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="base model that the adapter was trained on")
    parser.add_argument("--adapter", type=folder, required=True, help="e.g. runs/tiny-sft/adapter")
    parser.add_argument("--out", type=Path, required=True, help="directory of the merged model")
    parser.add_argument("--questions", type=at_least(0), default=100, help="dev questions for the comparison; 0: none")
    parser.add_argument("--benchmark", default="tiny", type=benchmark, help=BENCHMARK_HELP)
    add_data(parser)
    parser.add_argument("--max-tokens", type=at_least(1), default=256, help="longest answer")
    parser.add_argument("--max-length", type=at_least(1), default=1024, help="context of the engine, prompt and answer")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
