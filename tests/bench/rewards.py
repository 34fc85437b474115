"""How fast rewards are: the sandbox against a bare loop over sqlite3.

python -m tests.bench.rewards --data SPIDER [--queries 8000] [--repeats 3]

The bare loop has what no reward may have: cached, writable connections in the process itself. Each figure is the
median over repeats of a ratio of two runs, one after the other on the same cores. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

from evaluation.benchmarks import load_examples
from evaluation.databases.sandbox import Limits, Request, Sandbox

BATCH = 128  # one step's questions x samples come in such batches
K = 8
# How often the distinct answers of a group occur among 8 samples of a policy that has learned some SQL: about half of
# a group is the favourite answer, and three to five answers differ.
MULTIPLICITIES = ((4, 2, 1, 1), (5, 1, 1, 1), (3, 2, 1, 1, 1), (8,), (2, 2, 1, 1, 1, 1))
HOSTILE = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r{}"
NO_CACHE = Limits(cache_bytes=0)
_sandbox: Sandbox


def raw(requests: Sequence[Request]) -> None:
    connections: dict[str, sqlite3.Connection] = {}
    for path, sql in requests:
        if path not in connections:
            connections[path] = sqlite3.connect(path)
            connections[path].text_factory = lambda cell: cell.decode(errors="ignore")
        try:
            connections[path].execute(sql).fetchall()
        except sqlite3.Error:
            continue
    for connection in connections.values():
        connection.close()


def sandboxed(requests: Sequence[Request], limits: Limits = NO_CACHE) -> None:
    with Sandbox(limits) as sandbox:
        run_batches(sandbox, requests)


def run_batches(sandbox: Sandbox, requests: Sequence[Request]) -> None:
    for start in range(0, len(requests), BATCH):
        sandbox.execute(requests[start : start + BATCH])


def batch_answers(requests: Sequence[Request]) -> int:
    """In a worker process: the answers to a batch, from this worker's own sandbox."""
    return len(_sandbox.execute(requests))


def start_worker(cores: Queue[int]) -> None:
    """One core for the worker and its child, as a reward actor of one CPU has."""
    global _sandbox
    os.sched_setaffinity(0, {cores.get()})
    _sandbox = Sandbox(NO_CACHE)


def shared_s(requests: Sequence[Request], workers: int) -> float:
    """Seconds that `workers` processes, each on a core of its own, need for batches drawn from one queue."""
    context = get_context("spawn")
    cores: Queue[int] = context.Queue()
    for core in sorted(os.sched_getaffinity(0))[:workers]:
        cores.put(core)
    batches = [requests[start : start + BATCH // 4] for start in range(0, len(requests), BATCH // 4)]
    with ProcessPoolExecutor(workers, context, start_worker, (cores,)) as pool:
        list(pool.map(batch_answers, [requests[:1]] * 8 * workers))  # every worker is up before the clock starts
        return seconds(lambda: list(pool.map(batch_answers, batches)))


def groups(requests: Sequence[Request], chance: random.Random) -> list[Request]:
    """K samples per question: other queries of the same database, in the multiplicities of real samples, shuffled."""
    by_database: dict[str, list[Request]] = {}
    for request in requests:
        by_database.setdefault(request[0], []).append(request)
    load: list[Request] = []
    for request in requests[: len(requests) // K]:
        counts = chance.choice(MULTIPLICITIES)
        answers = [request, *chance.choices(by_database[request[0]], k=len(counts) - 1)]
        group = [answer for answer, count in zip(answers, counts, strict=True) for _ in range(count)]
        load += chance.sample(group, K)
    return load


def seconds(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def ratio(first: Callable[[], Any], second: Callable[[], Any], repeats: int) -> float:
    """How many times faster the second is, the median over repeats."""
    return statistics.median(seconds(first) / seconds(second) for _ in range(repeats))


def hostile_cost(requests: Sequence[Request], deadline_s: float = 0.2) -> dict[str, float]:
    """Extra seconds of a load with 1 % of statements that never end, and the deadlines that these burn."""
    limits = Limits(deadline_s=deadline_s, cache_bytes=0)
    poisoned, places = list(requests), range(50, len(requests), 100)
    for place in places:
        poisoned[place] = (poisoned[place][0], HOSTILE.format(f" -- {place}"))
    clean_s = seconds(lambda: sandboxed(requests, limits))
    return {
        "extra_s": round(seconds(lambda: sandboxed(poisoned, limits)) - clean_s, 3),
        "deadlines_s": round(deadline_s * len(places), 3),
    }


def load_requests(data: Path, queries: int, chance: random.Random) -> list[Request]:
    examples = load_examples("spider", "dev", data) + load_examples("spider", "train", data)
    unique = list(dict.fromkeys((example.database, example.gold_sql) for example in examples))
    return chance.sample(unique, min(queries, len(unique)))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.rewards", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="Spider's data directory")
    parser.add_argument("--queries", type=int, default=8000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(argv)
    chance = random.Random(0)
    requests = load_requests(options.data, options.queries, chance)
    load = groups(requests, chance)
    for path in {path for path, _ in requests}:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")  # the files are in memory before the clock starts
    cores = os.sched_getaffinity(0)
    raw(requests)
    scaling = statistics.median(shared_s(requests, 1) / shared_s(requests, 2) for _ in range(options.repeats))
    os.sched_setaffinity(0, {min(cores)})
    result = {
        "queries": len(requests),
        "sandbox_vs_raw": ratio(lambda: raw(requests), lambda: sandboxed(requests), options.repeats),
        "grpo_vs_raw": ratio(lambda: raw(load), lambda: sandboxed(load, Limits()), options.repeats),
        "scaling_2": scaling,
        "hostile": hostile_cost(requests[:1000]),
        "cores": len(cores),
        "load_average": os.getloadavg()[0],
    }
    print(json.dumps({name: round(value, 3) if isinstance(value, float) else value for name, value in result.items()}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
