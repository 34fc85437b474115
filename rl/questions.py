"""Which questions a run draws: those that fit and can be rewarded, in an order that depends on the step alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.benchmarks import Example
from evaluation.check_data import read_actions
from evaluation.errors import UserError
from sft.batches import shuffled
from sft.policy.encoder import PromptEncoder


@dataclass(frozen=True)
class ShuffledQuestions:
    """Endless passes over the questions, each in its own order. A draw depends on (seed, step, refill) alone.

    dropped: ids that are passed over. Orders are of all questions, so that one more or less does not shuffle the rest.
    together: questions of one database that are drawn one after the other. first: ids that begin every pass.
    """

    examples: Sequence[Example]
    batch: int
    seed: int
    dropped: frozenset[str] = frozenset()
    together: int = 1
    first: frozenset[str] = frozenset()

    def draw(self, step: int, refill: int = 0) -> list[Example]:
        """The questions of step 1, 2, …; a batch may span passes. A refill is drawn from all of them."""
        if refill:
            return self._pass(f"{step}/{refill}")[: self.batch]
        drawn: list[Example] = []
        count = sum(example.id not in self.dropped for example in self.examples)
        while (missing := self.batch - len(drawn)) > 0:
            number, place = divmod(step * self.batch - missing, count)
            drawn += self._pass(str(number))[place : place + missing]
        return drawn

    def _pass(self, name: str) -> list[Example]:
        databases = [example.database for example in self.examples]
        order = shuffled(databases, self.together, random.Random(f"{self.seed}/{name}"))
        kept = [self.examples[i] for i in order if self.examples[i].id not in self.dropped]
        return sorted(kept, key=lambda example: example.id not in self.first)


def fitting(examples: list[Example], encoder: PromptEncoder) -> list[Example]:
    """Training questions whose prompt leaves room for an answer; the others are counted, and none left is an error."""
    kept = [example for example in examples if encoder.fits(encoder.encode(example))]
    if len(kept) < len(examples):
        print(f"train: dropped {len(examples) - len(kept)} of {len(examples)} prompts over the context", flush=True)
    if not kept:
        raise UserError(
            f"every prompt is longer than {encoder.max_prompt_tokens} tokens (model.max_length − "
            "rollout.max_tokens): raise model.max_length, or choose a shorter data.prompt_style"
        )
    return kept


def checked(examples: list[Example], path: str) -> list[Example]:
    """What data.checked leaves: dropped questions are out, and the others come twice as often as down-weighted ones."""
    actions = read_actions(Path(path), examples) if path else {}
    if not actions:
        return examples
    kept = [example for example in examples if actions.get(example.id) != "drop"]
    print(f"train: {path} drops {len(examples) - len(kept)} of {len(examples)} questions", flush=True)
    return kept + [example for example in kept if example.id not in actions]
