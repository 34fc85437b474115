"""`python -m rl.ablate --config FILE [--data DIR] [key=value …]`: variants of prompt and adapter, side by side.

Each variant is trained by sft.train, then by rl.train, over each seed, and scored by rl.train's evaluation: the path is
the same for all, and so is the budget. The same line again resumes; seeds and variants may be added.

    DIR/NAME/VARIANT/seedK/{sft,rl}/   the runs as their commands leave them, logs beside them
    DIR/NAME/report/                   ablation.md, ablation.json, ablation.png
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from cluster.needs import Needs
from evaluation.benchmarks import Example, load_examples
from evaluation.errors import UserError, exit_on_user_error
from evaluation.score import write_whole
from rl.ablation.config import REPORT, AblationConfig, Plan, plans
from rl.ablation.stages import Chain, Stage, run_chains
from sft.policy.encoder import PromptEncoder
from sft.run_lock import locked
from sft.settings.command import ConfigCommand

PROMPTS_MEASURED = 256
SETTINGS = "settings.json"
Failures = dict[str, str]  # title of a stage -> why


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    about = (__doc__ or "").splitlines()[0]
    command = ConfigCommand("rl.ablate", about, AblationConfig, "rl/configs/ablation-tiny.toml", _needs).add_data()
    config, args = command.read(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return ablate(config, args.data)


def _needs(config: AblationConfig, args: argparse.Namespace) -> Needs:
    """Those of its RL runs at once; the first variant's, as the others differ by a prompt or an adapter's rank."""
    from rl.plan import as_needs, plan  # slow: it counts a model

    one = as_needs(plan(plans(config)[0].rl, None if args.needs == "auto" else args.needs))
    layouts = {way: [replace(b, count=b.count * config.jobs) for b in found] for way, found in one.layouts.items()}
    return replace(one, layouts=layouts)


def ablate(config: AblationConfig, data: Path | None = None) -> int:
    """Trains what is left to train and writes the report. Returns 1 when a stage failed, else 0."""
    made = plans(config)
    chosen = made[0].rl.data
    dev = load_examples(chosen.benchmark, "dev", data, synthetic=chosen.synthetic_rows)
    root = Path(config.dir) / config.name
    with locked(root, "give another name=…"):
        _remember(root, made, data)
        # Seeds outermost: all variants have a first figure before any has a second.
        chains = [_chain(root, config, plan, seed, data) for seed in config.seeds for plan in made]
        finished = [stage.seconds is not None for chain in chains for stage in chain]
        _say(f"{root}: {sum(finished)} of {len(finished)} stages are finished" + ": nothing to do" * all(finished))
        failures = run_chains(chains, config.jobs, _environment(config.jobs), _say)
        _report(root, config, made, dev, {stage.title: reason for stage, reason in failures.items()})
    return 1 if failures else 0


def _chain(root: Path, config: AblationConfig, plan: Plan, seed: int, data: Path | None) -> Chain:
    """SFT, then RL; for a variant without RL, the score of its adapter."""
    name, kind = plan.variant.name, "rl" if plan.variant.rl else "score"
    folder = root / name / f"seed{seed}"
    source = ("--data", str(data)) if data else ()
    place = (f"run.dir={_quoted(folder)}", f"run.seed={seed}")
    adapter = (f"init_adapter={_quoted(folder / 'sft' / 'adapter')}", 'sft_metrics=""', "evaluation.base=false")
    python = (sys.executable, "-m")
    sft = (*python, "sft.train", "--config", config.sft, *source, *plan.sft_set, *place, "run.name=sft")
    rl = (*python, "rl.train", "--config", config.rl, *source, *plan.rl_set, *place, "run.name=rl", *adapter)
    return Stage(name, seed, "sft", folder, sft), Stage(name, seed, kind, folder, rl)


def _quoted(path: Path) -> str:
    """As TOML, or a folder called 2024 would be a number."""
    return json.dumps(str(path), ensure_ascii=False)


def _environment(jobs: int) -> dict[str, str]:
    cores = len(os.sched_getaffinity(0))
    return {"OMP_NUM_THREADS": str(max(1, cores // jobs))} if jobs > 1 else {}


def _say(line: str) -> None:
    print(line, flush=True)


def _remember(root: Path, made: Sequence[Plan], data: Path | None) -> None:
    """Keeps the settings of each variant. UserError when one of them was begun with others."""
    path = root / SETTINGS
    stored: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    asked = {p.variant.name: {**p.settings, "data": str(data.resolve()) if data else ""} for p in made}
    for name, settings in asked.items():
        if stored.get(name, settings) != settings:
            raise UserError(
                f"{root} holds the variant {name!r} with other settings ({_first_difference(stored[name], settings)}): "
                "give the ablation another name, or the variant, or remove its folder and its entry in "
                f"{path}"
            )
    write_whole(path, json.dumps(stored | asked, indent=2) + "\n")


def _first_difference(before: Any, after: Any, place: str = "") -> str:
    if isinstance(before, dict) and isinstance(after, dict):
        key = next(k for k in [*before, *after] if k not in before or k not in after or before[k] != after[k])
        return _first_difference(before.get(key), after.get(key), f"{place}.{key}".lstrip("."))
    return f"{place} was {json.dumps(before)}, is {json.dumps(after)}"


def _report(root: Path, config: AblationConfig, made: Sequence[Plan], dev: list[Example], failed: Failures) -> None:
    from rl.ablation.report import Row, subsets, summarise, write_results

    rows = [
        Row(plan.variant.name, stage, _evaluations(root, plan, stage, config.seeds))
        for plan in made
        for stage in (("sft", "rl") if plan.variant.rl else ("sft",))
    ]
    asked = {one["id"] for row in rows for found in row.seeds.values() for one in found["per_question"]}
    dev = [example for example in dev if example.id in asked]
    schemas = _encoder(made[0])
    questions = subsets(dev, lambda example: schemas.schema(example.database))
    known = {plan.variant.name: _known(root, plan, config.seeds, dev) for plan in made}
    print(f"report: {write_results(summarise(rows, questions, known, failed), root / REPORT)}", flush=True)


def _evaluations(root: Path, plan: Plan, stage: str, seeds: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What rl.train wrote, by seed; a seed that is not there yet, or failed, is left out."""
    runs = {seed: root / plan.variant.name / f"seed{seed}" / "rl" for seed in seeds}
    paths = {seed: run / "evaluations" / f"{stage}.json" for seed, run in runs.items()}
    return {seed: json.loads(path.read_text()) for seed, path in paths.items() if path.exists()}


