"""The kinds of instances: what is done to the rows, in order."""

from __future__ import annotations

import random

from evaluation.instances.added import extended
from evaluation.instances.contents import Contents, neared, permuted, reduced

STEPS = {
    "permuted": ("permute", "near"),
    "extended": ("extend",),
    "reduced": ("reduce", "permute"),
    "mixed": ("permute", "extend", "near"),
}
KINDS = tuple(STEPS)


def changed(contents: Contents, kind: str, rng: random.Random) -> tuple[Contents, Contents]:
    """The rows that are kept, and what becomes of them: cells change, and new rows stand behind them."""
    steps = {"permute": permuted, "near": neared, "extend": extended}
    kept = reduced(contents, rng) if "reduce" in STEPS[kind] else contents
    after = kept
    for step in STEPS[kind]:
        after = steps[step](after, rng) if step in steps else after
    return kept, after
