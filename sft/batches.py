"""Which questions are learned together, and how they lie in memory.

Questions about one database begin with the same schema. Those that meet in a batch are packed behind one copy of it.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Sequence

from sft.policy.answers import Packing
from sft.policy.encoder import TrainingExample
from sft.policy.packing import Branch, PackedBatch, Row, micro_batches, pack_rows

WORTH_SHARING = 16  # tokens of a common beginning; a shorter one is repeated


def schedule(
    items: Sequence[TrainingExample], batch_size: int, epochs: float, together: int, seed: int
) -> list[list[int]]:
    """Indices of the questions of each optimizer step; the last batch of an epoch may be smaller.

    together: questions of one database that are drawn as one; 1 shuffles question by question. Depends on the
    arguments alone, so that a resumed run goes on with the very batches it would have had.
    """
    per_epoch, databases = math.ceil(len(items) / batch_size), [item.example.database for item in items]
    steps: list[list[int]] = []
    for epoch in range(math.ceil(epochs)):
        order = shuffled(databases, together, random.Random(f"{seed}/{epoch}"))
        steps += [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return steps[: math.ceil(per_epoch * epochs)]


def shuffled(databases: Sequence[str], together: int, rng: random.Random) -> list[int]:
    """Numbers of the questions in a random order, up to `together` of one database in a row; 1 shuffles them all."""
    order = list(range(len(databases)))
    rng.shuffle(order)
    if together == 1:
        return order
    of_database: dict[str, list[int]] = defaultdict(list)
    for index in order:
        of_database[databases[index]].append(index)
    clumps = [
        indices[start : start + together]
        for indices in of_database.values()
        for start in range(0, len(indices), together)
    ]
    rng.shuffle(clumps)
    return [index for clump in clumps for index in clump]


def rows(items: Sequence[TrainingExample], token_budget: int, packing: Packing = "shared") -> list[Row]:
    """The questions as rows of at most token_budget tokens, except for a question that is longer by itself.

    Every question is in one row, once; its logits are those that it has alone. packing = none: a row each.
    """
    if packing == "none":
        return [_alone(item) for item in items]
    of_database: dict[str, list[TrainingExample]] = defaultdict(list)
    for item in items:
        of_database[item.example.database].append(item)
    return [row for group in of_database.values() for row in _shared_rows(group, token_budget)]


def _shared_rows(items: Sequence[TrainingExample], token_budget: int) -> list[Row]:
    shared = common_prefix([item.prompt_ids for item in items])
    if len(items) == 1 or shared < WORTH_SHARING:
        return [_alone(item) for item in items]
    prefix, room = items[0].prompt_ids[:shared], 0
    found: list[Row] = []
    for item in items:
        branch = Branch.of(item.prompt_ids[shared:], item.completion_ids)
        if not found or branch.length > room:
            found.append(Row(prefix, [branch]))
            room = token_budget - found[-1].length
        else:
            found[-1] = Row(prefix, [*found[-1].branches, branch])
            room -= branch.length
    return found


def _alone(item: TrainingExample) -> Row:
    return Row(item.prompt_ids, [Branch.of((), item.completion_ids)])


def packed_batches(
    items: Sequence[TrainingExample], token_budget: int, packing: Packing = "shared"
) -> list[PackedBatch]:
    """One optimizer step's questions as micro-batches of at most token_budget tokens each."""
    all_rows = rows(items, token_budget, packing)
    batches = micro_batches([row.length for row in all_rows], token_budget)
    return [pack_rows([all_rows[i] for i in batch]) for batch in batches]


def shared_out(
    items: Sequence[TrainingExample], token_budget: int, packing: Packing, ranks: int
) -> list[list[PackedBatch]]:
    """One optimizer step's questions for each rank, about equally many tokens; what one rank would have, for one."""
    if ranks == 1:
        return [packed_batches(items, token_budget, packing)]
    fair = math.ceil(sum(item.length for item in items) / ranks)
    all_rows = sorted(rows(items, min(token_budget, fair), packing), key=lambda row: -row.length)
    shares: list[list[Row]] = [[] for _ in range(ranks)]
    for row in all_rows:
        min(shares, key=lambda share: sum(other.length for other in share)).append(row)
    return [
        [pack_rows([share[i] for i in batch]) for batch in micro_batches([row.length for row in share], token_budget)]
        for share in shares
    ]


def common_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Length of the beginning that all share; sharing is transitive, so the first is compared with each other one."""
    first = prompts[0]
    return min((_shared_length(first, other) for other in prompts[1:]), default=len(first))


def _shared_length(first: Sequence[int], second: Sequence[int]) -> int:
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(first), len(second)))
