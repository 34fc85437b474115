"""A question about a database in; the query and its rows out. The one way of asking: the terminal, the API, the page
and `rl.predict` go through it, so that what is served is what was evaluated.

    question, turns before it, database → prompt (sft.policy.encoder) → candidates (the engine) → selection → Answer
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from evaluation.benchmarks import Example
from evaluation.benchmarks.layout import Turn
from evaluation.databases.sandbox import Execution, Limits
from evaluation.errors import UserError
from evaluation.row_text import whole
from graph.answer import extract_sql
from graph.introspect import schema_from_sqlite
from graph.values import sample_values
from graph.writer import PromptStyle, PromptWriter
from rl.policies import Policies, Policy
from rl.repair import Asked, Execute, Repairer
from rl.selection import GREEDY, NO_SQL, Selection, Selector
from sft.policy.sampling import Sample, Sampling, prompt_number

SHOWN = Limits(deadline_s=5.0, max_rows=1000, max_bytes=4 * 2**20, cut=True)
"""What a person is shown of a result: its first rows, and whether there are more."""
LONGEST_QUESTION = 4_000  # characters
MOST_TURNS = 10  # of a dialogue that a prompt may hold


class Sampler(Protocol):
    """`Generator.sample`, of the engine itself or of one that many threads share."""

    def sample(
        self,
        prompts: Sequence[list[int]],
        sampling: Sampling,
        step: int | None,
        numbers: Sequence[int] | None = None,
        grammars: Sequence[str] | None = None,
    ) -> list[list[Sample]]: ...


@dataclass(frozen=True)
class Candidate:
    """One answer of the model. text: as it was written; sql: what is taken from it, "" where it holds none; log_prob:
    of all its tokens; execution: what it does under the limits of evaluation, None while it has not run."""

    text: str
    sql: str
    log_prob: float
    tokens: int
    finish_reason: str
    execution: Execution | None = None


@dataclass(frozen=True)
class Answer:
    """candidates: the greedy one first; place: of the one selected; sql: its query, "" where the model gave none or the
    confidence was too small; confidence: None where nothing was voted on; prompt_tokens: what was asked with."""

    question: str
    policy: str
    candidates: tuple[Candidate, ...]
    place: int
    sql: str
    confidence: float | None
    execution: Execution
    prompt_tokens: int
    seconds: float
    history: tuple[Turn, ...] = ()


def candidates(policy: Policy, samples: Iterable[Sample]) -> tuple[Candidate, ...]:
    """What an engine sampled, as queries that have not run."""
    return tuple(_candidate(policy.text(sample), sample) for sample in samples)


def _about(database: str) -> Example:
    return Example("", "", "", "", "", database, "")


def _candidate(text: str, sample: Sample) -> Candidate:
    return Candidate(text, extract_sql(text), sum(sample.log_probs), len(sample.token_ids), sample.finish_reason)


class Asker:
    """Answers questions about any database, as any of the policies. Safe for several threads where its parts are.

    execute: `Sandbox.execute`, or that of several, under the limits of what is shown; selector: runs candidates.
    """

    def __init__(
        self,
        policies: Policies,
        execute: Execute,
        selector: Selector,
        selection: Selection = GREEDY,
        sampler: Sampler | None = None,
        max_tokens: int = 256,
    ) -> None:
        self.policies, self.execute, self.selector, self.selection = policies, execute, selector, selection
        self.sampler: Sampler = sampler or policies.generator
        self.max_tokens = max_tokens
        self._writers: dict[str, PromptWriter] = {}
        self._encoding = Lock()  # a tokenizer that pads or cuts is one thread's at a time

    def ask(
        self,
        question: str,
        database: str,
        evidence: str = "",
        policy: str = "",
        history: Sequence[Turn] = (),
        selection: Selection | None = None,
    ) -> Answer:
        """UserError for a question that is empty or too long; what its query does is part of the answer."""
        began, asked, how = time.perf_counter(), self.policies.named(policy), selection or self.selection
        prompt, history = self.prompt(question, database, evidence, asked, history)
        found, place, confidence = self.chosen(prompt, database, asked, how)
        sql, execution = self._result(database, found[place], how.why_not(confidence))
        seconds = time.perf_counter() - began
        return Answer(question, asked.name, found, place, sql, confidence, execution, len(prompt), seconds, history)

    def chosen(
        self, prompt: list[int], database: str, policy: Policy, how: Selection
    ) -> tuple[tuple[Candidate, ...], int, float | None]:
        """All candidates, the place of the one selected, and its confidence, None where nothing was voted on."""
        grammars = self.policies.grammars([database])
        samples = self._samples(prompt, policy, how, grammars)
        found, place, confidence, second = candidates(policy, samples), 0, None, ""
        if len(found) > 1:
            choice, executions = self.selector.choose(database, found, how.select)
            found = tuple(replace(one, execution=ran) for one, ran in zip(found, executions, strict=True))
            place, confidence = choice.place, None if how.select == "greedy" else choice.confidence
            second = found[choice.second].sql if how.revise and choice.second >= 0 else ""
        if how.repairs or second:
            repaired = self._repaired(Asked(_about(database), prompt, samples[place]), second, policy, how, grammars)
            if repaired is not samples[place]:
                found, place = (*found, *candidates(policy, [repaired])), len(found)
        return found, place, confidence

    def _repaired(
        self, asked: Asked, second: str, policy: Policy, how: Selection, grammars: list[str] | None
    ) -> Sample:
        """The answer, after a revision beside the second best one, where there is one, and after repairs."""

        def answer(prompts: Sequence[list[int]], numbers: Sequence[int]) -> list[Sample]:
            greedy = Sampling(1, 0.0, self.max_tokens)
            found = [self.sampler.sample([prompt], greedy, policy.step, None, grammars) for prompt in prompts]
            return [one for ((one,),) in found]

        repairer = Repairer(policy, answer, self.execute, how.repairs)
        asked = replace(asked, answer=repairer.revise([asked], [second])[0])
        return repairer.repair([asked])[0] if how.repairs else asked.answer

    def prompt(
        self, question: str, database: str, evidence: str, policy: Policy, history: Sequence[Turn] = ()
    ) -> tuple[list[int], tuple[Turn, ...]]:
        """The ids of the prompt, and the earlier turns in it: the last ones that have room. UserError when the question
        alone leaves none for an answer."""
        if not question.strip():
            raise UserError("the question must not be empty")
        longest = max(map(len, (question, evidence, *(text for turn in history for text in (turn.question, turn.sql)))))
        if longest > LONGEST_QUESTION:
            raise UserError(f"a question must have at most {LONGEST_QUESTION} characters, got {longest}")
        asked = Example("", "", whole(question), whole(evidence), "", database, "")
        for first in range(max(0, len(history) - MOST_TURNS), len(history) + 1):
            turns = tuple(Turn(whole(turn.question), whole(turn.sql)) for turn in history[first:])
            with self._encoding:
                ids = policy.prompt(replace(asked, history=turns))
            if policy.encoder.fits(ids):
                return ids, turns
        most = policy.encoder.max_prompt_tokens
        raise UserError(
            f"schema and question must have at most {most} tokens, and have {len(ids)}, so that an "
            "answer has room: raise --max-length, set --prompt-budget, or ask a shorter question"
        )

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

    def linked(self, answer: Answer, database: str, evidence: str = "") -> dict[str, Any]:
        """{"tables", "columns": [[table, column]], "sure": the tables that the question names}."""
        asked = " ".join([*(turn.question for turn in answer.history), answer.question])
        found = self.writer(database).linker.link(asked, evidence)
        if not found.matched:
            return {"tables": [], "columns": [], "sure": []}
        return {"tables": list(found.tables), "columns": [list(end) for end in found.columns], "sure": list(found.sure)}

    def _samples(
        self, prompt: list[int], policy: Policy, selection: Selection, grammars: list[str] | None
    ) -> list[Sample]:
        """The greedy answer, then those that are drawn; the same ones whoever asks, and whatever else is asked."""
        (found,) = self.sampler.sample([prompt], Sampling(1, 0.0, self.max_tokens), policy.step, None, grammars)
        for drawn in selection.drawn(self.max_tokens):
            found = found + self.sampler.sample([prompt], drawn, policy.step, [prompt_number(prompt)], grammars)[0]
        return found

    def _result(self, database: str, chosen: Candidate, why_not: str) -> tuple[str, Execution]:
        if why_not:
            return "", Execution("error", error=why_not)
        if not chosen.sql:
            return "", replace(NO_SQL, error=f"{NO_SQL.error}: {chosen.text[:200]!r}")
        return chosen.sql, self.run(database, chosen.sql)
