"""What instances tell of predictions that are right on their database: how many that were luck, and of how many golds.

python -m tests.bench.luck --data DIR/spider --cases lucky_predictions.jsonl [--count 4] [--seed 0] [--every 1]

A case has "database", "gold", "prediction", and in "wrong_on" the changes of the database that it is known to be wrong
on; those of rows moved or left out are asked. What is not caught is listed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.benchmarks import Example, load_examples
from evaluation.command import CommandLine, at_least
from evaluation.instances.__main__ import by_database, make_all
from evaluation.instances.folder import in_folder
from evaluation.judge import Judge

KNOWN = {"permute", "subsample"}


@dataclass(frozen=True)
class Told:
    """missed: cases that were caught on no instance, of so many; refused: golds that were, against themselves."""

    cases: int
    missed: list[dict[str, Any]]
    golds: int
    refused: list[str]

    @property
    def caught(self) -> float:
        return 1 - len(self.missed) / self.cases


def measured(data: Path, cases: Path, count: int = 4, seed: int = 0, every: int = 1, workers: int = 2) -> Told:
    """Of the cases of Spider dev, and of each so manyth of its golds."""
    examples = load_examples("spider", "dev", data)
    told = [json.loads(line) for line in cases.read_text(encoding="utf-8").splitlines()]
    told = [case for case in told if KNOWN & set(case["wrong_on"])]
    paths = {example.db_id: example.database for example in examples}
    items = [
        (Example("", case["database"], "", "", case["gold"], paths[case["database"]], ""), case["prediction"])
        for case in told
    ]
    golds = examples[::every]
    with tempfile.TemporaryDirectory() as folder, Judge() as judge:
        make_all(by_database("spider", ["dev"], data), Path(folder), count, seed, workers)
        files = in_folder(Path(folder), examples)
        caught = judge.shown_wrong(items, files)
        refused = judge.shown_wrong([(example, example.gold_sql) for example in golds], files)
    missed = [case for case, instance in zip(told, caught, strict=True) if not instance]
    against = [example.gold_sql for example, instance in zip(golds, refused, strict=True) if instance]
    return Told(len(told), missed, len(golds), against)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = CommandLine("tests.bench.luck", (__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="Spider's folder")
    parser.add_argument("--cases", type=Path, required=True, help="predictions that were luck, a JSON object a line")
    parser.add_argument("--count", type=at_least(1), default=4, help="instances of each database (default 4)")
    parser.add_argument("--seed", type=int, default=0, help="of the instances (default 0)")
    parser.add_argument("--every", type=at_least(1), default=1, help="ask each so manyth gold (default: all)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments(argv)
    found = measured(args.data, args.cases, args.count, args.seed, args.every)
    for case in found.missed:
        print(f"missed  {case['database']}: {case['prediction']}\n        gold: {case['gold']}")
    for gold in found.refused:
        print(f"refused {gold}")
    print(f"caught {found.cases - len(found.missed)} of {found.cases} ({found.caught:.0%})", end="; ")
    print(f"refused {len(found.refused)} of {found.golds} golds")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
