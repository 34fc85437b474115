"""Score a file of predictions.

python -m evaluation.score --benchmark B [--data DIR] --split dev --predictions FILE --out DIR [--workers N]

Writes DIR/verdicts.jsonl (a row per question, in split order) and DIR/scores.json (totals and breakdowns by ruler).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path
from typing import Any

from evaluation.benchmarks import Example, load_split
from evaluation.command import CommandLine, add_benchmark, at_least, check_folder, file, folder, seconds
from evaluation.console import Count
from evaluation.databases.sandbox import Limits
from evaluation.errors import exit_on_user_error
from evaluation.instances.folder import in_folder
from evaluation.judge import Instances
from evaluation.metrics import breakdown, share
from evaluation.predictions import read_predictions
from evaluation.rulers.ruler import Ruler, chosen
from evaluation.rulers.table import Item, Rulers
from evaluation.synthetic import is_synthetic

Row = dict[str, Any]
CHUNK = 32  # questions given to a sandbox at once
GROUPS = {"by_hardness": "hardness", "by_tables": "tables", "by_database": "db_id"}


def score(
    examples: Sequence[Example],
    predictions: Sequence[str],
    workers: int = 1,
    limits: Limits | None = None,
    tables: Path | None = None,
    timings: int = 0,
    rulers: Sequence[Ruler] | None = None,
    instances: Instances | None = None,
) -> tuple[dict[str, Any], list[Row]]:
    """Scores and verdict rows of one predicted query per example, in order, judged by `workers` sandboxes.

    tables: the benchmark's tables.json, for em_spider; without it the databases' own foreign keys are used.
    timings: how often gold and prediction are timed for r_ves; 0 leaves this ruler out. rulers: else `chosen()`.
    instances: other databases of the schema of each, on which ex_instances judges as well.

    >>> scores, verdicts = score([], [])
    >>> scores["n"], verdicts
    (0, [])
    """
    if len(examples) != len(predictions):
        raise ValueError(f"{len(examples)} examples and {len(predictions)} predictions must be as many")
    items = list(zip(examples, predictions, strict=True))
    rulers = chosen() if rulers is None else rulers
    rows = judge_all(items, workers, lambda: Rulers(limits, tables, timings, rulers, instances))
    return summary(rows, rulers), rows


def judge_all(items: Sequence[Item], workers: int, make_rulers: Callable[[], Rulers]) -> list[Row]:
    """Verdict rows in order. Threads mostly wait: SQL runs in the sandboxes' child processes."""
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    shares = [chunks[worker::workers] for worker in range(min(workers, len(chunks)))]

    seen = Count("scoring", len(items))
    done: list[int] = []

    def work(share_of_chunks: list[Sequence[Item]]) -> list[list[Row]]:
        rulers, found = make_rulers(), list[list[Row]]()
        try:
            for chunk in share_of_chunks:
                found.append(rulers.rows(chunk))
                done.append(len(chunk))
                seen(sum(done))
            return found
        finally:
            rulers.close()

    with ThreadPoolExecutor(max(1, len(shares))) as pool:
        judged = list(pool.map(work, shares))
    return [row for place in range(len(chunks)) for row in judged[place % workers][place // workers]]


def summary(rows: Sequence[Row], rulers: Sequence[Ruler]) -> dict[str, Any]:
    """{"n", "status": counts, "error_class": counts, "empty_both": share, ruler: {"all": share, …}}.

    empty_both: of the answers that are right by ex_strict, those where gold too returns no row.
    What is no share, as Soft-F1 and R-VES, has no interval: {"all": {"value", "n"}}.
    """
    found = {
        ruler.name: breakdowns(rows, ruler.name) if ruler.share else mean(rows, ruler.name, ruler.total)
        for ruler in rulers
    }
    return {
        "n": len(rows),
        "status": counts(rows, "status"),
        "error_class": counts(rows, "error_class"),
        "empty_both": share(row["status"] == "empty_both" for row in rows if row["ex_strict"]),
        **{name: value for name, value in found.items() if value},
        **({"r_ves": mean(rows, "r_ves")} if rows and "r_ves" in rows[0] else {}),
    }


def mean(rows: Sequence[Row], name: str, total: Callable[[Sequence[Row]], float] | None = None) -> dict[str, Any]:
    """{"all": {"value", "n"}}; {} where there is no row."""
    if not rows:
        return {}
    value = total(rows) if total else sum(row[name] for row in rows) / len(rows)
    return {"all": {"value": value, "n": len(rows)}}


def counts(rows: Sequence[Row], name: str) -> dict[str, int]:
    """How often each value occurs, most frequent first; "" is left out."""
    return dict(Counter(row[name] for row in rows if row[name]).most_common())


def breakdowns(rows: Sequence[Row], name: str) -> dict[str, Any]:
    parts = {part: breakdown(rows, itemgetter(key), itemgetter(name)) for part, key in GROUPS.items()}
    return {"all": share(row[name] for row in rows), **parts}


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text, encoding="utf-8")
    os.replace(scratch, path)


def line(name: str, total: dict[str, Any]) -> str:
    low, high = total["ci95"]
    return f"{name:12} {total['value']:.4f} ({total['correct']} of {total['n']}; 95 % {low:.4f} to {high:.4f})"


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = CommandLine("evaluation.score", "Score a file of predictions.")
    add_benchmark(parser)
    parser.add_argument("--predictions", type=file, required=True, help=".jsonl, or text with one query per line")
    parser.add_argument("--out", type=Path, required=True, help="directory for scores.json and verdicts.jsonl")
    parser.add_argument("--workers", type=at_least(1), default=1, help="sandboxes at work at once")
    parser.add_argument("--deadline-s", type=seconds, default=Limits.deadline_s, help="time for one predicted query")
    parser.add_argument("--timings", type=at_least(0), default=0, help="runs per query for r_ves (default: no r_ves)")
    parser.add_argument("--synthetic-rows", type=at_least(0), default=0, help="made-up rows a table that has none")
    parser.add_argument("--ruler", action="append", default=[], help="one more: a name, or package.module:function")
    parser.add_argument("--instances", type=folder, metavar="DIR", help="of evaluation.instances, for ex_instances")
    return parser.parse_args(argv)


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    with_options = {"ex_instances": options.instances, "efficiency": options.timings}
    rulers = chosen(dict.fromkeys([*options.ruler, *(name for name, given in with_options.items() if given)]))
    split = load_split(options.benchmark, options.split, options.data, synthetic=options.synthetic_rows)
    predictions = read_predictions(options.predictions, split)
    out = check_folder(options.out)
    limits = Limits(deadline_s=options.deadline_s)
    instances = in_folder(options.instances, split.examples) if options.instances else None
    scores, rows = score(
        split.examples, predictions, options.workers, limits, split.tables, options.timings, rulers, instances
    )
    scores = {"benchmark": options.benchmark, "split": options.split, "dropped": split.dropped, **scores}
    if made_up := sum(is_synthetic(example.database) for example in split.examples):
        scores["on_synthetic_rows"] = made_up
    write_whole(out / "verdicts.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    write_whole(out / "scores.json", json.dumps(scores, indent=1) + "\n")
    for ruler in rulers:
        if ruler.share:
            print(line(ruler.name, scores[ruler.name]["all"]))
    print(f"right with no row on both sides: {scores['empty_both']['correct']} of {scores['empty_both']['n']}")
    for name, found in scores.items():
        if isinstance(found, dict) and "value" in found.get("all", {}) and "ci95" not in found["all"]:
            print(f"{name:12} {found['all']['value']:.4f}")
    print(f"wrote {out / 'scores.json'} and {out / 'verdicts.jsonl'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
