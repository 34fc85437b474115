"""The parts of the loop on their actors: questions, policy (engine + learner) and rewards."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cluster.actor import Handle
from cluster.pool import Pool
from evaluation.benchmarks import Example
from graph.prompt import extract_sql
from rl.config import EngineConfig, RolloutConfig
from rl.reward import PARTS, Answer, Judged, RewardConfig, RewardWorker, group_rewards
from rl.types import Group, Reward, Rollout
from sft.config import ModelConfig
from sft.examples import PromptEncoder
from sft.generator import Generator, GeneratorConfig, Sampling
from sft.policy import PolicyVersion, served_base

MAX_BATCH = 64
"""Questions that one reward actor judges in one call."""


class AdapterNotLive(RuntimeError):
    """After a publish the engine's log-probabilities are not the learner's: the run must not go on."""


class ServedGenerator(Generator):
    """A `Generator` of the base that the learner trains on, de-quantised where this actor runs."""

    def __init__(self, model: ModelConfig, engine: EngineConfig, lora_rank: int, seed: int) -> None:
        config = GeneratorConfig(
            model=str(served_base(model)),
            dtype=model.dtype,
            max_model_len=model.max_length,
            max_lora_rank=lora_rank,
            kv_cache_gib=engine.kv_cache_gib,
            max_num_seqs=engine.max_num_seqs,
            seed=seed,
        )
        super().__init__(config)


@dataclass(frozen=True)
class ShuffledQuestions:
    """Endless passes over the questions, each in its own order. A draw depends on (seed, step, refill) alone."""

    examples: Sequence[Example]
    batch: int
    seed: int

    def draw(self, step: int, refill: int = 0) -> list[Example]:
        """The questions of step 1, 2, …; a batch may span two passes. A refill is drawn from all of them."""
        if refill:
            rng = random.Random(f"{self.seed}/{step}/{refill}")
            return rng.sample(self.examples, min(self.batch, len(self.examples)))
        first = (step - 1) * self.batch
        return [self._at(first + i) for i in range(self.batch)]

    def _at(self, position: int) -> Example:
        epoch, index = divmod(position, len(self.examples))
        return self.examples[_order(len(self.examples), self.seed, epoch)[index]]


def _order(n: int, seed: int, epoch: int) -> list[int]:
    if (n, seed, epoch) not in _ORDERS:
        _ORDERS.clear()
        order = list(range(n))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        _ORDERS[n, seed, epoch] = order
    return _ORDERS[n, seed, epoch]


_ORDERS: dict[tuple[int, int, int], list[int]] = {}


@dataclass(frozen=True)
class Canary:
    """Fixed prompts and answers whose log-probabilities learner and engine must agree on after each publish."""

    prompts: Sequence[Sequence[int]]
    completions: Sequence[Sequence[int]]


class EnginePolicy:
    """One policy on two actors: the learner changes it, the engine samples from it."""

    def __init__(
        self,
        engine: Handle,
        learner: Handle,
        encoder: PromptEncoder,
        rollout: RolloutConfig,
        limits: EngineConfig,
        canary: Canary,
        seed: int,
    ) -> None:
        self.engine, self.learner, self.encoder = engine, learner, encoder
        self.rollout, self.limits, self.canary, self.seed = rollout, limits, canary, seed

    def sample(self, examples: Sequence[Example], step: int, refill: int = 0) -> list[list[Rollout]]:
        """B × K rollouts by the policy after step − 1; replayable from (seed, step, refill)."""
        sampling = Sampling(
            n=self.rollout.samples,
            temperature=self.rollout.temperature,
            max_tokens=self.rollout.max_tokens,
            seed=_seed(self.seed, f"{step}/{refill}" if refill else step),
        )
        return self.sample_with(examples, sampling, step - 1)

    def sample_with(
        self, examples: Sequence[Example], sampling: Sampling, policy_step: int | None
    ) -> list[list[Rollout]]:
        """As `sample`, with other settings; policy_step None is the base without adapter."""
        prompts = [self.encoder.encode(example) for example in examples]
        sampled = self._wait(self.engine, "sample", prompts, sampling, policy_step)
        return [
            [
                Rollout(
                    example_id=example.id,
                    sample=k,
                    prompt_ids=prompt,
                    token_ids=one.token_ids,
                    log_probs=one.log_probs,
                    finish_reason=one.finish_reason,
                    policy_step=-1 if policy_step is None else policy_step,
                    sql=extract_sql(self.encoder.tokenizer.decode(one.token_ids, skip_special_tokens=True)),
                )
                for k, one in enumerate(samples)
            ]
            for example, prompt, samples in zip(examples, prompts, sampled, strict=True)
        ]

    def learn(self, groups: Sequence[Group], step: int) -> dict[str, float]:
        return self._wait(self.learner, "learn", groups, step)

    def publish(self, step: int) -> dict[str, float]:
        """Adapter bytes from learner to engine, then the canary. Raises AdapterNotLive."""
        version: PolicyVersion = self._wait(self.learner, "publish", step)
        self._wait(self.engine, "load", version)
        return {"canary": self.check_live(step), "adapter_bytes": float(len(version.adapter))}

    def check_live(self, step: int) -> float:
        """Mean |Δ log-prob| of engine and learner on the canary."""
        args = (self.canary.prompts, self.canary.completions)
        engine, learner = self.engine.call("score", *args, step), self.learner.call("score", *args)
        pairs = zip(engine.result(self.limits.timeout_s), learner.result(self.limits.timeout_s), strict=True)
        differences = [abs(a - b) for ours, theirs in pairs for a, b in zip(ours, theirs, strict=True)]
        mean = sum(differences) / len(differences)
        if not mean <= self.limits.mismatch_limit:
            raise AdapterNotLive(
                f"policy {step} is not live: mean |Δ log-prob| of engine and learner on the canary must be at most "
                f"{self.limits.mismatch_limit} (engine.mismatch_limit), got {mean:.4f}. The adapter did not reach the "
                "engine, or the engine serves another base than the learner trains on (model.quantization)."
            )
        return mean

    def _wait(self, handle: Handle, method: str, *args: object) -> Any:
        return handle.call(method, *args).result(self.limits.timeout_s)


class PooledRewards:
    """Rewards from a pool of actors that execute SQL, a question at a time."""

    def __init__(self, pool: Pool, config: RewardConfig, seed: int) -> None:
        self.pool, self.config, self.seed = pool, config, seed

    def reward(self, examples: Sequence[Example], rollouts: Sequence[Sequence[Rollout]]) -> list[list[Reward]]:
        """B × K rewards. A question whose judging was lost twice earns 0 throughout: no signal, and counted."""
        judged = self.judge(examples, [[answer_of(r) for r in group] for group in rollouts])
        return [
            group_rewards(judged_K, self.config, f"{self.seed}/{group[0].policy_step}/{example.id}")
            for example, group, judged_K in zip(examples, rollouts, judged, strict=True)
        ]

    def judge(self, examples: Sequence[Example], answers: Sequence[Sequence[Answer]]) -> list[list[Judged]]:
        """Verdicts of the answers to each question, in order."""
        items = list(zip(examples, answers, strict=True))
        batch_size = min(MAX_BATCH, max(1, len(items) // (2 * self.config.workers)))
        longest = batch_size * max((len(a) for a in answers), default=0)  # every answer may burn its deadline
        results = self.pool.map(items, batch_size, timeout_s=30 + 3 * self.config.deadline_s * longest)
        lost = Judged("lost", dict.fromkeys(PARTS, 0.0))
        return [
            result if result is not None else [lost] * len(answers_K)
            for result, answers_K in zip(results, answers, strict=True)
        ]


def reward_pool(config: RewardConfig) -> Pool:
    """The reward actors; a question whose judging is lost twice comes back as None."""
    return Pool(RewardWorker, config.deadline_s, method="judge_groups", size=config.workers, name="reward", lost=None)


def answer_of(rollout: Rollout) -> Answer:
    return Answer(rollout.sql, rollout.finish_reason == "stop")


def _seed(seed: int, step: int | str) -> int:
    """A 31-bit seed for the samples of a step."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{step}".encode()).digest()[:4], "big") >> 1
