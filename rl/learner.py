"""The learner: a QLoRA policy that takes one policy-gradient step per batch of groups.

A plain class; the driver wraps it in an actor. Axes as in `rl/packing.py`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
from bitsandbytes.optim import PagedAdamW8bit
from torch import Tensor

from evaluation.errors import UserError
from rl.algorithms.base import Algorithm
from rl.algorithms.control import adapted
from rl.algorithms.losses import Tokens
from rl.algorithms.ppo import estimates, value_loss
from rl.config import LearnerConfig, RolloutConfig
from rl.critic import Critic, standardise
from rl.packing import PackedBatch, micro_batches, pack, packed_length, side_by_side
from rl.rater import Rater, whole
from rl.state import flatten_optimizer, pack_tensors, restore_optimizer, unpack_tensors
from rl.step import Step, Totals
from rl.teacher import NAME as TEACHER
from rl.teacher import TeacherModel, is_adapter
from rl.types import Episode, Group, Segment
from sft.config import LoraConfig, ModelConfig
from sft.policy.answers import answer_scores
from sft.policy.base import PolicyVersion, keep_input_dtype, load_model, publish
from sft.policy.device import detect, release_memory
from sft.policy.ranks import Ranks, meeting_point
from sft.policy.support import ready

REFERENCE = "reference"


class Learner:
    """Holds the 4-bit base, the trained adapter, the frozen reference adapter and the optimizer.

    A step is `add` for each part of its groups, then `finish`. With several ranks each adds its own share.
    temperature: of sampling, so that log-probabilities are those of the distribution sampled from.
    """

    def __init__(
        self,
        model: ModelConfig,
        lora: LoraConfig,
        config: LearnerConfig,
        init_adapter: str,
        temperature: float,
        max_tokens: int,
        total_steps: int,
        seed: int,
        algorithm: Algorithm | None = None,
        reward_model: str = "",
    ) -> None:
        """algorithm: None takes the policy gradient that `config` describes. reward_model: folder, for `rate`."""
        torch.manual_seed(seed)
        self.config, self.temperature, self.total_steps = config, temperature, total_steps
        self.algorithm = algorithm or Algorithm(RolloutConfig(max_tokens=max_tokens), config)
        # In bfloat16 the fp32 adapter, too, is multiplied in bfloat16, as in the engine.
        self.dtype = detect().computes_in(model.dtype)
        adapter = Path(init_adapter) if init_adapter else None
        self.model = load_model(model, lora, adapter, trainable=True)
        frozen = {REFERENCE: init_adapter} if self.algorithm.reference else {}
        taught = config.teacher if self.algorithm.teacher else ""
        frozen |= {TEACHER: taught} if is_adapter(taught) else {}
        for name, directory in frozen.items():
            self.model.load_adapter(directory, adapter_name=name, is_trainable=False)
        self.teacher = TeacherModel(taught, model) if taught and not frozen.get(TEACHER) else None
        self.rater = Rater(self.model, Path(reward_model)) if reward_model else None
        self.model.set_adapter("default")
        self.support = ready(self.model.get_base_model(), model, sampled=True)
        self.packing = self.support.packing
        if self.dtype == "bfloat16":
            keep_input_dtype(self.model)
        if config.gradient_checkpointing:
            self.model.get_base_model().gradient_checkpointing_enable({"use_reentrant": False})
        self.trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.critic = Critic(self.model, adapter) if self.algorithm.critic else None
        if self.critic is not None:
            self.trained |= self.critic.trained
            self._activate()
        self.optimizer = PagedAdamW8bit(
            self.trained.values(), lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.95)
        )
        self.skipped = 0  # updates in a row
        self.factor = 1.0  # of the KL's weight
        self.bonus = 1.0  # of the entropy's weight
        self.ranks, self._now = Ranks(), Step()
        self.model.train()
        _refuse_dropout(self.model)

    @property
    def device(self) -> torch.device:
        return next(iter(self.trained.values())).device

    def notice(self) -> str:
        """What whoever trains this model should know."""
        return self.support.notice

    def meeting_point(self) -> str:
        """host:port where the other ranks may `join` this one."""
        return meeting_point()

    def join(self, address: str, rank: int, size: int) -> None:
        self.ranks.join(address, rank, size, self.device, self.config.timeout_s)

    def learn(self, groups: Sequence[Group], step: int) -> dict[str, float]:
        """One whole step on B groups: `add`, then `finish`."""
        self.add(groups)
        return self.finish(step)

    def add(self, groups: Sequence[Group]) -> None:
        """Groups of the current step, whose gradients are summed up at once, or kept when the step has several updates.

        Groups without advantage keep their share of the divisor. They cost nothing, unless KL or entropy act on them.
        """
        now = self._now
        with self._clock():
            now.samples += sum(len(group.episodes) for group in groups)
            now.first = now.first or next(iter(groups), None)
            useful = [group for group in groups if self.algorithm.learns_all or group.has_gradient]
            now.useful += len(useful)
            if self.config.minibatches == self.config.passes == 1 and self.critic is None:
                self._accumulate(useful)
            else:
                now.waiting += useful

    def finish(self, step: int) -> dict[str, float]:
        """Updates the weights from what was added, and returns metrics of the step, the same on every rank.

        Weights stay as they are when there is nothing to learn from.
        """
        now = self._now
        with self._clock():
            parts = min(self.config.minibatches, int(self.ranks.sum([now.useful])[0]))
            updates = parts * self.config.passes
            self._estimate(now.waiting)
            if not updates and now.first:  # engine and learner are compared every step, also with nothing to learn
                self._compare([now.first])
            fresh = now.mismatch(self.ranks)
            for m in range(updates):
                self._accumulate(now.waiting[m % parts :: parts])
                if m == 0:  # later minibatches also differ from the engine by what the earlier ones taught
                    fresh = now.mismatch(self.ranks)
                self._update(step, now.samples / parts)
            release_memory()
        self._now = Step()
        metrics = now.metrics(self.ranks, self.algorithm, updates) | {"learning_rate": self._learning_rate(step)}
        return fresh | self._controlled(metrics, updates)

    def _controlled(self, metrics: dict[str, float], updates: int) -> dict[str, float]:
        """Adapts the factor to the KL of this step, and the bonus to its entropy, the same on every rank."""
        if self.config.entropy_floor and updates:
            self.bonus = float(metrics["entropy_learned"] < self.config.entropy_floor)
        target = self.config.kl_target
        if target and updates:
            self.factor = adapted(self.factor, metrics["kl_reference"], target)
        return metrics | ({"kl_factor": self.factor} if target else {})

    @contextmanager
    def _clock(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._now.seconds += time.perf_counter() - began

    def _accumulate(self, groups: Sequence[Group]) -> None:
        """Adds the gradient of the groups' weighted sum; `_update` divides."""
        config = self.config
        kept = [kept for group in groups if (kept := self.algorithm.learned(group)).episodes]
        if not self.algorithm.together:
            kept = self._rows(kept)
        shared = self.packing == "shared"
        rows = side_by_side(kept, config.token_budget) if shared else [[group] for group in kept]
        lengths = [packed_length([group.episodes for group in row]) for row in rows]
        self._now.totals["over_budget"] += sum(length > config.token_budget for length in lengths)
        for batch in micro_batches(lengths, config.token_budget):
            chosen = [group for i in batch for group in rows[i]]
            self._now.learned += sum(map(self.algorithm.size, chosen))
            self._loss(chosen).backward()
            if self.critic is not None:  # apart: recomputation in a backward pass needs the adapter of its forward one
                self._value_loss(self.critic, chosen).backward()
                self._activate()

    def _rows(self, groups: Sequence[Group]) -> list[Group]:
        """What is computed as one row: a group behind its prompt, or each answer of it as a group of its own."""
        if self.packing == "shared":
            return list(groups)
        return [group.pick([i]) for group in groups for i in range(len(group.episodes))]

    def _update(self, step: int, samples: float) -> None:
        """Sums the gradient over the ranks, divides it by the count over all of them, and steps."""
        now = self._now
        samples, learned = self.ranks.sum([samples, now.learned])
        now.learned, now.totals["size"] = 0.0, now.totals["size"] + now.learned
        if not learned:
            return
        scale = 1.0 / self.algorithm.divisor(samples, learned)
        for parameter in self.trained.values():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in self.trained.values() if parameter.grad is not None]
        self.ranks.sum_gradients(gradients)
        for gradient in gradients:
            gradient.mul_(scale)
        now.totals["loss"] += now.totals.pop("loss_sum", 0.0) * scale
        self._apply(step, now.totals)

    def _loss(self, groups: Sequence[Group]) -> Tensor:
        """This micro-batch's weighted sum; adds its metrics to the totals of the step."""
        tokens = self._tokens(groups)
        loss, metrics = self.algorithm.loss(tokens)
        self._now.count(tokens, metrics | {"loss_sum": float(loss.detach())})
        return loss

    def _compare(self, groups: Sequence[Group]) -> None:
        """Learner and engine, where nothing is learned."""
        with torch.no_grad():
            tokens = self._tokens(groups)
        self._now.count(tokens, tokens.compared())

    def _tokens(self, groups: Sequence[Group]) -> Tokens:
        groups = self._rows(groups)
        packed = self._pack(groups)
        per_answer = [
            (episode, advantage, self.algorithm.weight(episode))
            for group in groups
            for episode, advantage in zip(group.episodes, group.advantages, strict=True)
        ]
        per_token = [
            (advantage_t, weight, lp)
            for e, advantage, weight in per_answer
            for advantage_t, lp in zip(self._advantages(e, advantage), e.log_probs, strict=True)
        ]
        lengths = torch.tensor([len(e.token_ids) for e, _, _ in per_answer], device=self.device)
        answers_N = torch.arange(len(per_answer), device=self.device).repeat_interleave(lengths)
        advantages_N, weights_N, behaviour_N = torch.tensor(per_token, device=self.device).unbind(1)
        reference_N = self._frozen(REFERENCE, packed) if self.algorithm.reference else None
        teacher_N = self._taught(groups, packed) if self.algorithm.teacher else None
        log_probs_N, entropy_N = self._log_probs(packed)
        fixed = behaviour_N, advantages_N, weights_N, answers_N
        return Tokens(log_probs_N, *fixed, reference_N, entropy_N, self.factor, teacher_N, self.bonus)

    def _pack(self, groups: Sequence[Group]) -> PackedBatch:
        return pack([group.episodes for group in groups], self.packing == "shared").to(self.device)

    def _advantages(self, episode: Episode, advantage: float) -> Sequence[float]:
        known = self._now.estimates.get(id(episode))
        return [advantage] * len(episode.token_ids) if known is None else known.advantages

    def _estimate(self, groups: Sequence[Group]) -> None:
        """Advantages and returns of all that the step learns from, by the critic as it is before the first update; the
        advantages with mean 0 and deviation 1 over the step."""
        if self.critic is None:
            return
        found = self._now.estimates
        for group in self._rows([kept for group in groups if (kept := self.algorithm.learned(group)).episodes]):
            # a token behind an answer that was cut: what predicts it has seen all of the answer
            cut = [e.finish_reason == "length" for e in group.episodes]
            longer = [e.then(Segment([e.ids[-1]], [0.0])) if c else e for e, c in zip(group.episodes, cut, strict=True)]
            with torch.no_grad():
                values_N = self._values(self.critic, [replace(group, episodes=longer)])
            sizes = [len(e.token_ids) for e in longer]
            for e, c, reward, values in zip(
                group.episodes, cut, group.rewards, values_N.split(sizes), strict=True
            ):
                known, *beyond = (values[:-1].tolist(), float(values[-1])) if c else (values.tolist(), 0.0)
                found[id(e)] = estimates(known, reward.value, self.config.gamma, self.config.gae_lambda, *beyond)
        standardise(found, self.ranks)

    def _values(self, critic: Critic, groups: Sequence[Group]) -> Tensor:
        packed = self._pack(self._rows(groups))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == "bfloat16"):
            values_N = critic.values(packed, self.packing)
        if not torch.is_grad_enabled():
            self._activate()
        return values_N

    def _value_loss(self, critic: Critic, groups: Sequence[Group]) -> Tensor:
        """This micro-batch's weighted sum."""
        episodes = [e for group in groups for e in group.episodes]
        known = [self._now.estimates[id(e)] for e in episodes]
        old_N, returns_N = (
            torch.tensor([value for one in column for value in one], device=self.device)
            for column in ([one.values for one in known], [one.returns for one in known])
        )
        weights = [self.algorithm.weight(e) for e in episodes for _ in e.token_ids]
        loss_N = value_loss(self._values(critic, groups), old_N, returns_N, self.config.value_clip)
        self._now.totals["value_loss"] += float(loss_N.detach().sum())
        return self.config.value_weight * (torch.tensor(weights, device=self.device) * loss_N).sum()

    def _apply(self, step: int, totals: Totals) -> None:
        """Clips, steps and clears. A gradient that is not finite is dropped and counted, and too many end the run."""
        parameters = list(self.trained.values())
        own = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        norm = self.ranks.first(own)  # GPUs of other models add up in another order, and the same step must be taken
        torch.nn.utils.clip_grads_with_norm_(parameters, self.config.max_grad_norm, norm)
        if torch.isfinite(norm):
            for group in self.optimizer.param_groups:
                group["lr"] = self._learning_rate(step)
            self.optimizer.step()
            totals["grad_norm"] += float(own)
            self.skipped = 0
        else:
            totals["skipped"] += 1
            self.skipped += 1
        self.optimizer.zero_grad(set_to_none=True)
        if self.skipped >= self.config.max_skipped:
            raise UserError(
                f"step {step}: the gradient was not finite in {self.skipped} updates in a row (learner.max_skipped); "
                "the weights are those before them. Lower learner.learning_rate, or look at the rollouts of these steps"
            )

    def _learning_rate(self, step: int) -> float:
        """Linear warm-up, then linear decay to the floor at the last step. `step` counts from 1."""
        warm = min(1.0, step / max(1, self.config.warmup_steps))
        done = max(0, step - self.config.warmup_steps) / max(1, self.total_steps - self.config.warmup_steps)
        left = 1.0 - (1.0 - self.config.rate_floor) * min(1.0, done) if self.config.decay else 1.0
        return self.config.learning_rate * warm * left

    def _taught(self, groups: Sequence[Group], packed: PackedBatch) -> Tensor:
        if self.teacher is None:
            return self._frozen(TEACHER, packed)
        return self.teacher.log_probs([group.episodes for group in groups], self.temperature)

    def _frozen(self, adapter: str, packed: PackedBatch) -> Tensor:
        self.model.set_adapter(adapter)
        with torch.no_grad():
            log_probs_N = self._log_probs(packed)[0]
        self._activate()
        return log_probs_N

    def _activate(self) -> None:
        """The policy is what computes, and all that is trained has gradients."""
        self.model.set_adapter("default")
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in self.trained)

    def _log_probs(self, packed: PackedBatch) -> tuple[Tensor, Tensor]:
        """log π and entropy at the N answer tokens, fp32, at the sampling temperature."""
        causal_lm, learn_entropy = self.model.get_base_model(), self.config.entropy != 0
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == "bfloat16"):
            scores = answer_scores(causal_lm, packed, self.packing, self.temperature, learn_entropy)
        return scores.log_probs_N, scores.entropy_N

    def score(self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> list[list[float]]:
        """Teacher-forced log-probabilities at temperature 1 of each completion: the canary's other half."""
        episodes = [
            Episode.single(0, prompt, completion, [0.0] * len(completion), "stop", 0)
            for prompt, completion in zip(prompts, completions, strict=True)
        ]
        scores: list[list[float]] = [[] for _ in episodes]
        temperature, self.temperature = self.temperature, 1.0
        for batch in micro_batches([packed_length([[one]]) for one in episodes], self.config.token_budget):
            with torch.no_grad():
                packed = pack([[episodes[i]] for i in batch], self.packing == "shared").to(self.device)
                log_probs_N = self._log_probs(packed)[0]
            for i, part in zip(batch, log_probs_N.split([len(episodes[i].token_ids) for i in batch]), strict=True):
                scores[i] = part.tolist()
        self.temperature = temperature
        return scores

    def rate(self, groups: Sequence[Sequence[Episode]]) -> list[list[float]]:
        """Scores of the episodes of each group, by the reward model."""
        assert self.rater is not None, "reward.model"
        shared = self.packing == "shared"
        rows = groups if shared else [[one] for group in groups for one in group]
        read = [[whole(one) for one in row] for row in rows]
        flat: list[list[float]] = [[] for _ in rows]
        for batch in micro_batches([packed_length([row]) for row in read], self.config.token_budget):
            chosen = [read[i] for i in batch]
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == "bfloat16"):
                lengths = [len(one.token_ids) for row in chosen for one in row]
                found = iter(self.rater.scores(pack(chosen, shared).to(self.device), lengths, self.packing))
            for i in batch:
                flat[i] = list(islice(found, len(read[i])))
        self._activate()
        every = chain.from_iterable(flat)
        return [list(islice(every, len(group))) for group in groups]

    def publish(self, step: int) -> PolicyVersion:
        """The adapter after `step`, as it is served."""
        return publish(self.model, step)

    def state(self) -> dict[str, bytes]:
        """Everything that a resumed run needs, as files by name: safetensors and JSON, which cannot execute code."""
        tensors, scalars = flatten_optimizer(self.optimizer.state_dict())
        weights = {name: parameter.detach() for name, parameter in self.trained.items()}
        record = {"optimizer": scalars, "skipped": self.skipped, "factor": self.factor, "bonus": self.bonus}
        return {
            "trained.safetensors": pack_tensors(weights),
            "optimizer.safetensors": pack_tensors(tensors | {"torch_rng": torch.get_rng_state()}),
            "learner.json": json.dumps(record).encode(),
        }

    def restore(self, files: dict[str, bytes]) -> None:
        """The inverse of `state`, bit for bit."""
        record: dict[str, Any] = json.loads(files["learner.json"])
        tensors = unpack_tensors(files["optimizer.safetensors"])
        torch.set_rng_state(tensors.pop("torch_rng"))
        weights = unpack_tensors(files["trained.safetensors"])
        if weights.keys() != self.trained.keys():
            raise ValueError("the checkpoint's trained parameters are not this model's: other model or LoRA settings")
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(weights[name])
        restore_optimizer(self.optimizer, tensors, record["optimizer"])
        self.skipped, self.factor = record.get("skipped", 0), record.get("factor", 1.0)
        self.bonus = record.get("bonus", 1.0)


def _refuse_dropout(model: torch.nn.Module) -> None:
    """Dropout would make the learner's log-probabilities differ from the engine's for the same weights."""
    active = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Dropout) and m.p > 0]
    if active:
        raise UserError(
            f"dropout must be 0 in RL, but is active in {len(active)} modules (the first is {active[0]}): set "
            "lora.dropout=0, also for the SFT run that made init_adapter"
        )
