"""Several datasets in one: so much of each, balanced by database, without duplicates and what must stay unseen."""

from __future__ import annotations

import random
import tomllib
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from evaluation.benchmarks import Example, load_examples, named, present_splits
from evaluation.contamination import contaminated, normal_question, without_literals
from evaluation.errors import UserError
from evaluation.text_files import read_text


class Part(BaseModel):
    """A dataset and its share. data: its directory; weight: share of the mix, relative to the others'."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    benchmark: str
    data: Path | None = None
    split: str = "train"
    weight: float = Field(1.0, gt=0)

    @field_validator("benchmark")
    @classmethod
    def _layout_exists(cls, benchmark: str) -> str:
        named(benchmark)
        return benchmark

    @property
    def name(self) -> str:
        return f"{self.benchmark} {self.split}"


class MixConfig(BaseModel):
    """The file of `evaluation.data mix`.

    questions: of the mix; 0: as many as the weights allow. remove: the ways in which a question that stands in a
    held-out split is removed; a schema that a dataset's own splits share, as many do by design, is reported only.
    held_out: else every dev and test split of the datasets, as far as it is there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    dataset: tuple[Part, ...] = Field(min_length=1)
    held_out: tuple[Part, ...] = ()
    questions: int = Field(0, ge=0)
    seed: int = 0
    remove: tuple[Literal["question", "sql", "schema"], ...] = ("question", "sql", "schema")


@dataclass(frozen=True)
class Mix:
    """examples: of the mix. report: what was there, lost and taken, per dataset and held-out split."""

    examples: list[Example]
    report: dict[str, Any]


def read_config(path: Path) -> MixConfig:
    try:
        return MixConfig.model_validate(tomllib.loads(read_text(path)))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} must be TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(
            f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}, got {first['input']!r:.80}"
        ) from None


def mix(config: MixConfig) -> Mix:
    """UserError: a dataset that cannot be read, or of which nothing is left."""
    held_out = {
        part.name: load_examples(part.benchmark, part.split, part.data, rows=False) for part in _held_out(config)
    }
    kept, report, seen = [], dict[str, Any](), set[tuple[str, str]]()
    told: dict[str, dict[str, int]] = {name: {"questions": len(found)} for name, found in held_out.items()}
    for part in config.dataset:
        examples = [_renamed(example, part) for example in _load(part)]
        unique = _unique(examples, seen)
        ways, hits = contaminated(unique, held_out)
        clean = [
            e for e, found in zip(unique, ways, strict=True) if not any(_gives_away(config, part, *w) for w in found)
        ]
        if not clean:
            raise UserError(f"{part.name}: none of its {len(examples)} questions is unseen in the held-out splits")
        for name, counts in hits.items():
            told[name] |= {f"{part.name}: {way}": count for way, count in counts.items() if way != "questions"}
        lost = {"duplicates": len(examples) - len(unique), "contaminated": len(unique) - len(clean)}
        report[part.name] = {"questions": len(examples), **lost, "databases": len({e.db_id for e in clean})}
        kept.append(balanced(clean, random.Random(config.seed)))
    taken = shares([len(part) for part in kept], [part.weight for part in config.dataset], config.questions)
    for part, count in zip(config.dataset, taken, strict=True):
        report[part.name]["taken"] = count
    mixed = [example for part, count in zip(kept, taken, strict=True) for example in part[:count]]
    random.Random(config.seed).shuffle(mixed)
    return Mix(mixed, {"datasets": report, "held_out": told, "questions": len(mixed)})


def balanced(examples: Sequence[Example], rng: random.Random) -> list[Example]:
    """In an order whose every beginning has as many questions of each database as there are, one in turn."""
    of_database: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        of_database[example.db_id].append(example)
    waiting = [deque(rng.sample(group, len(group))) for group in of_database.values()]
    rng.shuffle(waiting)
    found = []
    while waiting:
        found += [group.popleft() for group in waiting]
        waiting = [group for group in waiting if group]
    return found


def shares(there: Sequence[int], weights: Sequence[float], total: int) -> list[int]:
    """How many of each: by weight; with a total, what one has not is taken from the others.

    >>> shares([100, 10], [1, 1], 0), shares([100, 10], [1, 1], 60)
    ([10, 10], [50, 10])
    """
    if not total:
        most = min(count / weight for count, weight in zip(there, weights, strict=True))
        return [int(weight * most + 1e-9) for weight in weights]
    found, left, open_ = [0] * len(there), min(total, sum(there)), set(range(len(there)))
    while left and open_:
        whole = sum(weights[i] for i in open_)
        wanted = {i: max(1, int(left * weights[i] / whole)) for i in sorted(open_)}
        for i, count in wanted.items():
            more = min(count, there[i] - found[i], left)
            found[i] += more
            left -= more
            if found[i] == there[i]:
                open_.discard(i)
    return found


def _gives_away(config: MixConfig, part: Part, split: str, way: str) -> bool:
    return way in config.remove and not (way == "schema" and split.split()[0] == part.benchmark)


def _load(part: Part) -> list[Example]:
    return load_examples(part.benchmark, part.split, part.data, rows=False)


def _held_out(config: MixConfig) -> list[Part]:
    if config.held_out:
        return list(config.held_out)
    folders = dict.fromkeys((part.benchmark, part.data) for part in config.dataset)
    folders[("tiny", None)] = None
    used = {(part.benchmark, part.data, part.split) for part in config.dataset}
    return [
        Part(benchmark=benchmark, data=data, split=split)
        for benchmark, data in folders
        for split in present_splits(benchmark, data)
        if is_measured_on(split) and (benchmark, data, split) not in used
    ]


def is_measured_on(split: str) -> bool:
    """Whether by its name it is a dev or test split, or made of one."""
    return not any(word in split for word in ("train", "shot"))


def _renamed(example: Example, part: Part) -> Example:
    return replace(example, id=f"{part.benchmark}/{example.id}", db_id=f"{part.benchmark}.{example.db_id}")


def _unique(examples: Sequence[Example], seen: set[tuple[str, str]]) -> list[Example]:
    """Without those whose question and query are there already, of this dataset or an earlier one."""
    found = []
    for example in examples:
        turns = " | ".join([*(turn.question for turn in example.history), example.question])
        mark = (normal_question(turns), without_literals(example.gold_sql))
        if mark not in seen:
            seen.add(mark)
            found.append(example)
    return found
