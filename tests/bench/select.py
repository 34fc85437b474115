"""What selection and instances cost on one core.

python -m tests.bench.select --benchmark tiny [--data DIR] [--questions 100] [--candidates 8] [--instances 4]

Candidates of a question are its gold and the golds of its neighbours on the same database: queries that run.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.benchmarks import Example, load_examples
from evaluation.command import CommandLine, add_benchmark, at_least
from evaluation.databases.sandbox import Sandbox
from evaluation.instances.folder import Maker, in_folder, make_folder
from rl.selection import SELECTS, Selector


@dataclass(frozen=True)
class Query:
    sql: str
    log_prob: float = -1.0
    tokens: int = 20


def candidates(examples: Sequence[Example], count: int) -> list[list[Query]]:
    by_database: dict[str, list[Example]] = {}
    for example in examples:
        by_database.setdefault(example.database, []).append(example)
    rng = random.Random(0)
    return [
        [Query(e.gold_sql), *(Query(rng.choice(by_database[e.database]).gold_sql) for _ in range(count - 1))]
        for e in examples
    ]


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine("tests.bench.select", (__doc__ or "").partition("\n")[0])
    add_benchmark(parser)
    parser.add_argument("--questions", type=at_least(1), default=100)
    parser.add_argument("--candidates", type=at_least(2), default=8)
    parser.add_argument("--instances", type=at_least(1), default=4)
    args = parser.parse_args(argv)
    examples = load_examples(args.benchmark, args.split, args.data)[: args.questions]
    groups: dict[str, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.db_id, []).append(example)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with Maker() as maker:
            for group in groups.values():
                make_folder(maker, group, Path(folder), args.instances, seed=0)
        made = time.perf_counter() - began
        print(f"instances: {len(groups)} databases x {args.instances} in {made:.1f} s")
        asked = candidates(examples, args.candidates)
        for name in SELECTS[1:]:
            with Sandbox() as sandbox:
                selector = Selector(sandbox.execute, in_folder(Path(folder), examples))
                sandbox.execute([(examples[0].database, "SELECT 1")])  # the child is up
                began = time.perf_counter()
                for example, found in zip(examples, asked, strict=True):
                    selector.choose(example.database, found, name)
                print(f"{name}: {len(examples) / (time.perf_counter() - began):.1f} questions per second")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
