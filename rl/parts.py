"""The parts of the loop on their actors: questions, policy (engine + learner) and rewards."""

from __future__ import annotations

import hashlib
import logging
import math
import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.pool import Pool
from evaluation.benchmarks import Example
from evaluation.errors import UserError
from graph.answer import extract_sql
from rl.config import RolloutConfig
from rl.engines import Awaited, Engines, Seen
from rl.learners import Learners
from rl.loop import Rollouts, Seconds
from rl.reward import Answer, Judged, RewardConfig, RewardWorker, group_rewards, overlong
from rl.state import pack_versions, unpack_versions
from rl.types import Group, Reward, Rollout
from sft.policy.base import PolicyVersion
from sft.policy.encoder import PromptEncoder
from sft.policy.sampling import Sample, Sampling

log = logging.getLogger(__name__)

LOOKS = 8
"""How often an evaluation says how far a call of the engines is."""
MAX_BATCH = 64
"""Questions that one reward actor judges in one call."""


class AdapterNotLive(RuntimeError):
    """After a publish the engine's log-probabilities are not the learner's: the run must not go on."""


@dataclass(frozen=True)
class ShuffledQuestions:
    """Endless passes over the questions, each in its own order. A draw depends on (seed, step, refill) alone.

    dropped: ids that are passed over. Orders are of all questions, so that one more or less does not shuffle the rest.
    """

    examples: Sequence[Example]
    batch: int
    seed: int
    dropped: frozenset[str] = frozenset()

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
        order = list(self.examples)
        random.Random(f"{self.seed}/{name}").shuffle(order)
        return [example for example in order if example.id not in self.dropped]


@dataclass(frozen=True)
class Canary:
    """Fixed prompts and answers whose log-probabilities learner and engine must agree on after each publish."""

    prompts: Sequence[Sequence[int]]
    completions: Sequence[Sequence[int]]


def mismatch(served: Sequence[float], expected: Sequence[float], bf16: bool) -> float:
    """Mean |Δ log-prob|, nats per token. bf16: of each token only what exceeds the distance of neighbouring bfloat16
    numbers of that size, which learner and engine may round apart: 1/8 at −20, 1/2048 at −0.1.

    >>> mismatch([-20.125, -0.5], [-20.0, -0.5], bf16=True), mismatch([-20.125, -0.5], [-20.0, -0.5], bf16=False)
    (0.0, 0.0625)
    """

    def beyond(a: float, b: float) -> float:
        difference, rounding = abs(a - b), _spacing(min(abs(a), abs(b))) if bf16 else 0.0
        return 0.0 if difference <= rounding else difference - rounding

    return statistics.fmean(beyond(a, b) for a, b in zip(served, expected, strict=True))


def _spacing(size: float) -> float:
    """Between neighbouring bfloat16 numbers, which have eight significant bits."""
    return math.ldexp(1.0, math.frexp(size)[1] - 8) if 0 < size < math.inf else 0.0


