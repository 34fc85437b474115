"""`python -m rl.predict --model M [--adapter A] --benchmark B --split dev --out preds.jsonl`: a query per question.

Greedy answers, one row {"id", "sql"} per question in split order; with --samples K also "samples": K queries drawn at
--temperature. The prompts and the served base are those of training: with --quantization nf4 an adapter meets the
4-bit weights that it was trained on. A question whose prompt does not fit gets "" and is counted.

With --candidates N the query is one of the greedy answer and N - 1 samples: with --select vote the one whose result
most of them share, with vote_instances also on databases of the same schema with other rows. "confidence" is the share
of the votes, "greedy" what would have been answered without. With --repair R an answer that fails or returns no row is
shown to the model with what came of it, up to R times; with --grammar answers hold no name that the database lacks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evaluation import lineage
from evaluation.benchmarks import Example, find_sources, load_examples
from evaluation.command import CommandLine, add_benchmark, at_least, check_output, folder
from evaluation.console import EVERY_S, Count
from evaluation.databases.sandbox import Sandbox
from evaluation.errors import UserError, exit_on_user_error
from evaluation.instances.folder import Cached
from evaluation.score import write_whole
from rl import policies
from rl.asker import candidates
from rl.policies import Policies, Policy
from rl.repair import Asked, Repairer
from rl.selection import INSTANCES, Chosen, Selector, selection
from rl.selection import add_options as add_selection
from sft.policy.sampling import Sample, Sampling, prompt_number


@dataclass(frozen=True)
class Questions:
    """The examples, and the prompts of those that fit: indices into `examples`, token ids."""

    examples: list[Example]
    fitting: list[int]
    prompts: list[list[int]]


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    _check(args)
    shots = lineage.shots(args.adapter) if args.shots is None else args.shots
    examples = load_examples(args.benchmark, args.split, args.data, rows=False, shots=shots)[: args.limit]
    asked: list[Questions] = []
    adapters = {"adapter": args.adapter} if args.adapter else {}
    started = policies.start(args, adapters, lambda policy: asked.append(_encode(examples, policy)))
    try:
        rows = _predict(started, asked[-1], args)
    finally:
        started.close()
    write_whole(args.out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    print(f"{args.out}: {len(rows)} predictions, {started.generator.stats.tokens_per_second:,.0f} tokens/s", flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").split("\n\n", 1)[1]
    parser = CommandLine("rl.predict", about)
    parser.add_argument("--model", required=True, help="base model: a directory in Hugging Face layout, e.g. sft/tiny")
    parser.add_argument("--adapter", type=folder, help="LoRA adapter in PEFT's layout, e.g. runs/rl/adapter")
    add_benchmark(parser)
    parser.add_argument("--out", type=Path, required=True, help="the .jsonl file to write")
    parser.add_argument("--samples", type=at_least(0), default=0, metavar="K", help="also draw K queries per question")
    add_selection(parser)
    parser.add_argument("--limit", type=at_least(1), metavar="N", help="the first N questions only")
    parser.add_argument("--shots", type=at_least(0), help="solved questions in a prompt; default: the adapter's")
    policies.add_options(parser)
    return parser


def _check(args: argparse.Namespace) -> None:
    """What argparse cannot: combinations, before anything slow starts."""
    if args.candidates is not None and args.samples:
        raise UserError("--candidates N draws N - 1 samples itself: leave --samples out")
    args.selection = selection(args)
    args.samples = args.samples or args.selection.candidates - 1
    policies.check_model(args.model, [args.adapter] if args.adapter else [])
    find_sources(args.benchmark, args.split, args.data)
    check_output(args.out, suffixes=(".jsonl",))


def _encode(examples: list[Example], policy: Policy) -> Questions:
    """UserError when no prompt leaves room for an answer; some that do not are counted on the screen."""
    encoder = policy.encoder
    prompts = [policy.prompt(example) for example in examples]
    fitting = [index for index, prompt in enumerate(prompts) if encoder.fits(prompt)]
    dropped = len(prompts) - len(fitting)
    if not fitting:
        raise UserError(
            f"each of the {len(prompts)} prompts is longer than {encoder.max_prompt_tokens} tokens (--max-length less "
            f"--max-tokens; the shortest has {min(map(len, prompts))}): raise --max-length"
        )
    if dropped:
        print(f"{dropped} of {len(prompts)} prompts are over {encoder.max_prompt_tokens} tokens: no query for them")
    return Questions(examples, fitting, [prompts[index] for index in fitting])


def _predict(started: Policies, questions: Questions, args: argparse.Namespace) -> list[dict[str, Any]]:
    """One row per question, in order; those without a prompt get empty queries."""
    policy, generator = started.default, started.generator
    drawn = replace(
        args.selection,
        candidates=args.samples + 1,
    ).drawn(args.max_tokens)
    passes = [("greedy", Sampling(1, 0.0, args.max_tokens)), *(("samples", sampling) for sampling in drawn)]
    numbers = [prompt_number(prompt) for prompt in questions.prompts]
    grammars = started.grammars([questions.examples[index].database for index in questions.fitting])
    if free := (grammars or []).count(""):
        print(f"{free} of {len(questions.prompts)} questions are answered freely: no grammar of so large a schema")
    answers = {}
    for name, sampling in passes:
        seen, groups = Count(name, len(questions.prompts)), list[list[Sample]]()
        generator.submit(name, questions.prompts, sampling, policy.step, numbers, grammars=grammars)
        while len(groups) < len(questions.prompts):
            groups += generator.take(name, within_s=EVERY_S)
            seen(len(groups))
        answers[name] = dict(zip(questions.fitting, groups, strict=True))
    rows = [_row(index, example, answers, policy, args.samples) for index, example in enumerate(questions.examples)]
    picked, seconds = {index: samples[0] for index, samples in answers["greedy"].items()}, dict[int, str]()
    if args.select != "greedy":
        rows, picked, seconds = _selected(rows, questions.examples, answers, policy, args)
    again = args.repair or args.revise
    return _repaired(rows, questions, picked, seconds, grammars, started, args) if again else rows


def _repaired(
    rows: list[dict[str, Any]],
    questions: Questions,
    picked: dict[int, Sample],
    seconds: dict[int, str],
    grammars: Sequence[str] | None,
    started: Policies,
    args: argparse.Namespace,
) -> list[dict[str, Any]]:
    """The rows with what became of answers that were written again; "repaired" says whether another one stands."""
    policy, prompts = started.default, dict(zip(questions.fitting, questions.prompts, strict=True))
    rules = dict(zip(questions.fitting, grammars or [""] * len(questions.fitting), strict=True))
    places = [index for index in questions.fitting if index in picked]

    def answer(asked: Sequence[list[int]], numbers: Sequence[int]) -> list[Sample]:
        allowed = [rules[places[number]] for number in numbers] if grammars else None
        greedy = Sampling(1, 0.0, args.max_tokens)
        return [one for (one,) in started.generator.sample(asked, greedy, policy.step, None, allowed)]

    with Sandbox() as sandbox:
        repairer = Repairer(policy, answer, sandbox.execute, args.repair)
        asked = [Asked(questions.examples[i], prompts[i], picked[i]) for i in places]
        if args.revise:
            revised = repairer.revise(asked, [seconds.get(i, "") for i in places])
            asked = [replace(one, answer=answer) for one, answer in zip(asked, revised, strict=True)]
        found = repairer.repair(asked) if args.repair else [one.answer for one in asked]
    for index, sample in zip(places, found, strict=True):
        changed = sample is not picked[index]
        (one,) = candidates(policy, [sample])
        rows[index] |= {"repaired": changed} | ({"sql": one.sql} if changed else {})
    print(f"{sum(row.get('repaired', False) for row in rows)} of {len(rows)} answers were written again")
    return rows


def _selected(
    rows: list[dict[str, Any]],
    examples: Sequence[Example],
    answers: dict[str, dict[int, list[Sample]]],
    policy: Policy,
    args: argparse.Namespace,
) -> tuple[list[dict[str, Any]], dict[int, Sample], dict[int, str]]:
    """The rows with the query that is chosen, or none where its confidence is too small; the samples chosen, and the
    queries of the second largest groups."""
    picked: dict[int, Sample] = {}
    seconds: dict[int, str] = {}
    seen = Count(args.select, len(rows))
    with Sandbox() as sandbox:
        selector = Selector(sandbox.execute, Cached(args.instances or INSTANCES))
        for index, (row, example) in enumerate(zip(rows, examples, strict=True)):
            samples = [sample for found in answers.values() for sample in found.get(index, [])]
            found = candidates(policy, samples)
            chosen = selector.choose(example.database, found, args.select)[0] if found else Chosen(0, 0.0)
            kept = bool(found) and not args.selection.why_not(chosen.confidence)
            row |= {"greedy": row["sql"], "sql": found[chosen.place].sql if kept else ""}
            row["confidence"] = round(chosen.confidence, 4)
            picked |= {index: samples[chosen.place]} if kept else {}
            seconds |= {index: found[chosen.second].sql} if chosen.second >= 0 else {}
            seen(index + 1)
    return rows, picked, seconds


def _row(
    index: int, example: Example, answers: dict[str, dict[int, list[Sample]]], policy: Policy, samples: int
) -> dict[str, Any]:
    def queries(name: str, count: int) -> list[str]:
        found = answers[name].get(index)
        return [""] * count if found is None else [one.sql for one in candidates(policy, found)]

    row: dict[str, Any] = {"id": example.id, "sql": queries("greedy", 1)[0]}
    if not samples:
        return row
    drawn = [one for found in answers.values() for one in found.get(index, [])]
    means = [round(sum(one.log_probs) / max(1, len(one.token_ids)), 6) for one in drawn] or [0.0] * (samples + 1)
    return row | {"samples": queries("samples", samples), "log_probs": means}


if __name__ == "__main__":
    raise SystemExit(main())
