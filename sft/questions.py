"""Which questions of a benchmark a run of sft.train learns from."""

from __future__ import annotations

import random
from pathlib import Path

from evaluation.benchmarks import Example, load_examples
from evaluation.check_data import read_actions
from sft.config import DataConfig


def chosen_examples(data: DataConfig, seed: int, directory: Path | None) -> list[Example]:
    """The training questions, or data.max_examples of them drawn with the seed, in the order of the file.

    Those that data.checked says to drop are left out; a gold that makes a weak reward is still a query to learn from.
    """
    examples = load_examples(data.benchmark, "train", directory, rows=False, shots=data.shots)
    if data.checked:
        actions = read_actions(Path(data.checked), examples)
        examples = [example for example in examples if actions.get(example.id) != "drop"]
    if data.max_examples == 0 or data.max_examples >= len(examples):
        return examples
    places = random.Random(seed).sample(range(len(examples)), data.max_examples)
    return [examples[place] for place in sorted(places)]
