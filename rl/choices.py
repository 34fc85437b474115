"""What choosing among candidates is worth: `python -m rl.choices --predictions P --benchmark B [--split dev]`.

P is what `rl.predict --candidates N` has written. Greedy, the mean of the samples, each vote, and the best of N, which
no choice can pass; how much of the way from greedy to there a choice makes; how often an answer is right by its share
of the votes; seconds per question that choosing takes. Right means `ex_strict`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.benchmarks import Example, load_examples
from evaluation.command import CommandLine, add_benchmark, at_least, check_output
from evaluation.databases.sandbox import Sandbox
from evaluation.errors import UserError, exit_on_user_error
from evaluation.instances.folder import Cached
from evaluation.judge import Judge
from evaluation.score import write_whole
from evaluation.text_files import parse_json, read_text
from rl.selection import INSTANCES, SELECTS, Select, Selector

BINS = ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0), (1.0, 1.01))


@dataclass(frozen=True)
class Query:
    """A candidate as `Selector` takes it. log_prob: the mean of its tokens."""

    sql: str
    log_prob: float = 0.0
    tokens: int = 1


@dataclass(frozen=True)
class Choice:
    """Whether each question is right, with which confidence, and how many seconds choosing took for one."""

    right: list[bool]
    confidence: list[float]
    seconds: float


def chosen(examples: Sequence[Example], asked: Sequence[Sequence[Query]], told: Sequence[Sequence[bool]], how: Select,
           selector: Selector) -> Choice:  # fmt: skip
    """What a selector answers, by the verdicts on all candidates."""
    began = time.perf_counter()
    found = [selector.choose(e.database, queries, how)[0] for e, queries in zip(examples, asked, strict=True)]
    seconds = (time.perf_counter() - began) / max(1, len(examples))
    right = [verdicts[one.place] for one, verdicts in zip(found, told, strict=True)]
    return Choice(right, [one.confidence for one in found], seconds)


def recovered(choice: float, greedy: float, best: float) -> float | None:
    """The share of the gap between greedy and the best of N; None where there is none.

    >>> recovered(0.7, 0.6, 0.8)
    0.5
    """
    return None if best <= greedy else round((choice - greedy) / (best - greedy), 4)


def calibration(choice: Choice) -> list[tuple[float, float, int, float]]:
    """Of each bin of confidences: its bounds, how many answers, and which share of them is right.

    >>> calibration(Choice([True, False, True], [0.5, 0.6, 1.0], 0.0))
    [(0.5, 0.75, 2, 0.5), (1.0, 1.01, 1, 1.0)]
    """
    found = []
    for low, high in BINS:
        held = [right for right, c in zip(choice.right, choice.confidence, strict=True) if low <= c < high]
        found += [(low, high, len(held), sum(held) / len(held))] if held else []
    return found


def report(examples: Sequence[Example], asked: Sequence[Sequence[Query]], instances: int) -> dict[str, Any]:
    """{"n", "greedy", "samples", "best", "vote": {...}, "vote_instances": {...}}: shares of 1."""
    with Judge() as judge:
        items = [(e, one.sql) for e, queries in zip(examples, asked, strict=True) for one in queries]
        verdicts = iter([verdict.right for verdict in judge.judge(items)])
    told = [[next(verdicts) for _ in queries] for queries in asked]
    sampled = [right for verdicts_ in told for right in verdicts_[1:]]
    greedy, best = (sum(map(one, told)) / len(told) for one in (lambda found: found[0], any))
    result: dict[str, Any] = {"n": len(told), "greedy": greedy, "best": best}
    result["samples"] = sum(sampled) / len(sampled)
    with Sandbox() as sandbox:
        selector = Selector(sandbox.execute, Cached(instances))
        for example in examples:
            selector.choose(example.database, [Query("SELECT 1")], "vote_instances")  # the instances are made
        for how in SELECTS[1:]:
            choice = chosen(examples, asked, told, how, selector)
            accuracy = sum(choice.right) / len(choice.right)
            result[how] = {
                "right": accuracy, "recovered": recovered(accuracy, greedy, best),
                "seconds": choice.seconds, "calibration": calibration(choice),
            }  # fmt: skip
    return result


def shown(found: dict[str, Any], most: int) -> str:
    """The report as text, the picture of the calibration included."""
    lines = [f"{found['n']} questions, {most} candidates each; right by ex_strict"]
    lines += [f"{name:<16}{found[key]:7.1%}" for name, key in (("greedy", "greedy"), ("mean of samples", "samples"))]
    for how in SELECTS[1:]:
        of_gap = found[how]["recovered"]
        gap = "" if of_gap is None else f", {of_gap:.0%} of the gap to the best"
        lines.append(f"{how:<16}{found[how]['right']:7.1%}{gap}, {found[how]['seconds']:.3f} s per question")
    lines += [f"{f'best of {most}':<16}{found['best']:7.1%}", "", "share of the votes → share that is right"]
    for low, high, count, right in found[SELECTS[-1]]["calibration"]:
        bounds = "all" if low == 1 else f"{low:.2f} to {high:.2f}"
        lines.append(f"{bounds:<14}{'█' * round(30 * right):<30} {right:4.0%} of {count}")
    return "\n".join(lines)


def read(path: Path, examples: Sequence[Example]) -> list[list[Query]]:
    """The candidates of each question, greedy first. UserError where a row has none beside it."""
    given = parse_json(read_text(path), path)
    rows = {str(row["id"]): row for row in given if isinstance(row, dict) and "id" in row}
    found: list[list[Query]] = []
    for example in examples:
        row = rows.get(example.id, {})
        if not row.get("samples"):
            raise UserError(
                f"{path} must have a row with samples for question {example.id}: write it with "
                "python -m rl.predict --candidates N"
            )
        texts = [row.get("greedy", row["sql"]), *row["samples"]]
        likely = row.get("log_probs") or [0.0] * len(texts)
        found.append([Query(str(sql), float(one)) for sql, one in zip(texts, likely, strict=True)])
    return found


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = CommandLine("rl.choices", (__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--predictions", type=Path, required=True, help="what rl.predict --candidates N wrote")
    add_benchmark(parser)
    parser.add_argument("--limit", type=at_least(1), metavar="N", help="the first N questions only")
    parser.add_argument("--instances", type=at_least(1), default=INSTANCES, help=f"of each database ({INSTANCES})")
    parser.add_argument("--out", type=Path, help="a .json file for the figures")
    return parser.parse_args(argv)


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    args = arguments(argv)
    if args.out:
        check_output(args.out, suffixes=(".json",))
    examples = load_examples(args.benchmark, args.split, args.data)[: args.limit]
    asked = read(args.predictions, examples)
    found = report(examples, asked, args.instances)
    print(shown(found, len(asked[0])))
    if args.out:
        write_whole(args.out, json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
