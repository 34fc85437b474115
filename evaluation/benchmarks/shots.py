"""Solved examples for the prompt of a question: the most similar training questions, never the question itself."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from evaluation.benchmarks.layout import Example, Turn

MOST_POSTINGS = 3000  # of a word; those of the commonest words say little


class Pool:
    """Training questions by their words, each worth more the rarer it is."""

    def __init__(self, examples: Iterable[Example]) -> None:
        self._examples = [example for example in examples if example.gold_sql and not example.history]
        self._words = [words(example.question) for example in self._examples]
        self._places: dict[str, list[int]] = defaultdict(list)
        for place, found in enumerate(self._words):
            for word in found:
                self._places[word].append(place)
        self._databases = {example.db_id for example in self._examples}

    def similar(self, example: Example, count: int) -> tuple[Turn, ...]:
        """The closest first. Of other databases where the pool has some, so that training is like prediction on a
        database that was never seen."""
        asked, scores = words(example.question), defaultdict[int, float](float)
        for word in asked:
            places = self._places.get(word, [])
            worth = math.log(1 + len(self._examples) / (1 + len(places)))
            for place in places[:MOST_POSTINGS]:
                scores[place] += worth
        lone = self._databases <= {example.db_id}
        found: list[Turn] = []
        shown = {example.gold_sql}
        for place, _ in sorted(scores.items(), key=lambda item: (-item[1] / (3 + len(self._words[item[0]])), item[0])):
            other = self._examples[place]
            if self._words[place] == asked or other.gold_sql in shown or (other.db_id == example.db_id and not lone):
                continue
            shown.add(other.gold_sql)
            found.append(Turn(other.question, other.gold_sql))
            if len(found) == count:
                break
        return tuple(found)


def words(question: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", question.casefold()))


def with_shots(examples: Sequence[Example], pool: Sequence[Example], count: int) -> list[Example]:
    """The examples, each with `count` solved ones of the pool, or as many as there are."""
    found = Pool(pool)
    return [replace(example, shots=found.similar(example, count)) for example in examples]
