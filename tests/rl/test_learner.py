"""The learner on a real 4-bit base, without Ray."""

import random
from dataclasses import replace

import pytest
import torch

from evaluation.errors import UserError
from rl.learner import Learner, LearnerConfig
from rl.types import Episode, Group, Reward
from sft.config import LoraConfig, ModelConfig
from tests.rl.question import question
from tests.toy_model import make_toy_model


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return str(make_toy_model(tmp_path_factory.mktemp("model")))


def learner_of(toy, dtype="bfloat16", **settings):
    config = LearnerConfig(learning_rate=1e-2, warmup_steps=0, **settings)
    model = ModelConfig(path=toy, dtype=dtype, quantization="nf4")
    return Learner(model, LoraConfig(r=8, alpha=16), config, "", 1.0, 16, total_steps=10, seed=0)


def groups_of(learner, signal=True, n=4, seed=0):
    rng = random.Random(seed)
    groups = []
    for q in range(n):
        prompt = [rng.randrange(3, 500) for _ in range(rng.randrange(5, 20))]
        answers = [[rng.randrange(3, 500) for _ in range(rng.randrange(2, 10))] for _ in range(4)]
        scores = learner.score([prompt] * 4, answers)
        rollouts = [
            Episode.single(k, prompt, a, s, "stop", 0) for k, (a, s) in enumerate(zip(answers, scores, strict=True))
        ]
        rewards = [Reward(1.0, {}, "correct")] * 4
        groups.append(Group(question(f"q{q}"), rollouts, rewards, [0.75, -0.25, -0.25, -0.25] if signal else [0.0] * 4))
    return groups


def weights(learner):
    return {name: p.detach().clone() for name, p in learner.trained.items()}


def test_a_step_raises_the_probability_of_rewarded_answers_and_lowers_that_of_the_others(toy):
    learner = learner_of(toy)
    groups = groups_of(learner)
    for step in range(1, 6):
        learner.learn(groups, step)
    for group in groups:
        after = learner.score([r.prompt_ids for r in group.episodes], [r.token_ids for r in group.episodes])
        change = [sum(new) - sum(r.log_probs) for new, r in zip(after, group.episodes, strict=True)]
        assert change[0] > max(change[1:])


def test_groups_without_signal_leave_the_weights_alone(toy):
    learner = learner_of(toy)
    before = weights(learner)
    metrics = learner.learn(groups_of(learner, signal=False), 1)
    assert all(torch.equal(before[name], p) for name, p in learner.trained.items())
    assert metrics["grad_norm"] == 0


def test_fresh_samples_have_no_mismatch_and_nothing_is_clipped(toy):
    learner = learner_of(toy, dtype="float32")
    metrics = learner.learn(groups_of(learner), 1)
    assert metrics["mismatch"] < 1e-5 and metrics["clipped"] == 0


@pytest.mark.parametrize(
    "settings",
    [{"aggregation": "token_mean"}, {"aggregation": "sequence_mean"}, {"aggregation": "constant", "surrogate": "gspo"}],
)
def test_the_gradient_does_not_depend_on_micro_batches_parts_or_checkpointing(toy, settings):
    gradients = []
    for budget, parts, checkpointing in ((64, 1, False), (100_000, 1, True), (100_000, 3, False)):
        memory = {"token_budget": budget, "gradient_checkpointing": checkpointing}
        learner = learner_of(toy, dtype="float32", **memory, **settings)
        learner._apply = lambda step, totals: None  # keep the gradient for inspection
        assert learner.model.get_base_model().is_gradient_checkpointing == checkpointing
        groups = groups_of(learner)
        for part in range(parts):
            learner.add(groups[part::parts])
        learner.finish(1)
        gradients.append(torch.cat([p.grad.flatten() for p in learner.trained.values()]))
    assert gradients[0].abs().max() > 1e-4
    assert all(torch.allclose(gradients[0], other, atol=1e-6) for other in gradients[1:])


def test_a_restored_learner_continues_bit_for_bit(toy):
    straight, stopped = learner_of(toy), learner_of(toy)
    groups = groups_of(straight)
    for step in (1, 2):
        straight.learn(groups, step)
        stopped.learn(groups, step)
    resumed = learner_of(toy)
    resumed.restore(stopped.state())
    straight.learn(groups, 3)
    resumed.learn(groups, 3)
    assert straight.publish(3).adapter == resumed.publish(3).adapter
    assert straight.state() == resumed.state()


def test_a_gradient_that_is_not_finite_is_skipped_and_too_many_in_a_row_end_the_run(toy):
    learner = learner_of(toy, max_skipped=2)
    before, groups = weights(learner), groups_of(learner)
    poisoned = [replace(group, advantages=[float("nan"), 1.0, 0.0, 0.0]) for group in groups]
    assert learner.learn(poisoned, 1)["skipped_updates"] == 1
    with pytest.raises(UserError, match="step 2: the gradient was not finite in 2 updates in a row"):
        learner.learn(poisoned, 2)
    assert all(torch.equal(before[name], p) for name, p in learner.trained.items())
