"""Run every gold query once and list those that training should drop or weigh less.

python -m evaluation.check_data --benchmark B [--data DIR] [--split train] [--instances DIR] [--out FILE]

A gold may fail, time out, return nothing, only NULLs or what any query returns that finds nothing (`blind`), depend on
today's date or on chance, or have several right answers because its LIMIT cuts through rows that its ORDER BY does not
tell apart. Two questions of the same words may have golds that differ (`twin`). With instances of the databases: golds
that run on none of them, that leave ties only there, and neighbours whose golds agree on the database alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

from evaluation.benchmarks import Example, load_split
from evaluation.blind import is_blind
from evaluation.command import CommandLine, add_benchmark, at_least, check_output, folder
from evaluation.compare import is_tied
from evaluation.databases import clock
from evaluation.databases.sandbox import Limits
from evaluation.errors import UserError, exit_on_user_error
from evaluation.instances.folder import in_folder
from evaluation.instances.golds import elsewhere
from evaluation.judge import GOLD_PATIENCE, Gold, Instances, Judge
from evaluation.score import write_whole
from evaluation.text_files import read_records, read_text

Problem = Literal[
    "failed", "timeout", "too_large", "empty", "nulls", "blind", "no_table", "time", "chance", "tied", "open",
    "dies_elsewhere", "tied_elsewhere", "twin",
]  # fmt: skip
# What makes a question useless for a reward, and what only makes its verdict weaker.
DROP: tuple[Problem, ...] = ("failed", "timeout", "too_large", "no_table", "chance")
DOWN_WEIGHT: tuple[Problem, ...] = (
    "empty", "nulls", "blind", "time", "tied", "open", "dies_elsewhere", "tied_elsewhere", "twin",
)  # fmt: skip
CHUNK = 64


def problems(gold: Gold, depends: frozenset[str] = frozenset()) -> list[Problem]:
    """What is wrong with a gold query, given what it returned; [] when nothing is.

    depends: what `evaluation.databases.clock` says of it. tied: another choice among equal rows would be as right, and
    is taken.
    open: the same holds in a subquery, beside an aggregate or elsewhere (`evaluation.openness`), and is not taken.
    """
    execution = gold.execution
    if execution.status != "ok":
        return [
            "timeout" if execution.status == "timeout" else "too_large" if execution.status == "too_large" else "failed"
        ]
    found: list[tuple[Problem, bool]] = [
        ("empty", not execution.rows),
        ("nulls", bool(execution.rows) and all(cell is None for row in execution.rows for cell in row)),
        ("blind", is_blind(execution)),
        ("no_table", not execution.tables_read),
        ("chance", "chance" in depends),
        ("time", "time" in depends),
        ("tied", is_tied(execution, gold.ranking)),
        ("open", gold.open),
    ]
    return [name for name, there in found if there]


def check(
    examples: Sequence[Example], workers: int = 1, limits: Limits | None = None, instances: Instances | None = None
) -> list[dict[str, Any]]:
    """A row per question with a problem: id, db_id, problems, action ("drop" or "down_weight"), error, sql."""
    chunks = [examples[start : start + CHUNK] for start in range(0, len(examples), CHUNK)]

    def work(share: list[Sequence[Example]]) -> list[dict[str, Any]]:
        with Judge(limits) as judge:
            pairs = [pair for chunk in share for pair in zip(chunk, judge.golds(chunk), strict=True)]
            volatile = [(e.database, e.gold_sql) for e, gold in pairs if gold.execution.volatile]
            known = dict(zip(volatile, clock.depends(volatile, judge.limits.deadline_s * GOLD_PATIENCE), strict=True))
            shown = {k: v for chunk in share for k, v in elsewhere(judge, chunk, instances or {}).items()}
        found = [(e, gold, known.get((e.database, e.gold_sql), frozenset()), shown.get(e.id, [])) for e, gold in pairs]
        return [row for example, gold, depends, more in found if (row := report(example, gold, depends, more))]

    places = {example.id: place for place, example in enumerate(examples)}
    with ThreadPoolExecutor(workers) as pool:
        rows = [row for rows in pool.map(work, (chunks[k::workers] for k in range(workers))) for row in rows]
    return sorted(rows, key=lambda row: places[row["id"]])


def report(
    example: Example, gold: Gold, depends: frozenset[str] = frozenset(), more: Sequence[Problem] = ()
) -> dict[str, Any] | None:
    """more: what other golds and databases show."""
    found = [*problems(gold, depends), *more]
    if not found or not example.gold_sql:  # where no query answers, none can be wrong
        return None
    return {
        "id": example.id,
        "db_id": example.db_id,
        "problems": found,
        "action": "drop" if set(found) & set(DROP) else "down_weight",
        "error": gold.execution.error,
        "sql": example.gold_sql,
    }


def read_actions(path: Path, examples: Sequence[Example]) -> dict[str, str]:
    """Question id -> "drop" or "down_weight", from a file that this command wrote (`--out`).

    UserError when it is not such a file, or names questions that are not among the examples.
    """
    rows = read_records(path) if read_text(path).strip() else []
    known, actions = {example.id for example in examples}, {}
    for line, row in enumerate(rows, 1):
        if row.get("action") not in ("drop", "down_weight") or row.get("id") not in known:
            raise UserError(
                f"{path}, line {line}: must name one of the {len(known)} questions and the action drop or down_weight, "
                f"got id {row.get('id')!r}, action {row.get('action')!r}; write the file with python -m "
                "evaluation.check_data --out, for the same benchmark and split"
            )
        actions[row["id"]] = row["action"]
    return actions


def summary(rows: Sequence[dict[str, Any]], n: int) -> str:
    """Counts by problem, as lines of text."""
    lines = [f"{n} golds, {n - len(rows)} without a problem"]
    for name in (*DROP, *DOWN_WEIGHT):
        count = sum(name in row["problems"] for row in rows)
        lines.append(f"  {name:14} {count:6}   {'drop' if name in DROP else 'down-weight'}")
    return "\n".join(lines)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = CommandLine("evaluation.check_data", "Check every gold query.")
    add_benchmark(parser, split="train")
    parser.add_argument("--out", type=Path, help="write a row per question with a problem (.jsonl)")
    parser.add_argument("--instances", type=folder, metavar="DIR", help="of evaluation.instances")
    parser.add_argument("--workers", type=at_least(1), default=1, help="sandboxes at work at once")
    return parser.parse_args(argv)


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    if options.out:
        check_output(options.out)
    split = load_split(options.benchmark, options.split, options.data)
    instances = in_folder(options.instances, split.examples) if options.instances else None
    rows = check(split.examples, options.workers, instances=instances)
    print(f"{split.dropped} of {split.total} questions have no database")
    print(summary(rows, len(split.examples)))
    for row in [row for row in rows if row["action"] == "drop"][:20]:
        print(f"  {row['id']} {row['db_id']}: {', '.join(row['problems'])} {row['error'][:100]}")
    if options.out:
        write_whole(options.out, "".join(json.dumps(row) + "\n" for row in rows))
        print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
