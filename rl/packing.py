"""Groups as rows: the prompt once, then its K episodes; groups of one database also share the schema that their prompts
begin with (`sft/policy/packing.py`)."""

from __future__ import annotations

from collections.abc import Sequence

from rl.types import Episode, Group
from sft.batches import WORTH_SHARING, common_prefix
from sft.policy.packing import Branch, PackedBatch, Row, micro_batches, pack_rows

__all__ = ["PackedBatch", "micro_batches", "pack", "packed_length", "side_by_side"]

Episodes = Sequence[Episode]  # of one prompt


def packed_length(groups: Sequence[Episodes]) -> int:
    """Tokens of these groups once packed."""
    return sum(row.length for row in _rows(groups))


def side_by_side(groups: Sequence[Group], token_budget: int) -> list[list[Group]]:
    """Each group once, with those of its database that fit in token_budget with it, if any do."""
    of_database: dict[str, list[list[Group]]] = {}
    for group in sorted(groups, key=lambda group: group.example.database):
        found = of_database.setdefault(group.example.database, [])
        if found and packed_length([g.episodes for g in (*found[-1], group)]) <= token_budget:
            found[-1].append(group)
        else:
            found.append([group])
    return [together for found in of_database.values() for together in found]


def pack(groups: Sequence[Episodes], shared: bool = True) -> PackedBatch:
    """Groups of episodes → one micro-batch. Written tokens come out group by group, episode by episode.

    shared: whether neighbours whose prompts begin with the same schema hold it once.
    """
    return pack_rows(_rows(groups) if shared else [_row(episodes, 0) for episodes in groups])


def _rows(groups: Sequence[Episodes]) -> list[Row]:
    found: list[list[Episodes]] = []
    for episodes in groups:
        if found and _alike(found[-1][0][0].prompt_ids, episodes[0].prompt_ids):
            found[-1].append(episodes)
        else:
            found.append([episodes])
    return [_tree(together) for together in found]


def _alike(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether prompts share a schema, most of the shorter one, rather than the words that all prompts begin with."""
    return common_prefix([one, other]) >= max(WORTH_SHARING, min(len(one), len(other)) / 2)


def _tree(groups: Sequence[Episodes]) -> Row:
    if len(groups) == 1:
        return _row(groups[0], 0)
    prompts = [episodes[0].prompt_ids for episodes in groups]
    shared = min(common_prefix(prompts), min(map(len, prompts)) - 1)  # every group keeps a token of its own
    return Row(list(prompts[0][:shared]), rows=[_row(episodes, shared) for episodes in groups])


def _row(episodes: Episodes, shared: int) -> Row:
    """What stands behind the first `shared` tokens."""
    prompt = list(episodes[0].prompt_ids)
    assert prompt and all(list(e.prompt_ids) == prompt for e in episodes), "a group shares one prompt"
    branches = [Branch([(s.ids, s.log_probs is not None) for s in e.segments]) for e in episodes]
    return Row(prompt[shared:], branches)
