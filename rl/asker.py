"""A question about a database in; the query and its rows out. The one way of asking: the terminal, the API, the page
and `rl.predict` go through it, so that what is served is what was evaluated.

    question, database → prompt (sft.policy.encoder) → candidates (the engine) → rows (the sandbox) → select → Answer
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from evaluation.benchmarks import Example
from evaluation.databases.sandbox import Execution, Limits, Request
from evaluation.errors import UserError
from evaluation.row_text import whole
from graph.answer import extract_sql
from graph.introspect import schema_from_sqlite
from graph.values import sample_values
from graph.writer import PromptStyle, PromptWriter
from rl.policies import Policies, Policy
from sft.policy.sampling import Sample, Sampling

SHOWN = Limits(deadline_s=5.0, max_rows=1000, max_bytes=4 * 2**20, cut=True)
"""What a person is shown of a result: its first rows, and whether there are more."""
LONGEST_QUESTION = 4_000  # characters


class Sampler(Protocol):
    """`Generator.sample`, of the engine itself or of one that many threads share."""

    def sample(self, prompts: Sequence[list[int]], sampling: Sampling, step: int | None) -> list[list[Sample]]: ...


Execute = Callable[[Sequence[Request]], list[Execution]]


@dataclass(frozen=True)
class Candidate:
    """One answer of the model. text: as it was written; sql: what is taken from it, "" where it holds none; log_prob:
    of all its tokens; execution: None while it has not run."""

    text: str
    sql: str
    log_prob: float
    tokens: int
    finish_reason: str
    execution: Execution | None = None


Select = Callable[[Sequence[Candidate]], int]
"""Which of the candidates, all of them executed, is the answer. The first one is greedy."""


def greedy(candidates: Sequence[Candidate]) -> int:
    return 0


@dataclass(frozen=True)
class Answer:
    """candidates: the greedy one first; chosen: the place of the one selected; prompt_tokens: what was asked with."""

    question: str
    policy: str
    candidates: tuple[Candidate, ...]
    chosen: int
    prompt_tokens: int
    seconds: float

    @property
    def sql(self) -> str:
        return self.candidates[self.chosen].sql

    @property
    def execution(self) -> Execution:
        found = self.candidates[self.chosen].execution
        assert found is not None, "an answer has run"
        return found


def candidates(policy: Policy, samples: Iterable[Sample]) -> tuple[Candidate, ...]:
    """What an engine sampled, as queries that have not run."""
    return tuple(_candidate(policy.text(sample), sample) for sample in samples)


def _candidate(text: str, sample: Sample) -> Candidate:
    return Candidate(text, extract_sql(text), sum(sample.log_probs), len(sample.token_ids), sample.finish_reason)


def _no_sql(text: str) -> Execution:
    return Execution("error", error=f"the model's answer holds no SQL: {text[:200]!r}")


class Asker:
    """Answers questions about any database, as any of the policies. Safe for several threads where its parts are.

    samples: candidates beside the greedy one, drawn at `temperature`; execute: `Sandbox.execute`, or that of several.
    """

    def __init__(
        self,
        policies: Policies,
        execute: Execute,
        sampler: Sampler | None = None,
        select: Select = greedy,
        max_tokens: int = 256,
        samples: int = 0,
        temperature: float = 1.0,
    ) -> None:
        self.policies, self.execute, self.select = policies, execute, select
        self.sampler: Sampler = sampler or policies.generator
        self.max_tokens, self.samples, self.temperature = max_tokens, samples, temperature
        self._writers: dict[str, PromptWriter] = {}
        self._encoding = Lock()  # a tokenizer that pads or cuts is one thread's at a time

    def ask(self, question: str, database: str, evidence: str = "", policy: str = "") -> Answer:
        """UserError for a question that is empty or too long; what its query does is part of the answer."""
        began, asked = time.perf_counter(), self.policies.named(policy)
        prompt = self.prompt(question, database, evidence, asked)
        found = self.executed(database, candidates(asked, self._sample(prompt, asked)))
        chosen = self.select(found)
        return Answer(question, asked.name, found, chosen, len(prompt), time.perf_counter() - began)

    def prompt(self, question: str, database: str, evidence: str, policy: Policy) -> list[int]:
        """The ids of the prompt. UserError when it leaves no room for an answer."""
        if not question.strip():
            raise UserError("the question must not be empty")
        if max(len(question), len(evidence)) > LONGEST_QUESTION:
            raise UserError(f"a question must have at most {LONGEST_QUESTION} characters, got {len(question)}")
        with self._encoding:
            ids = policy.prompt(Example("", "", whole(question), whole(evidence), "", database, ""))
        if not policy.encoder.fits(ids):
            most = policy.encoder.max_prompt_tokens
            raise UserError(
                f"schema and question must have at most {most} tokens, and have {len(ids)}, so that an "
                "answer has room: raise --max-length, set --prompt-budget, or ask a shorter question"
            )
        return ids

    def executed(self, database: str, found: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """The candidates with what their queries do; equal queries run once."""
        runs = iter(self.execute([(database, one.sql) for one in found if one.sql]))
        return tuple(replace(one, execution=next(runs) if one.sql else _no_sql(one.text)) for one in found)

    def run(self, database: str, sql: str) -> Execution:
        """A query that a person wrote, under the same limits."""
        return self.execute([(database, sql)])[0]

    def writer(self, database: str) -> PromptWriter:
        """What links questions to this database: its schema, its graph and a sample of its cells. SchemaError."""
        if database not in self._writers:
            schema = schema_from_sqlite(Path(database))
            style = PromptStyle.parse("compact+graph")
            self._writers[database] = PromptWriter(schema, style, sample_values(Path(database), schema))
        return self._writers[database]

    def linked(self, question: str, database: str, evidence: str = "") -> dict[str, Any]:
        """{"tables", "columns": [[table, column]], "sure": the tables that the question names}."""
        found = self.writer(database).linker.link(question, evidence)
        if not found.matched:
            return {"tables": [], "columns": [], "sure": []}
        return {"tables": list(found.tables), "columns": [list(end) for end in found.columns], "sure": list(found.sure)}

    def _sample(self, prompt: list[int], policy: Policy) -> list[Sample]:
        (found,) = self.sampler.sample([prompt], Sampling(1, 0.0, self.max_tokens), policy.step)
        if self.samples:
            drawn = Sampling(self.samples, self.temperature, self.max_tokens)
            found = found + self.sampler.sample([prompt], drawn, policy.step)[0]
        return found
