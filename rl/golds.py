"""Which training questions are passed over because their gold cannot be rewarded.

It is decided once in the life of a run and kept in its checkpoints: a gold that takes about its deadline may pass one
time and fail the next, and a resumed run must draw the questions of an unbroken one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from evaluation import usable
from evaluation.benchmarks import Example
from rl.evaluate import save
from rl.reward import Answer
from rl.rewards import PooledRewards
from sft.policy.checkpoint import Checkpoint

FILE = "golds.json"


def useless(examples: Sequence[Example], rewards: PooledRewards) -> frozenset[str]:
    """Ids of questions whose gold fails or says too little (`evaluation.usable`), judged by the pool."""
    judged = rewards.judge(examples, [[Answer(example.gold_sql, True)] for example in examples])
    pairs = zip(examples, judged, strict=True)
    checks = [usable.GoldCheck(e.id, bool(j.parts["correct"]), j.blind, j.error or j.verdict) for e, (j,) in pairs]
    return usable.useless(checks, rewarded=True)


def write_dropped(directory: Path, identity: Mapping[str, str], dropped: frozenset[str]) -> None:
    """Into a run's directory, for the run of this identity."""
    save(directory / FILE, {"of": dict(identity), "dropped": sorted(dropped)})


def dropped_before(directory: Path, saved: Checkpoint | None, identity: Mapping[str, str]) -> frozenset[str] | None:
    """What this run has dropped, by its checkpoint or else its directory; None when it has not been decided."""
    kept, path = saved.files.get(f"run/{FILE}") if saved else None, directory / FILE
    found = json.loads(kept or (path.read_bytes() if path.exists() else b"{}"))
    return frozenset(found["dropped"]) if found.get("of") == identity else None