def _known(root: Path, plan: Plan, seeds: Sequence[int], dev: Sequence[Example]) -> dict[str, Any]:
    """What tells variants apart besides accuracy. Long prompts cost questions: what did not fit is counted."""
    summaries = [root / plan.variant.name / f"seed{seed}" / "sft" / "report" / "summary.json" for seed in seeds]
    trained = [json.loads(path.read_text()) for path in summaries if path.exists()]
    scored = _evaluations(root, plan, "sft", seeds).values()
    clocks = [root / plan.variant.name / f"seed{seed}" / "rl" / "seconds.json" for seed in seeds]
    rl_seconds = [json.loads(path.read_text())["rl"] for path in clocks if path.exists()]
    over = [sum(one["status"] == "over_context" for one in found["per_question"]) for found in scored]
    return {
        "set": " ".join(plan.variant.set) or "–",
        "prompt_tokens": _prompt_tokens(plan, dev),
        "sft_questions": max((one["questions"] for one in trained), default=0),
        "sft_dropped": max((one["dropped"] for one in trained), default=0),
        "dev_over_context": max(over, default=0),
        "rl_minutes": round(fmean(rl_seconds) / 60, 2) if any(rl_seconds) else 0,
    }


def _prompt_tokens(plan: Plan, dev: Sequence[Example]) -> int:
    """The mean over dev questions, at most PROMPTS_MEASURED of them, evenly spread."""
    spread = dev[:: max(1, -(-len(dev) // PROMPTS_MEASURED))]
    encoder = _encoder(plan)
    return round(fmean(len(encoder.encode(example)) for example in spread)) if spread else 0


def _encoder(plan: Plan) -> PromptEncoder:
    from sft.policy.base import load_tokenizer

    data, model = plan.rl.data, plan.rl.model
    return PromptEncoder(load_tokenizer(model.path), data.prompt_style, model.max_length, data.prompt_budget)


if __name__ == "__main__":
    raise SystemExit(main())
