"""What an answer earns: correctness first, shaping only where it cannot mislead.

Parts, each in 0..1: `correct` (same answer as gold), `executable` (runs and reads a table), `simple` (not more complex
than gold), `efficiency` (right, and no dearer to run than gold), `format` (ended by itself and holds SQL). The value is
their weighted sum, gated: in a group without one correct answer every reward is 0, unless a reward model alone pays
(`model`, from the learner). Otherwise division by the group's
spread would blow the shaping of an all-wrong group up to full size, and the policy would learn to be executable instead
of right ("phantom advantage"). Where all answers are right, `rl.algorithms.advantages` keeps that division from doing
the same. A part without weight is not computed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator
from sqlglot import exp

from evaluation.benchmarks import Example
from evaluation.blind import blind_queries, is_blind
from evaluation.compare import Columns
from evaluation.databases.sandbox import Limits
from evaluation.errors import UserError
from evaluation.instances.folder import Cached
from evaluation.judge import Judge, Verdict
from evaluation.ordering import parse
from graph.reference import load
from rl.observation import observed
from rl.types import Episode, Reward
from sft.config import ReadFile, Settings


class RewardConfig(Settings):
    """Weights of the parts, and how answers are executed."""

    correct: float = Field(1.0, ge=0, description="weight of the right answer; 0, with a reward model: that alone")
    executable: float = Field(0.0, ge=0, description="weight of running and reading a table")
    simple: float = Field(0.0, ge=0, description="weight of being no more complex than gold")
    efficiency: float = Field(0.0, ge=0, description="weight of a right answer's cost in SQLite, gold's over its own")
    format: float = Field(0.0, ge=0, description="weight of ending by itself with SQL in it")
    model: ReadFile = Field("", description="folder of rl.reward_model, whose score, 0 to 1, is a part")
    model_weight: float = Field(0.5, gt=0, description="weight of the reward model's score")
    extra: tuple[str, ...] = Field((), description="parts of your own, each package.module:function")
    extra_weight: float = Field(0.1, gt=0, description="weight of each part in extra")
    overlong: float = Field(0.0, ge=0, description="most that a long answer loses (DAPO's overlong shaping)")
    overlong_tokens: int = Field(16, ge=1, description="the last tokens before max_tokens, in which that loss grows")
    deadline_s: float = Field(1.0, gt=0, description="seconds that one query may run")
    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        1, description="reward actors, a core each; auto: as many as there are free cores, while the run goes on"
    )
    instances: int = Field(
        1, ge=1, le=16, description="databases on which an answer must be right: its own, and others of the same schema"
    )
    columns: Columns = Field("given", description="column order of a right answer: given (as gold's), or any")
    shuffled: bool = Field(False, description="control: permute the rewards inside every group")

    @property
    def least_workers(self) -> int:
        """Without so many the run does not start."""
        return 1 if self.workers == "auto" else self.workers

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts that are computed: those with a weight, and those that every step's metrics show."""
        return (*(name for name in PARTS if name in SHOWN or getattr(self, name)), *self.extra)

    @property
    def weights(self) -> dict[str, float]:
        """Of the parts by their short name; those that are 0 are left out."""
        own = {name: getattr(self, name) for name in PARTS if getattr(self, name)}
        own |= {MODEL: self.model_weight} if self.model else {}
        return own | {short(name): self.extra_weight for name in self.extra}

    @property
    def unit(self) -> float:
        """What the best answer of a group earns more than the worst, shaping aside."""
        return self.correct or self.model_weight

    @model_validator(mode="after")
    def _something_is_paid(self) -> RewardConfig:
        if not (self.correct or self.model):
            raise ValueError("correct = 0 pays no right answer: set reward.model, which then is what pays, or correct")
        return self

    @field_validator("extra")
    @classmethod
    def _parts_exist(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            load(name)
        shorts = [*PARTS, MODEL, *map(short, names)]
        if twice := [name for name in shorts if shorts.count(name) > 1]:
            raise ValueError(f"each part needs a name of its own in the metrics, {twice[0]!r} is there twice")
        return names


@dataclass(frozen=True)
class Answer:
    """sql as extracted from the text; finished: the model ended it by itself; before: its queries in earlier turns."""

    sql: str
    finished: bool
    before: tuple[str, ...] = ()


def answer_of(episode: Episode) -> Answer:
    """Its last one."""
    return Answer(episode.sql, episode.finish_reason == "stop", episode.before)


@dataclass(frozen=True)
class Judged:
    """One answer's verdict, its ungated parts by name, how many rows it returned, whether it says too little, and what
    an agent is shown of it (`rl.observation`), where one is."""

    verdict: str
    parts: dict[str, float]
    rows: int = 0
    error: str = ""
    blind: bool = False
    shown: str = ""

    @property
    def ex_strict(self) -> bool:
        """Right with the columns in gold's order, whatever the reward asks for."""
        return self.verdict in ("correct", "empty_both")


def _executable(example: Example, answer: Answer, verdict: Verdict) -> float:
    execution = verdict.execution
    return float(execution is not None and execution.status == "ok" and bool(execution.tables_read))


def _simple(example: Example, answer: Answer, verdict: Verdict) -> float:
    if not _executable(example, answer, verdict):
        return 0.0
    return min(1.0, complexity(example.gold_sql) / complexity(answer.sql))


RewardPart = Callable[[Example, Answer, Verdict], float]
"""0..1 for one answer to one question, whose verdict holds what it returned."""
PARTS: dict[str, RewardPart] = {
    "correct": lambda example, answer, verdict: float(verdict.right),
    "executable": _executable,
    "simple": _simple,
    "efficiency": lambda example, answer, verdict: verdict.efficiency,
    "format": lambda example, answer, verdict: float(answer.finished and bool(answer.sql)),
}
SHOWN = ("correct", "executable")
MODEL = "model"
"""The part of a reward model."""


def short(name: str) -> str:
    """A part as metrics call it: the function of "package.module:function"."""
    return name.rpartition(":")[2]


class RewardWorker:
    """Judges groups: the plain class inside a reward actor. One sandbox child, gold results kept."""

    def __init__(
        self,
        deadline_s: float,
        parts: Sequence[str] = tuple(PARTS),
        columns: Columns = "given",
        shown: tuple[int, int] | None = None,
        instances: int = 1,
    ) -> None:
        """parts: names of those to compute (`RewardConfig.parts`). shown: rows and characters of `Judged.shown`.
        instances: of each database, itself among them, on which an answer must be right."""
        others = Cached(instances - 1) if instances > 1 else None
        limits = Limits(deadline_s=deadline_s, effort="efficiency" in parts)
        self._judge, self._shown = Judge(limits, columns, others), shown
        self._parts = {short(name): PARTS[name] if name in PARTS else _checked(name) for name in parts}

    def judge_groups(self, groups: Sequence[tuple[Example, Sequence[Answer]]]) -> list[list[Judged]]:
        """Verdict and parts of each answer to each question, in order."""
        flat = [(example, answer) for example, answers in groups for answer in answers]
        verdicts = iter(self._judge.judge([(example, answer.sql) for example, answer in flat]))
        return [[self._judged(example, answer, next(verdicts)) for answer in answers] for example, answers in groups]

    def judge(self, example: Example, sql: str) -> Judged:
        """One finished answer to one question."""
        return self.judge_groups([(example, [Answer(sql, True)])])[0][0]

    def blind_queries(self, example: Example) -> list[str]:
        """Queries that find nothing, on a table of the question's gold."""
        return blind_queries(self._judge.golds([example])[0].execution)

    def close(self) -> None:
        self._judge.close()

    def _judged(self, example: Example, answer: Answer, verdict: Verdict) -> Judged:
        execution = verdict.execution
        parts = {name: part(example, answer, verdict) for name, part in self._parts.items()}
        shown = observed(execution, *self._shown) if self._shown else ""
        if execution is None:
            return Judged(verdict.status, parts, shown=shown)
        return Judged(verdict.status, parts, len(execution.rows), execution.error, is_blind(execution), shown)


def _checked(name: str) -> RewardPart:
    """A part of others, held to what a part is."""
    function = load(name)

    def part(example: Example, answer: Answer, verdict: Verdict) -> float:
        value = function(example, answer, verdict)
        if not (isinstance(value, int | float) and 0 <= value <= 1):
            raise UserError(f"reward.extra: {name} must return a number from 0 to 1, got {value!r} for {answer.sql!r}")
        return float(value)

    return part


@lru_cache(maxsize=50_000)
def complexity(sql: str) -> int:
    """Number of joins, subqueries, set operations, aggregates and conditions, plus one; of text that does not parse, 1.

    >>> complexity("SELECT name FROM singer WHERE age > 20")
    2
    """
    counted = (exp.Join, exp.Subquery, exp.SetOperation, exp.AggFunc, exp.Predicate)
    tree = parse(sql)
    return 1 if tree is None else 1 + sum(1 for _ in tree.find_all(*counted))


def overlong(tokens: int, max_tokens: int, config: RewardConfig) -> float:
    """The share of reward.overlong that an answer of so many tokens loses: 0 up to the last overlong_tokens before
    max_tokens, then linear to 1 (DAPO, arXiv 2503.14476, eq. 13).

    >>> [overlong(tokens, 100, RewardConfig(overlong_tokens=20)) for tokens in (80, 90, 100)]
    [0.0, 0.5, 1.0]
    """
    return min(1.0, max(0.0, (tokens - max_tokens + config.overlong_tokens) / config.overlong_tokens))


def group_rewards(
    judged_K: Sequence[Judged], config: RewardConfig, lengths_K: Sequence[float] = (), shuffle_seed: str = ""
) -> list[Reward]:
    """K rewards of one group, gated on correctness, and for the control permuted by a generator seeded by text.

    lengths_K: `overlong` of each answer; none means 0.
    """
    gate = float(not config.correct or any(judged.parts["correct"] for judged in judged_K))
    lengths_K = lengths_K or [0.0] * len(judged_K)
    values = [
        gate * (_weighted(judged.parts, config) - config.overlong * length)
        for judged, length in zip(judged_K, lengths_K, strict=True)
    ]
    if config.shuffled:
        random.Random(shuffle_seed).shuffle(values)
    return [
        Reward(value, judged.parts, judged.verdict, judged.error)
        for value, judged in zip(values, judged_K, strict=True)
    ]


def _weighted(parts: dict[str, float], config: RewardConfig) -> float:
    """Correct answers earn every part that they hold; the shaping of wrong ones is what the gate lets through."""
    return sum(weight * parts[name] for name, weight in config.weights.items())


def self_test(worker: RewardWorker, examples: Sequence[Example], share: float = 0.99) -> None:
    """Refuses to train on a reward that lies: gold as its own prediction must be correct, a corrupted or blind one not.

    A gold that passed its check before and is out of time now says something of the machine, not of the reward.
    """
    gold = [worker.judge(example, example.gold_sql) for example in examples]
    failed = [(e, j) for e, j in zip(examples, gold, strict=True) if not j.parts["correct"] and j.verdict != "timeout"]
    if len(failed) > (1 - share) * len(examples):
        example, judged = failed[0]
        raise UserError(
            f"reward self-test: gold must be judged correct against itself, but {len(failed)} of {len(examples)} are "
            f"not; the first is {example.id} on {example.database}: {judged.verdict} {judged.error}. Check the data."
        )
    for example in examples:
        corrupted = [example.gold_sql + " +", "SELECT 1", "-- " + example.gold_sql.replace("\n", " ")]
        for sql in corrupted + worker.blind_queries(example):
            if worker.judge(example, sql).parts["correct"]:
                raise UserError(f"reward self-test: {sql!r} must earn nothing for {example.id}, but is 'correct'")