class EnginePolicy:
    """One policy on its actors: the learners change it, the engines sample from it."""

    def __init__(
        self,
        engines: Engines,
        learners: Learners,
        encoder: PromptEncoder,
        rollout: RolloutConfig,
        mismatch_limit: float,
        canary: Canary,
        seed: int,
        bf16: bool = False,
    ) -> None:
        """mismatch_limit: largest mean |Δ log-prob| of engine and learner on the canary, nats per token; bf16: whether
        both compute in bfloat16, whose rounding is not counted."""
        self.bf16 = bf16
        self.engines, self.learners, self.encoder, self.rollout = engines, learners, encoder, rollout
        self.mismatch_limit, self.canary, self.seed = mismatch_limit, canary, seed
        self._published: dict[int, PolicyVersion] = {}
        self._canary: tuple[int, Awaited, list[Awaited]] | None = None
        self._verified, self._seen_one = 0.0, False

    def sample(
        self, examples: Sequence[Example], step: int, refill: int, version: int, parts: int, seconds: Seconds
    ) -> Iterator[Rollouts]:
        """B × K rollouts by the policy after step `version`, in parts; replayable from (seed, step, refill)."""
        sampling = Sampling(
            n=self.rollout.samples,
            temperature=self.rollout.temperature,
            max_tokens=self.rollout.max_tokens,
            seed=_seed(self.seed, f"{step}/{refill}" if refill else step),
        )
        yield from self._sample(examples, sampling, version, parts, seconds, alone=True)

    def sample_with(
        self,
        examples: Sequence[Example],
        sampling: Sampling,
        version: int | None,
        seen: Seen = lambda answers: None,
    ) -> list[list[Rollout]]:
        """The rollouts of each question with other settings; version None is the base without adapter.

        `seen` hears how many answers are there.
        """
        found: dict[str, list[Rollout]] = {}
        for part in self._sample(examples, sampling, version, LOOKS, {}):
            found |= {example.id: rollouts for example, rollouts in part}
            seen(len(found) * sampling.n)
        return [found[example.id] for example in examples]

    def _sample(
        self,
        examples: Sequence[Example],
        sampling: Sampling,
        version: int | None,
        parts: int,
        seconds: Seconds,
        alone: bool = False,
    ) -> Iterator[Rollouts]:
        prompts = [self.encoder.encode(example) for example in examples]
        databases = [example.database for example in examples]

        def busy(busiest: float) -> None:
            seconds["generate"] = seconds.get("generate", 0.0) + busiest

        for part in self.engines.sample(prompts, databases, sampling, version, parts, busy, alone):
            yield [(examples[i], self._rollouts(examples[i], prompts[i], samples, version)) for i, samples in part]

    def _rollouts(
        self, example: Example, prompt: list[int], samples: Sequence[Sample], version: int | None
    ) -> list[Rollout]:
        return [
            Rollout(
                example_id=example.id,
                sample=k,
                prompt_ids=prompt,
                token_ids=one.token_ids,
                log_probs=one.log_probs,
                finish_reason=one.finish_reason,
                policy_step=-1 if version is None else version,
                sql=extract_sql(self.encoder.tokenizer.decode(one.token_ids, skip_special_tokens=True)),
            )
            for k, one in enumerate(samples)
        ]

    def learn(self, groups: Sequence[Group], step: int) -> None:
        self.learners.add(groups, step)

    def update(self, step: int) -> dict[str, float]:
        """The step's update, after `verify`; canary: of the policy before it."""
        canary = self.verify()
        restarts = {"engine_restarts": float(self.engines.restarts), "learner_restarts": float(self.learners.restarts)}
        return self.learners.finish(step) | restarts | {"canary": canary}

    def publish(self, step: int) -> dict[str, float]:
        """Adapter bytes from learner to engines. The canary is on its way when it returns; `verify` waits for it."""
        began, shown = time.perf_counter(), (self.canary.prompts, self.canary.completions)
        version = self._published[step] = self.learners.publish(step)
        for old in list(self._published)[: -self.rollout.staleness - 1]:
            del self._published[old]
        theirs = self.learners.score(*shown)
        self.engines.load(version)
        served_ms = 1e3 * (time.perf_counter() - began)
        self._canary = (step, theirs, self.engines.score(*shown, step))
        return {"adapter_bytes": float(len(version.adapter)), "served_ms": served_ms}

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
        if self._canary is None:
            return self._verified
        step, theirs, ours = self._canary
        self._canary = None
        expected = [value for scores in theirs() for value in scores]
        served = [[value for scores in one() for value in scores] for one in ours]
        largest, beyond = (
            max((mismatch(one, expected, rounded) for one in served), key=lambda value: (math.isnan(value), value))
            for rounded in (False, self.bf16)
        )
        if not self._seen_one:
            self._seen_one = True
            log.info("canary of policy %d: mean |Δ log-prob| %.4f, beyond rounding %.4f", step, largest, beyond)
        if not beyond <= self.mismatch_limit:
            raise AdapterNotLive(
                f"policy {step} is not live: mean |Δ log-prob| of engine and learner on the canary must be at most "
                f"{self.mismatch_limit} (engine.mismatch_limit) beyond rounding, got {beyond:.4f}. The adapter did not "
                "reach the engine, or the engine serves another base than the learner trains on (model.quantization)."
            )
        self._verified = largest
        return largest


class PooledRewards:
    """Rewards from a pool of actors that execute SQL, a question at a time."""

    def __init__(self, pool: Pool, config: RewardConfig, seed: int, max_tokens: int) -> None:
        self.pool, self.config, self.seed, self.max_tokens = pool, config, seed, max_tokens

    def reward(self, examples: Sequence[Example], rollouts: Sequence[Sequence[Rollout]]) -> list[list[Reward]]:
        """B × K rewards. A question whose judging was lost twice earns 0 throughout: no signal, and counted."""
        judged = self.judge(examples, [[answer_of(r) for r in group] for group in rollouts])
        return [
            group_rewards(
                judged_K,
                self.config,
                [overlong(len(r.token_ids), self.max_tokens, self.config) for r in group],
                f"{self.seed}/{group[0].policy_step}/{example.id}",
            )
            for example, group, judged_K in zip(examples, rollouts, judged, strict=True)
        ]

    def judge(self, examples: Sequence[Example], answers: Sequence[Sequence[Answer]]) -> list[list[Judged]]:
        """Verdicts of the answers to each question, in order."""
        items = list(zip(examples, answers, strict=True))
        batch_size = min(MAX_BATCH, max(1, len(items) // (2 * self.pool.size)))
        longest = batch_size * max((len(a) for a in answers), default=0)  # every answer may burn its deadline
        results = self.pool.map(items, batch_size, timeout_s=30 + 3 * self.config.deadline_s * longest)
        lost = Judged("lost", dict.fromkeys(self.config.parts, 0.0))
        return [
            result if result is not None else [lost] * len(answers_K)
            for result, answers_K in zip(results, answers, strict=True)
        ]


def reward_pool(config: RewardConfig, quarantine: Path, worker: type[RewardWorker] = RewardWorker) -> Pool:
    """The reward actors. A question whose judging costs two of them comes back as None; its answers go on file and are
    never run again."""
    return Pool(
        worker,
        config.deadline_s,
        config.parts,
        config.columns,
        method="judge_groups",
        size=config.workers,
        name="reward",
        lost=None,
        quarantine=quarantine,
        key=_key,
    )


def _key(item: tuple[Example, Sequence[Answer]]) -> str:
    """The question and a digest of its answers, the same in every run."""
    example, answers = item
    digest = hashlib.sha256("\0".join(answer.sql for answer in answers).encode("utf-8", "surrogatepass"))
    return f"{example.id} {digest.hexdigest()[:16]}"


def answer_of(rollout: Rollout) -> Answer:
    return Answer(rollout.sql, rollout.finish_reason == "stop")


def _seed(seed: int, step: int | str) -> int:
    """A 31-bit seed for the samples of a step."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{step}".encode()).digest()[:4], "big") >> 1
