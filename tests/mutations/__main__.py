"""`python -m tests.mutations`: makes each mistake in a copy of the tree and demands that the tests named for it fail.

One line for each mutation; the last line is one JSON object. Exit code 1 when a mistake went unnoticed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from evaluation.errors import UserError, exit_on_user_error
from tests.mutations import grpo, methods
from tests.mutations.run import Mutation, Result, check_unmutated, judge, mutated

MUTATIONS = (*grpo.MUTATIONS, *methods.MUTATIONS)


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    chosen, started = select(MUTATIONS, args.only), time.monotonic()
    for mutation in chosen:
        mutated(mutation)  # all snippets are looked up before anything runs
    check_unmutated(chosen, args.timeout_s * 4)
    print(f"the tests named pass on the code as it is ({time.monotonic() - started:.0f} s)", flush=True)
    results = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for result in pool.map(lambda mutation: judge(mutation, args.timeout_s), chosen):
            results.append(result)
            print(line(result), flush=True)
    print(json.dumps(summary(results, time.monotonic() - started)))
    return int(any(result.verdict != "caught" for result in results))


def select(mutations: Sequence[Mutation], only: str) -> list[Mutation]:
    """All, or those of a pitfall's number, or those whose name holds the text."""
    chosen = [m for m in mutations if not only or only == m.pitfall or only in m.name]
    if not chosen:
        known = ", ".join(dict.fromkeys(m.pitfall for m in mutations))
        raise UserError(f"--only must be a pitfall's number ({known}) or part of a mutation's name, got {only!r}")
    return chosen


def line(result: Result) -> str:
    mutation = result.mutation
    text = f"{result.verdict:<9}{mutation.pitfall:<6}{result.seconds:6.1f} s  {mutation.name} ({mutation.file})"
    return text + (f"\n    {result.detail}" if result.detail else "")


def summary(results: Sequence[Result], seconds: float) -> dict[str, object]:
    def names(verdict: str) -> list[str]:
        return [f"{r.mutation.pitfall} {r.mutation.name}" for r in results if r.verdict == verdict]

    return {
        "mutations": len(results),
        "caught": len(names("caught")),
        "pitfalls": len({result.mutation.pitfall for result in results}),
        "survived": names("survived"),
        "broken": names("broken"),
        "seconds": round(seconds, 1),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="a pitfall's number, or part of a mutation's name")
    parser.add_argument("--jobs", type=int, default=1, help="mutations at a time; each has a process of its own")
    parser.add_argument("--timeout-s", type=float, default=300, help="longest time for the tests of one mutation")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
