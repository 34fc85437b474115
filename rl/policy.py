"""One policy on its actors: the learners change it, the engines sample from it."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from evaluation.benchmarks import Example
from evaluation.errors import UserError
from graph.answer import extract_sql
from rl.canary import Canary
from rl.config import RolloutConfig
from rl.engines import Awaited, Engines, Seen
from rl.environment import AnswerOnce, Environment, Observation, Place, Resume, played
from rl.learners import Learners
from rl.state import pack_versions, unpack_versions
from rl.types import Episode, Group, Part, Segment
from sft.policy.base import PolicyVersion
from sft.policy.encoder import PromptEncoder
from sft.policy.sampling import Sample, Sampling

log = logging.getLogger(__name__)

ONCE = AnswerOnce()
LOOKS = 8
"""How often an evaluation says how far a call of the engines is."""


class EnginePolicy:
    """The loop's policy."""

    def __init__(
        self,
        engines: Engines,
        learners: Learners,
        encoder: PromptEncoder,
        rollout: RolloutConfig,
        canary: Canary,
        seed: int,
        environment: Environment = ONCE,
        waves: bool = True,
    ) -> None:
        """waves: as `played` has it."""
        self.engines, self.learners, self.encoder, self.rollout = engines, learners, encoder, rollout
        self.canary, self.seed, self.environment = canary, seed, environment
        self.waves = waves
        self._published: dict[int, PolicyVersion] = {}
        self._on_its_way: tuple[int, Awaited, list[Awaited]] | None = None
        self._verified, self._seen_one = 0.0, False

    def sample(self, questions: Sequence[Example], step: int, refill: int, version: int, parts: int) -> Iterator[Part]:
        """B groups of K episodes by the policy after step `version`; replayable from (seed, step, refill)."""
        sampling = self._sampling(self.rollout.samples, f"{step}/{refill}" if refill else f"{step}")
        yield from self._sample(questions, sampling, version, parts, alone=True)

    def more(self, questions: Sequence[Example], samples: int, what: str, version: int) -> Iterator[Part]:
        """So many answers more to each, in one part; replayable from (seed, what)."""
        yield from self._sample(questions, self._sampling(samples, what), version, 1, alone=True)

    def sample_with(
        self,
        examples: Sequence[Example],
        sampling: Sampling,
        version: int | None,
        seen: Seen = lambda answers: None,
    ) -> list[Group]:
        """The episodes of each question with other settings; version None is the base without adapter.

        `seen` hears how many answers are there.
        """
        found: dict[str, Group] = {}
        resume = self._resume(version, lambda part, turn: _again(sampling, turn))
        sampled = self._sample(examples, sampling, version, LOOKS)
        for part in played(sampled, self.environment, resume, self.waves):
            found |= {group.example.id: group for group in part.groups}
            seen(len(found) * sampling.n)
        return [found[example.id] for example in examples]

    def resume(self, step: int, refill: int, version: int) -> Resume:
        """How episodes of this step go on: each reads what it was answered, and the same policy answers once more. An
        episode whose context would not hold another answer is over."""

        def sampling(part: Part, turn: int) -> Sampling:
            return self._sampling(1, f"{step}/{refill}/{turn}/{part.groups[0].example.id}")

        return self._resume(version, sampling)

    def _resume(self, version: int | None, sampling_of: Callable[[Part, int], Sampling]) -> Resume:
        def go_on(part: Part, seen: Mapping[Place, Observation], turn: int) -> tuple[Part, set[Place]]:
            # those of a question apart: when the later ones begin, the cache of prefixes holds its prompt
            order = sorted(seen, key=lambda place: (place.sample, place.group))
            read = {place: self.encoder.reply_ids(seen[place].text) for place in order}
            episodes = {place: part.groups[place.group].episodes[place.sample] for place in read}
            prompts = {place: [*episodes[place].ids, *ids] for place, ids in read.items()}
            places = [place for place, prompt in prompts.items() if self.encoder.fits(prompt)]
            if not places:
                return part, set()
            databases = [part.groups[place.group].example.database for place in places]
            asked = [prompts[place] for place in places], databases, sampling_of(part, turn), version
            for found, seconds in self.engines.sample(*asked, parts=1, alone=True):
                for i, (one,) in found:
                    written = Segment(one.token_ids, one.log_probs)
                    before = episodes[places[i]]
                    gone_on = before.then(Segment(read[places[i]], None), written)
                    sqls = (*before.before, before.sql)
                    gone_on = replace(gone_on, finish_reason=one.finish_reason, sql=self._sql(one), before=sqls)
                    episodes[places[i]] = gone_on
                part = part.after("generate", seconds, _with(part.groups, episodes))
            return part, set(places)

        return go_on

    def _sampling(self, samples: int, what: str) -> Sampling:
        seed = int.from_bytes(hashlib.sha256(f"{self.seed}/{what}".encode()).digest()[:4], "big") >> 1
        return Sampling(samples, self.rollout.temperature, self.rollout.max_tokens, seed=seed)

    def _sample(
        self, examples: Sequence[Example], sampling: Sampling, version: int | None, parts: int, alone: bool = False
    ) -> Iterator[Part]:
        prompts = [self.encoder.encode(example) for example in examples]
        databases = [example.database for example in examples]
        for found, seconds in self.engines.sample(prompts, databases, sampling, version, parts, alone):
            groups = [
                Group(examples[i], [self._episode(k, prompts[i], one, version) for k, one in enumerate(samples)])
                for i, samples in found
            ]
            yield Part(groups, {"generate": seconds})

    def _episode(self, k: int, prompt: list[int], one: Sample, version: int | None) -> Episode:
        policy_step = -1 if version is None else version
        sql = self._sql(one)
        return Episode.single(k, prompt, one.token_ids, one.log_probs, one.finish_reason, policy_step, sql)

    def _sql(self, one: Sample) -> str:
        return extract_sql(self.encoder.tokenizer.decode(one.token_ids, skip_special_tokens=True))

    def learn(self, groups: Sequence[Group], step: int) -> None:
        self.learners.add(groups, step)

    def update(self, step: int) -> dict[str, float]:
        """The step's update, after `verify`; canary: of the policy before it."""
        canary = self.verify()
        restarts = {"engine_restarts": float(self.engines.restarts), "learner_restarts": float(self.learners.restarts)}
        return self.learners.finish(step) | restarts | {"canary": canary}

    def publish(self, step: int) -> dict[str, float]:
        """Adapter bytes from learner to engines. The canary is on its way when it returns; `verify` waits for it."""
        began = time.perf_counter()
        version = self._published[step] = self.learners.publish(step)
        for old in list(self._published)[: -self.rollout.staleness - 1]:
            del self._published[old]
        theirs = self.learners.score(*self.canary.shown)
        self.engines.load(version)
        served = time.perf_counter() - began
        self._on_its_way = (step, theirs, self.engines.score(*self.canary.shown, step))
        seconds = time.perf_counter() - began
        return {"adapter_bytes": float(len(version.adapter)), "served_ms": 1e3 * served, "publish_seconds": seconds}

    def state(self) -> dict[str, bytes]:
        """What a resumed run needs after the newest published step, as files by name: the learner's state, and the
        policies, as many as rollout.staleness, that have sampled or will sample the batches that wait."""
        return self.learners.state() | pack_versions(list(self._published.values())[:-1])

    def restore(self, step: int, files: Mapping[str, bytes]) -> None:
        """Goes on from the `state` after `step`; then `publish(step)`."""
        self.learners.restore({name: content for name, content in files.items() if "/" not in name})
        versions = unpack_versions(files)
        expected = list(range(max(0, step - self.rollout.staleness), step))
        if [version.step for version in versions] != expected:
            raise UserError(
                f"the checkpoint after step {step} must hold the policies {expected} that the waiting batches are "
                f"sampled by (rollout.staleness = {self.rollout.staleness}), and holds "
                f"{[version.step for version in versions]}: an earlier version of this program has written it. Start "
                "anew with run.overwrite=true or another run.name"
            )
        for version in versions:
            self._published[version.step] = version
            self.engines.load(version)

    def verify(self) -> float:
        """Mean |Δ log-prob| of engine and learner on the canary of the newest policy; of the engine that differs most.

        Raises AdapterNotLive before anything is learned from samples of a policy that is not what it should be.
        """
        if self._on_its_way is None:
            return self._verified
        step, theirs, ours = self._on_its_way
        self._on_its_way = None
        self._verified, beyond = self.canary.check(step, theirs, ours)
        if not self._seen_one:
            self._seen_one = True
            log.info("canary of policy %d: mean |Δ log-prob| %.4f, beyond rounding %.4f", step, self._verified, beyond)
        return self._verified


def _again(sampling: Sampling, turn: int) -> Sampling:
    """For one more answer of each of its episodes."""
    return replace(sampling, n=1, seed=sampling.seed + turn)


def _with(groups: Sequence[Group], episodes: Mapping[Place, Episode]) -> list[Group]:
    """The groups with these episodes in place of those that they were."""
    return [
        replace(group, episodes=[episodes.get(Place(g, k), one) for k, one in enumerate(group.episodes)])
        for g, group in enumerate(groups)
    ]
