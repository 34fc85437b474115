"""Make instances of a benchmark's databases: the same tables and keys over other rows.

python -m evaluation.instances --benchmark B [--data DIR] --out DIR [--count 4] [--seed 0] [--workers 1]

DIR/<db_id>/ gets the database and its instances, in the layout of test suites; `evaluation.score --instances DIR` asks
predictions on all of them. The same database, questions and seed give the same files.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from evaluation.benchmarks import Example, load_examples, present_splits
from evaluation.command import CommandLine, add_benchmark, at_least, check_folder
from evaluation.console import Count
from evaluation.errors import exit_on_user_error
from evaluation.instances.folder import MOST_ROWS, Made, Maker, make_folder


def make_all(groups: Sequence[Sequence[Example]], out: Path, count: int, seed: int, workers: int = 1) -> list[Made]:
    """Instances of each group's database, in order. Threads wait for their child processes."""
    seen, done = Count("making instances", len(groups), "databases"), list[Made]()

    def work(share: Sequence[Sequence[Example]]) -> list[Made]:
        found: list[Made] = []
        with Maker() as maker:
            for group in share:
                found.append(make_folder(maker, group, out, count, seed))
                done.append(found[-1])
                seen(len(done))
        return found

    with ThreadPoolExecutor(workers) as pool:
        made = list(pool.map(work, [groups[worker::workers] for worker in range(workers)]))
    return [made[place % workers][place // workers] for place in range(len(groups))]


def by_database(benchmark: str, splits: Sequence[str], data: Path | None) -> list[list[Example]]:
    """The questions of these splits, or of all that are there, by database."""
    groups: dict[str, list[Example]] = {}
    for split in splits or present_splits(benchmark, data):
        for example in load_examples(benchmark, split, data):
            groups.setdefault(example.db_id, []).append(example)
    return [groups[name] for name in sorted(groups)]


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = CommandLine("evaluation.instances", "Make instances of a benchmark's databases.")
    add_benchmark(parser, split="")
    parser.add_argument("--out", type=Path, required=True, help="a folder per database is made in it")
    parser.add_argument("--count", type=at_least(1), default=4, help="instances of each database (default 4)")
    parser.add_argument("--seed", type=int, default=0, help="other instances (default 0)")
    parser.add_argument("--workers", type=at_least(1), default=1, help="databases at work at once")
    return parser.parse_args(argv)


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    groups = by_database(options.benchmark, options.split.split(",") if options.split else [], options.data)
    out = check_folder(options.out)
    made = make_all(groups, out, options.count, options.seed, options.workers)
    for group, found in zip(groups, made, strict=True):
        if found.error:
            print(f"{group[0].db_id}: no instances: {found.error}", file=sys.stderr)
        elif found.sampled:
            print(f"{group[0].db_id}: {found.rows} rows are over {MOST_ROWS}: its instances hold a sample of them")
    failed = sum(bool(found.error) for found in made)
    print(f"{options.count} instances each of {len(made) - failed} databases in {out}")
    return int(failed == len(made))


if __name__ == "__main__":
    raise SystemExit(main())
