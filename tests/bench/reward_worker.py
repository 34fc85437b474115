"""How many questions a reward worker judges a second: with the weights of a default run, and with every part computed.

python -m tests.bench.reward_worker [--benchmark tiny] [--data DIR] [--questions 64] [--samples 8] [--repeats 5]

The former worker computed every part, whatever its weight, and parsed gold and answer again for each sample. Both judge
the same new questions in turns on one core, each with a child of its own that is up and has run none of them: a run
starts it once. The ratio is the median over repeats. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import sqlglot
from sqlglot import exp

from evaluation.benchmarks import Example, load_examples
from evaluation.command import benchmark
from evaluation.openness import doubts
from evaluation.ordering import keyed_query, parse
from rl.reward import Answer, Judged, RewardConfig, RewardWorker, complexity
from tests.bench.rewards import MULTIPLICITIES

Questions = list[tuple[Example, list[Answer]]]


class FormerWorker(RewardWorker):
    """Parses gold and answer for each sample that ran."""

    def judge_groups(self, groups: Sequence[tuple[Example, Sequence[Answer]]]) -> list[list[Judged]]:
        judged = super().judge_groups(groups)
        for (example, answers), judged_K in zip(groups, judged, strict=True):
            for answer, one in zip(answers, judged_K, strict=True):
                if one.parts["executable"]:
                    former_complexity(example.gold_sql)
                    former_complexity(answer.sql)
        return judged


def former_complexity(sql: str) -> int:
    counted = (exp.Join, exp.Subquery, exp.SetOperation, exp.AggFunc, exp.Predicate)
    return 1 + sum(1 for _ in sqlglot.parse_one(sql, read="sqlite").find_all(*counted))


def questions_of(examples: Sequence[Example], count: int, samples: int, chance: random.Random) -> Questions:
    """Gold and other queries of the same database as answers, in the multiplicities of real samples."""
    found: Questions = []
    for example in chance.sample(examples, min(count, len(examples))):
        others = [other.gold_sql for other in examples if other.database == example.database]
        counts = chance.choice([counts for counts in MULTIPLICITIES if sum(counts) == 8])
        queries = [example.gold_sql, *chance.choices(others, k=len(counts) - 1)]
        pool = [Answer(sql, True) for sql, n in zip(queries, counts, strict=True) for _ in range(n)]
        found.append((example, chance.choices(pool, k=samples)))
    return found


def seconds(worker: RewardWorker, questions: Questions) -> float:
    """Of one step, as of questions that were never seen before: what is parsed for an earlier one is forgotten."""
    worker.judge(replace(questions[0][0], gold_sql="SELECT 1"), "SELECT 1")
    for cached in (parse, keyed_query, doubts, complexity):
        cached.cache_clear()
    started = time.perf_counter()
    worker.judge_groups(questions)
    worker.close()
    return time.perf_counter() - started


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.reward_worker", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--benchmark", default="tiny", type=benchmark)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--questions", type=int, default=64)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(argv)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    examples, config, chance = load_examples(options.benchmark, "train", options.data), RewardConfig(), random.Random(0)
    pairs = []
    for _ in range(options.repeats):
        questions = questions_of(examples, options.questions, options.samples, chance)
        former, now = FormerWorker(config.deadline_s, config.parts), RewardWorker(config.deadline_s, config.parts)
        pairs.append((seconds(former, questions), seconds(now, questions)))
    former_s, now_s = (statistics.median(column) for column in zip(*pairs, strict=True))
    result = {
        "benchmark": options.benchmark,
        "questions": options.questions,
        "samples": options.samples,
        "former_questions_per_s": round(options.questions / former_s, 1),
        "questions_per_s": round(options.questions / now_s, 1),
        "ratio": round(statistics.median(former / now for former, now in pairs), 2),
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
