"""A served model under load: many clients at once against one after another, latencies, and memory over many requests.

    python -m tests.bench.serve [--questions 64] [--clients 16] [--requests 2000] [--adapter DIR]

Starts `rl.serve` on the databases of `tiny` with the bundled model, asks dev questions (each way its own, so that no
prompt was seen before), and ends in a JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from statistics import median, quantiles

import httpx
import psutil

from evaluation.benchmarks import Example, load_examples
from evaluation.command import at_least, folder

ROOT = Path(__file__).resolve().parents[2]
WARM = 200  # requests before memory is looked at: caches fill, threads start


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--questions", type=at_least(2), default=64)
    parser.add_argument("--clients", type=at_least(1), default=16)
    parser.add_argument("--requests", type=at_least(0), default=2000, help="of the measure of memory; 0: not measured")
    parser.add_argument("--adapter", type=folder)
    args = parser.parse_args(argv)
    examples = load_examples("tiny", "dev")
    with served(sorted({example.database for example in examples}), args.adapter) as (url, process):
        print(json.dumps(measured(url, process, examples, args)))
    return 0


@contextmanager
def served(databases: Sequence[str], adapter: Path | None) -> Iterator[tuple[str, psutil.Process]]:
    command = [sys.executable, "-m", "rl.serve", "--port", "0", "--database", *databases]
    command += ["--adapter", str(adapter)] if adapter else []
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().partition("#")[0].strip().rstrip("/")
        try:
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()


def measured(
    url: str, process: psutil.Process, examples: Sequence[Example], args: argparse.Namespace
) -> dict[str, float]:
    def ask(example: Example) -> float:
        began = time.perf_counter()
        body = {"question": example.question, "database": example.db_id, "evidence": example.evidence}
        client.post(f"{url}/ask", json=body).raise_for_status()
        return time.perf_counter() - began

    limits = httpx.Limits(max_connections=args.clients)
    with httpx.Client(timeout=120, limits=limits) as client, ThreadPoolExecutor(args.clients) as crowd:
        for example in examples[-12:]:  # every database once: its schema is read
            ask(example)
        count = args.questions
        began = time.perf_counter()
        alone = [ask(example) for example in examples[0 : 2 * count : 2]]
        one_by_one = time.perf_counter() - began
        began = time.perf_counter()
        together = list(crowd.map(ask, examples[1 : 2 * count : 2]))
        at_once = time.perf_counter() - began
        found = {
            "one_by_one_s": one_by_one,
            "at_once_s": at_once,
            "ratio": one_by_one / at_once,
            **{f"alone_{name}": value for name, value in latencies(alone).items()},
            **{f"together_{name}": value for name, value in latencies(together).items()},
        }
        if args.requests:
            list(crowd.map(ask, islice(cycle(examples), WARM)))
            before = resident(process)
            list(crowd.map(ask, islice(cycle(examples), args.requests)))
            found |= {"requests": args.requests, "memory_mib": before, "memory_growth": resident(process) / before - 1}
    return {name: round(value, 4) for name, value in found.items()}


def latencies(seconds: Sequence[float]) -> dict[str, float]:
    return {"p50_s": median(seconds), "p95_s": quantiles(seconds, n=20)[-1]}


def resident(process: psutil.Process) -> float:
    """MiB of the server and its children."""
    family = [process, *process.children(recursive=True)]
    return sum(one.memory_info().rss for one in family) / 2**20


if __name__ == "__main__":
    raise SystemExit(main())
