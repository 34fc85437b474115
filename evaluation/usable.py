"""Which training questions are passed over because of their gold query, in SFT and in RL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from evaluation.benchmarks import Example
from evaluation.blind import is_blind
from evaluation.errors import UserError
from evaluation.judge import Judge

CHUNK = 64


@dataclass(frozen=True)
class GoldCheck:
    """A gold judged as its own prediction. blind: it says no more than a query that finds nothing."""

    id: str
    right: bool
    blind: bool
    error: str = ""


def useless(checks: Iterable[GoldCheck], rewarded: bool) -> frozenset[str]:
    """Ids of questions whose gold fails or is out of time; where answers are rewarded also of blind ones, since any
    reward for them would lie. They are counted on the screen. UserError when nothing is left."""
    checks = list(checks)
    failed = {check.id: check for check in checks if not check.right}
    blind = {check.id for check in checks if check.blind and rewarded} - failed.keys()
    said = []
    if failed:
        first = next(iter(failed.values()))
        why = first.error[:100] or "other rows each time"
        said.append(f"{len(failed)} golds that fail (the first is {first.id}: {why})")
    if blind:
        said.append(
            f"{len(blind)} whose answer is no row or one of 0 and NULL, which a query that finds nothing would earn too"
        )
    if said:
        print(f"train: dropped {' and '.join(said)}", flush=True)
    dropped = failed.keys() | blind
    if dropped >= {check.id for check in checks}:
        raise UserError(
            f"no training question has a gold query that runs{' and says more than 0 or NULL' if rewarded else ''}: "
            "check --data"
        )
    return frozenset(dropped)


def check_golds(examples: Sequence[Example], seen: Callable[[int], None] = lambda done: None) -> list[GoldCheck]:
    """Runs every gold here, in a sandbox per core; `seen` hears how many are done."""
    chunks = [examples[start : start + CHUNK] for start in range(0, len(examples), CHUNK)]
    workers = max(1, min(os.cpu_count() or 1, len(chunks), 8))

    def work(share: Sequence[Sequence[Example]]) -> list[GoldCheck]:
        found: list[GoldCheck] = []
        with Judge() as judge:
            for chunk in share:
                found += _checked(judge, chunk)
                done.append(len(chunk))
                seen(sum(done))
        return found

    done: list[int] = []
    with ThreadPoolExecutor(workers) as pool:
        return [check for share in pool.map(work, (chunks[k::workers] for k in range(workers))) for check in share]


def _checked(judge: Judge, examples: Sequence[Example]) -> list[GoldCheck]:
    verdicts = judge.judge([(example, example.gold_sql) for example in examples])
    pairs = [(example, verdict, verdict.execution) for example, verdict in zip(examples, verdicts, strict=True)]
    return [
        GoldCheck(e.id, verdict.right, bool(ran and is_blind(ran)), ran.error if ran else verdict.status)
        for e, verdict, ran in pairs
    ]
