"""An answer that fails, or returns no row, goes back to the policy with what came of it: `RunAndRepair`, in use.

    answer → run → error or nothing → the policy reads it and answers again, up to so many times → the last that runs

Where none runs, the first answer stays. A revision shows the answers of the two largest groups of a vote with their
rows, and takes what is then written where it runs (after corrective self-consistency, Sheng and Xu 2025, arXiv
2505.13271).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from evaluation.benchmarks import Example
from evaluation.databases.sandbox import Execution, Request
from graph.answer import extract_sql
from graph.linearize import plain
from rl.environment import Observation, Place, play
from rl.observation import observed
from rl.policies import Policy
from rl.reward import Answer, Judged
from rl.run_and_repair import AgentConfig, RunAndRepair
from rl.types import Episode, Group, Part, Segment
from sft.policy.sampling import Sample

Answerer = Callable[[Sequence[list[int]], Sequence[int]], list[Sample]]
"""(prompts, the place of each one's question among those asked) → the greedy answer to each prompt."""
TWO = "1. {}\n{}\n\n2. {}\n{}\n\nWrite the query that answers the question: one of these, or a better one."
Execute = Callable[[Sequence[Request]], list[Execution]]


@dataclass(frozen=True)
class Asked:
    """A question, the ids of its prompt, and the answer that may need repair."""

    example: Example
    prompt: list[int]
    answer: Sample


class Repairer:
    """turns: most further answers; answer: the engine, under the grammar of the question where one is asked for."""

    def __init__(self, policy: Policy, answer: Answerer, execute: Execute, turns: int) -> None:
        agent = AgentConfig(turns=turns + 1, show="failures")
        self._policy, self._answer, self._execute = policy, answer, execute
        self._rows, self._characters = agent.rows, agent.characters
        self._environment = RunAndRepair(agent, self._judged)

    def repair(self, asked: Sequence[Asked]) -> list[Sample]:
        """The answers to stand by, in order."""
        groups = [Group(one.example, [self._episode(one)]) for one in asked]
        part = play(Part(groups, {}), self._environment, self._resume)
        return [self._stood_by(one, group.episodes[0]) for one, group in zip(asked, part.groups, strict=True)]

    def revise(self, asked: Sequence[Asked], others: Sequence[str]) -> list[Sample]:
        """What is answered on sight of each answer and of another query for the same question; the answer where that
        does not run, or there is no other or no room."""
        texts = [TWO.format(*self._both(one, sql)) if sql else "" for one, sql in zip(asked, others, strict=True)]
        read = self._policy.encoder.reply_ids
        prompts = {
            place: [*one.prompt, *one.answer.token_ids, *read(text)]
            for place, (one, text) in enumerate(zip(asked, texts, strict=True))
            if text
        }
        places = [place for place, prompt in prompts.items() if self._policy.encoder.fits(prompt)]
        written = dict(zip(places, self._answer([prompts[place] for place in places], places), strict=True))
        wanted = [(asked[place].example.database, self._sql(one)) for place, one in written.items()]
        runs = dict(zip(places, self._execute(wanted), strict=True))
        return [
            written[place] if place in runs and runs[place].status == "ok" else one.answer
            for place, one in enumerate(asked)
        ]

    def _both(self, one: Asked, other: str) -> list[str]:
        queries = [self._sql(one.answer), other]
        runs = self._execute([(one.example.database, sql) for sql in queries])
        return [text for sql, run in zip(queries, runs, strict=True) for text in (plain(sql), self._shown(run).shown)]

    def _episode(self, one: Asked) -> Episode:
        ids, sql = one.answer.token_ids, self._sql(one.answer)
        return Episode.single(0, one.prompt, ids, one.answer.log_probs, one.answer.finish_reason, -1, sql)

    def _stood_by(self, one: Asked, episode: Episode) -> Sample:
        written = [segment for segment in episode.segments if segment.log_probs is not None]
        queries = [*episode.before, episode.sql]
        runs = self._execute([(one.example.database, sql) for sql in queries]) if len(queries) > 1 else []
        kept = max((turn for turn, run in enumerate(runs) if run.status == "ok" and queries[turn]), default=0)
        if kept == 0:
            return one.answer
        reason = episode.finish_reason if kept == len(queries) - 1 else "stop"
        return Sample(list(written[kept].ids), list(written[kept].log_probs or ()), reason)

    def _judged(self, examples: Sequence[Example], answers: Sequence[Sequence[Answer]]) -> list[list[Judged]]:
        """What each answer is shown; nothing here knows what is right."""
        sqls = [answer.sql for (answer,) in answers]
        wanted = [(example.database, sql) for example, sql in zip(examples, sqls, strict=True)]
        runs = iter(self._execute([request for request in wanted if request[1]]))
        return [[self._shown(next(runs) if sql else None)] for sql in sqls]

    def _shown(self, execution: Execution | None) -> Judged:
        text = observed(execution, self._rows, self._characters)
        return Judged("", {}, len(execution.rows) if execution else 0, shown=text)

    def _resume(self, part: Part, seen: Mapping[Place, Observation], turn: int) -> tuple[Part, set[Place]]:
        encoder = self._policy.encoder
        read = {place: encoder.reply_ids(observation.text) for place, observation in sorted(seen.items())}
        prompts = {place: [*part.groups[place.group].episodes[0].ids, *ids] for place, ids in read.items()}
        places = [place for place, prompt in prompts.items() if encoder.fits(prompt)]
        found = self._answer([prompts[place] for place in places], [place.group for place in places])
        groups = list(part.groups)
        for place, one in zip(places, found, strict=True):
            before = groups[place.group].episodes[0]
            after = before.then(Segment(read[place], None), Segment(one.token_ids, one.log_probs))
            sqls = (*before.before, before.sql)
            after = replace(after, finish_reason=one.finish_reason, sql=self._sql(one), before=sqls)
            groups[place.group] = replace(groups[place.group], episodes=[after])
        return replace(part, groups=groups), set(places)

    def _sql(self, one: Sample) -> str:
        return extract_sql(self._policy.text(one))
