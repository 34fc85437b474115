"""How far one driver carries the reward pool: real workers from 1 to 2, and simulated ones from 8 to 64.

python -m tests.bench.scale [--data SPIDER] [--workers 8 16 32 64] [--seconds 10] [--bursts 2]

Real: rl.reward.RewardWorker on Spider's gold queries, each worker with its sandbox child on a core of its own; the
queries go in bursts, each to a pool of one and to a pool of two; the figure is the seconds of one worker over the
seconds of two, all bursts together. It needs two cores that nothing else uses. Four of the 4,531 queries take a fifth
of the time, the longest 1.5 s: the more bursts, the more of it two workers wait for the last query of one.
Left out without --data.

Simulated: a query takes 20 ms of sleep. What is real: the pool, its supervisor, a process per worker, and a Ray call
and an answer for every batch, with payloads of the size of a query and a verdict. What is not: a batch of n queries
sleeps once for n × 20 ms, and queries of equal length are kind to any dispatcher. Efficiency is the ideal seconds,
queries × 20 ms / workers, over the measured ones of one `map` from the first submit to the last result; the driver's
and the actors' own work must fit beside on this machine's cores.

driver_growth_mib: resident memory of the driver over twenty more maps of two seconds with the most workers, the last
against the tenth; all are printed.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from cluster.pool import Pool
from cluster.runtime import MIB, start
from evaluation.benchmarks import Example, load_examples
from rl.reward import Answer, RewardWorker
from tests.bench.rewards import seconds

QUERY_S = 0.02
MAX_BATCH = 32
QUERY = "SELECT T1.name FROM singer AS T1 JOIN concert AS T2 ON T1.id = T2.singer_id WHERE T2.year = {}"
PATIENCE_S = 300.0
Items = Sequence[tuple[Example, Sequence[Answer]]]


class Sleeper:
    """Stands for a worker whose queries take 20 ms each."""

    def judge(self, queries: Sequence[str]) -> list[str]:
        time.sleep(QUERY_S * len(queries))
        return [f"correct {query[-5:]}" for query in queries]


class PinnedWorker(RewardWorker):
    """A reward worker that takes a core for itself and its child: the first that no other has claimed in a folder."""

    def __init__(self, deadline_s: float, claims: str, cores: Sequence[int]) -> None:
        for core in cores:
            try:
                (Path(claims) / str(core)).touch(exist_ok=False)
            except FileExistsError:
                continue
            os.sched_setaffinity(0, {core})
            break
        super().__init__(deadline_s)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    workers: int
    batch: int
    queries_per_s: float
    efficiency: float
    driver_us: float  # driver's CPU per batch


def simulate(workers: int, seconds_long: float, rounds: int = 0) -> tuple[Row, list[float]]:
    """The figures of one map, and the driver's resident MiB after each of `rounds` shorter ones."""
    with Pool(Sleeper, method="judge", size=workers, name="sleeper", num_cpus=0.01) as pool:
        queries = [QUERY.format(n) for n in range(int(workers * seconds_long / QUERY_S))]
        batch = batch_size(len(queries), workers)
        pool.map(queries[: workers * batch], batch, PATIENCE_S)  # every worker is up
        cpu_s = time.process_time()
        took_s = seconds(lambda: pool.map(queries, batch, PATIENCE_S))
        cpu_s = time.process_time() - cpu_s
        ideal_s = len(queries) * QUERY_S / workers
        sizes = [_resident_after(pool, queries[: int(workers * 2 / QUERY_S)], batch) for _ in range(rounds)]
    row = Row(workers, batch, len(queries) / took_s, ideal_s / took_s, cpu_s / (len(queries) / batch) * 1e6)
    return row, sizes


def batch_size(items: int, workers: int) -> int:
    """Several batches per worker, so that a slow one can be made up for."""
    return max(1, min(MAX_BATCH, items // (4 * workers)))


def _resident_after(pool: Pool, queries: Sequence[str], batch: int) -> float:
    pool.map(queries, batch, PATIENCE_S)
    gc.collect()
    return psutil.Process().memory_info().rss / MIB


def scaling(items: Items, bursts: int) -> list[dict[int, float]]:
    """Seconds by number of real reward workers, burst by burst; both pools see each query once."""
    cores = sorted(os.sched_getaffinity(0))
    rows = []
    with ExitStack() as stack:
        pools = [stack.enter_context(_reward_pool(size, stack, cores)) for size in (1, 2)]
        for pool in pools:
            _show_databases(pool, items)
        for burst in range(bursts):
            part = items[burst::bursts]
            rows.append({pool.size: seconds(partial(_judge, pool, part)) for pool in pools[:: 1 if burst % 2 else -1]})
    return rows


def _show_databases(pool: Pool, items: Items) -> None:
    """Every worker has met nearly every database, by other statements than are timed: its first look at one is slow."""
    first = {example.database: example for example, _ in items}
    for number in range(4):
        pool.map([(example, [Answer(f"SELECT {number}", True)]) for example in first.values()], 1, PATIENCE_S)


def _judge(pool: Pool, part: Items) -> None:
    pool.map(part, batch_size(len(part), pool.size), PATIENCE_S)


def _reward_pool(size: int, stack: ExitStack, cores: Sequence[int]) -> Pool:
    claims = stack.enter_context(tempfile.TemporaryDirectory())
    return Pool(PinnedWorker, 5.0, claims, cores, method="judge_groups", size=size, name=f"reward{size}", num_cpus=0.1)


def gold_items(data: Path) -> list[tuple[Example, Sequence[Answer]]]:
    """Each different gold query of Spider as an answer to its own question, shuffled."""
    examples = load_examples("spider", "dev", data) + load_examples("spider", "train", data)
    unique = {(example.database, example.gold_sql): example for example in examples}
    items: list[tuple[Example, Sequence[Answer]]] = [(e, [Answer(e.gold_sql, True)]) for e in unique.values()]
    return random.Random(0).sample(items, len(items))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="Spider's data directory")
    parser.add_argument("--workers", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--seconds", type=float, default=10.0, help="ideal length of a simulated run")
    parser.add_argument("--bursts", type=int, default=2, help="comparisons of one real worker with two")
    options = parser.parse_args(argv)
    result: dict[str, object] = {}
    with start(num_cpus=8, object_store_mib=128):
        if options.data:
            items = gold_items(options.data)
            took = scaling(items, options.bursts)
            print("seconds of one and of two workers:", *(f"{row[1]:.2f}/{row[2]:.2f}" for row in took))
            result["scaling_2"] = round(sum(row[1] for row in took) / sum(row[2] for row in took), 3)
        rows = []
        for workers in options.workers:
            row, sizes = simulate(workers, options.seconds, rounds=20 if workers == options.workers[-1] else 0)
            rows.append(row)
            print(
                f"{workers:4d} workers, batches of {row.batch:2d}: {row.queries_per_s:8.0f} queries/s, "
                f"efficiency {row.efficiency:.3f}, driver {row.driver_us:4.0f} us CPU per batch",
                flush=True,
            )
            if workers == options.workers[-1]:
                print("     resident memory of the driver, MiB:", *(f"{size:.1f}" for size in sizes), flush=True)
                growth = round(sizes[-1] - sizes[len(sizes) // 2 - 1], 2)
                result |= {"dispatch_efficiency": round(row.efficiency, 3), "driver_growth_mib": growth}
    result["load_average"] = round(os.getloadavg()[0], 1)
    result["by_workers"] = {str(row.workers): round(row.efficiency, 3) for row in rows}
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
