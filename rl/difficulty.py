"""`python -m rl.difficulty --predictions FILE --benchmark B --out difficulty.jsonl`: how hard each question is.

FILE is of rl.predict --split train --samples K, by the policy that RL starts from. Written is a row per question: "id",
"rate" (the share of its samples that are right) and "samples"; printed a histogram. With data.difficulty=FILE RL draws
first the questions that the policy answers now right, now wrong: the others teach it nothing yet.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from evaluation.benchmarks import Example, load_examples
from evaluation.command import CommandLine, add_benchmark, at_least, check_output
from evaluation.console import Count
from evaluation.databases.sandbox import Limits
from evaluation.errors import UserError, exit_on_user_error
from evaluation.judge import Judge
from evaluation.score import write_whole
from evaluation.text_files import read_records

AT_ONCE = 32  # questions judged between two lines of progress
BAR = 40  # characters


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    check_output(args.out, suffixes=(".jsonl",))
    examples = load_examples(args.benchmark, args.split, args.data)
    rows = measured(samples_of(args.predictions), examples, args.deadline_s, args.columns)
    write_whole(args.out, "".join(json.dumps(row) + "\n" for row in rows))
    Console(soft_wrap=True).print(histogram([row["rate"] for row in rows]), highlight=False)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = CommandLine("rl.difficulty", (__doc__ or "").split("\n\n", 1)[1])
    parser.add_argument("--predictions", type=Path, required=True, help="file of rl.predict --samples K")
    add_benchmark(parser, split="train")
    parser.add_argument("--out", type=Path, required=True, help="the .jsonl file to write")
    parser.add_argument("--deadline-s", type=at_least(1), default=5, help="seconds a query may take")
    parser.add_argument("--columns", choices=("given", "any"), default="given", help="as reward.columns")
    return parser


def samples_of(path: Path) -> dict[str, list[str]]:
    """Question → its samples. UserError when a row has none."""
    found: dict[str, list[str]] = {}
    for number, row in enumerate(read_records(path), 1):
        if not isinstance(row.get("samples"), list) or not row["samples"]:
            raise UserError(
                f"{path}, row {number}: must have samples, as rl.predict --samples K writes them, has "
                f"{', '.join(map(repr, row)) or 'nothing'}"
            )
        found[str(row.get("id"))] = [str(sql) for sql in row["samples"]]
    return found


def measured(
    samples: dict[str, list[str]], examples: Sequence[Example], deadline_s: float, columns: Any = "given"
) -> list[dict[str, Any]]:
    """A row per question that has samples, in the order of the examples."""
    asked = [example for example in examples if example.id in samples]
    if not asked:
        raise UserError(
            "the predictions must be of the questions of this split; none of their ids is one of its "
            f"{len(examples)}, the first of which is {examples[0].id}"
        )
    if len(asked) < len(samples):
        print(f"{len(samples) - len(asked)} of {len(samples)} predictions are of no question here", file=sys.stderr)
    seen, rows = Count("judging", len(asked), "questions"), list[dict[str, Any]]()
    with Judge(Limits(deadline_s=deadline_s), columns) as judge:
        for start in range(0, len(asked), AT_ONCE):
            part = asked[start : start + AT_ONCE]
            found = iter(judge.judge([(example, sql) for example in part for sql in samples[example.id]]))
            for example in part:
                right = [next(found).right for _ in samples[example.id]]
                rows.append({"id": example.id, "rate": sum(right) / len(right), "samples": len(right)})
            seen(len(rows))
    return rows


def histogram(rates: Sequence[float]) -> str:
    """A line per tenth, those that are always wrong and always right apart.

    >>> print(histogram([0.0, 0.25, 0.25, 1.0]))
    never right         1  ████████████████████
    0.2 to 0.3          2  ████████████████████████████████████████
    always right        1  ████████████████████
    sometimes right: 2 of 4 questions (50.0%)
    """
    tenths = [f"{tenth / 10:.1f} to {tenth / 10 + 0.1:.1f}" for tenth in range(10)]
    names = ["never right", *tenths, "always right"]
    counts = dict.fromkeys(names, 0)
    for rate in rates:
        counts[names[0] if rate == 0 else names[-1] if rate == 1 else tenths[int(10 * rate + 1e-9)]] += 1
    most = max(counts.values())
    lines = [f"{name:<14}{count:>7}  {'█' * round(BAR * count / most)}" for name, count in counts.items() if count]
    mixed = sum(is_mixed(rate) for rate in rates)
    return "\n".join([*lines, f"sometimes right: {mixed} of {len(rates)} questions ({mixed / len(rates):.1%})"])


def is_mixed(rate: float) -> bool:
    """Whether a group of such a question can have a signal."""
    return 0 < rate < 1


def sometimes_right(path: Path, examples: Sequence[Example]) -> frozenset[str]:
    """Ids of the training questions to draw first. UserError when the file is of others."""
    try:
        rates = {str(row["id"]): float(row["rate"]) for row in read_records(path)}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"data.difficulty must be a file of rl.difficulty, a row with id and rate: {path}") from error
    known = {example.id for example in examples} & rates.keys()
    if not known:
        raise UserError(f"data.difficulty must be of these training questions, {path} has none of their ids")
    first = frozenset(id_ for id_ in known if is_mixed(rates[id_]))
    print(f"train: {len(first)} of {len(examples)} questions are sometimes right by {path} and come first", flush=True)
    return first


if __name__ == "__main__":
    raise SystemExit(main())
