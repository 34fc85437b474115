"""Compare two sets of predictions question by question.

python -m evaluation.compare_runs A B [--ruler ex_strict] [--out FILE]

A and B are directories written by `evaluation.score`, or their verdicts.jsonl. The test is McNemar's: only questions
that one of the two answers and the other does not say which is better.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.command import CommandLine, check_output
from evaluation.errors import UserError, exit_on_user_error
from evaluation.metrics import mcnemar, paired_interval, share
from evaluation.score import write_whole
from evaluation.text_files import read_records

Verdicts = Mapping[str, bool]  # question id -> right or not


def read_verdicts(path: Path, ruler: str) -> dict[str, bool]:
    """UserError when the file does not hold rows with an id and this ruler, or holds an id twice."""
    file = path / "verdicts.jsonl" if path.is_dir() else path
    verdicts: dict[str, bool] = {}
    for number, row in enumerate(read_records(file), 1):
        if "id" not in row or row.get(ruler) not in (0, 1):
            raise UserError(f"{file}, row {number}: must hold an id and {ruler} 0 or 1; write it with evaluation.score")
        if row["id"] in verdicts:
            raise UserError(f"{file}, row {number}: the question {row['id']} occurs twice")
        verdicts[row["id"]] = bool(row[ruler])
    return verdicts


def check_same_questions(a: Path, b: Path) -> None:
    """UserError when a question of one id has another database or gold in b: the two are of other benchmarks or splits.

    Files of before rows had their gold pass.
    """
    asked = {row["id"]: (row["db_id"], row["gold"]) for row in _rows(a) if "gold" in row}
    for row in _rows(b):
        if "gold" in row and asked.get(row["id"], (row["db_id"], row["gold"])) != (row["db_id"], row["gold"]):
            raise UserError(
                f"both must judge the same questions; {row['id']} is one on {row['db_id']} in {b}, and another in {a}: "
                "score both on the same benchmark and split"
            )


def _rows(path: Path) -> list[dict[str, Any]]:
    return read_records(path / "verdicts.jsonl" if path.is_dir() else path)


def compare(a: Verdicts, b: Verdicts) -> dict[str, Any]:
    """Shares of both, the difference B - A with its 95 % interval, and McNemar's exact two-sided p.

    Both must judge the same questions (UserError).

    >>> compare({"1": True, "2": False}, {"1": True, "2": True})["difference"]
    0.5
    """
    if a.keys() != b.keys():
        odd = sorted(a.keys() ^ b.keys())
        raise UserError(f"both must judge the same questions; {len(odd)} are in one only: {', '.join(odd[:5])}")
    only_a = [name for name in a if a[name] and not b[name]]
    only_b = [name for name in a if b[name] and not a[name]]
    return {
        "n": len(a),
        "a": share(a.values()),
        "b": share(b.values()),
        "difference": (len(only_b) - len(only_a)) / max(1, len(a)),
        "ci95": list(paired_interval([float(b[name]) - float(a[name]) for name in a])),
        "only_a": only_a,
        "only_b": only_b,
        "p_mcnemar": mcnemar(len(only_a), len(only_b)),
    }


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = CommandLine("evaluation.compare_runs", "Compare two runs.")
    parser.add_argument("a", type=Path, help="directory of evaluation.score, or its verdicts.jsonl")
    parser.add_argument("b", type=Path)
    parser.add_argument("--ruler", default="ex_strict", help="a ruler of both files (default ex_strict)")
    parser.add_argument("--out", type=Path, help="write the comparison as JSON, with the ids that differ")
    return parser.parse_args(argv)


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    if options.out:
        check_output(options.out)
    result = compare(read_verdicts(options.a, options.ruler), read_verdicts(options.b, options.ruler))
    check_same_questions(options.a, options.b)
    low, high = result["ci95"]
    print(f"{options.ruler} over {result['n']} questions")
    for name in ("a", "b"):
        print(f"  {name.upper()} {result[name]['value']:.4f} ({result[name]['correct']})  {getattr(options, name)}")
    print(f"  B - A {result['difference']:+.4f} (95 % {low:+.4f} to {high:+.4f})")
    print(f"  only A right {len(result['only_a'])}, only B right {len(result['only_b'])}, ", end="")
    print(f"McNemar p = {result['p_mcnemar']:.4g}")
    if options.out:
        write_whole(options.out, json.dumps({"ruler": options.ruler, **result}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
