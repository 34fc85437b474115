"""Plain text for continued pre-training: a schema, then questions about it as comments, each with its query.

    singer(id, name, age)
    song(id, singer_id -> singer.id)
    -- How many singers are there?
    SELECT count(*) FROM singer;
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from evaluation.benchmarks import Example
from evaluation.errors import UserError
from sft.policy.encoder import PromptEncoder, TrainingExample


def documents(
    examples: Sequence[Example], encoder: PromptEncoder, max_length: int
) -> tuple[list[TrainingExample], int]:
    """Documents of at most max_length tokens that end with EOS, and how many questions fit in none.

    Every token but the first is learned: prompt_ids is that one. A question of a per-question style gets the schema
    text of the first question of its document. UserError when no question fits.
    """
    of_database: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        of_database[example.database].append(example)
    found: list[TrainingExample] = []
    dropped = 0
    for group in of_database.values():
        made, lost = _of_one_database(group, encoder, max_length)
        found += made
        dropped += lost
    if not found:
        raise UserError(
            f"none of {len(examples)} questions fits in model.max_length = {max_length} tokens with its schema and "
            "query: raise model.max_length"
        )
    return found, dropped


def _of_one_database(
    examples: Sequence[Example], encoder: PromptEncoder, max_length: int
) -> tuple[list[TrainingExample], int]:
    found: list[TrainingExample] = []
    waiting, dropped = list(examples), 0
    while waiting:
        first = waiting[0]
        ids = encoder.text_ids(encoder.schema_text(first))
        taken = 0
        for example in waiting:
            pair = encoder.text_ids(_question_and_query(example))
            if len(ids) + len(pair) + 1 > max_length:
                break
            ids += pair
            taken += 1
        if taken:
            found.append(TrainingExample(first, ids[:1], [*ids[1:], encoder.eos_id]))
        else:
            dropped += 1
        waiting = waiting[max(1, taken) :]
    return found, dropped


def _question_and_query(example: Example) -> str:
    comments = [text for text in (example.evidence, example.question) if text.strip()]
    lines = [f"-- {' '.join(text.split())}" for text in comments]
    return "\n".join(["", *lines, example.gold_sql.strip().rstrip(";").rstrip() + ";"])
