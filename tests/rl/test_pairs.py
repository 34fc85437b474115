"""Learning from right and wrong answers of a group: DPO, IPO, and rejection fine-tuning from the right ones alone."""

import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rl.algorithms import algorithm
from rl.algorithms.dpo import Dpo, hardest_pairs
from rl.algorithms.losses import Tokens
from rl.config import LearnerConfig, RolloutConfig
from rl.learner import Learner
from rl.types import Episode, Group, Reward, Segment
from sft.config import LoraConfig, ModelConfig
from sft.policy import base as policy
from tests.rl.question import question
from tests.toy_model import make_toy_model

LORA = LoraConfig(r=8, alpha=16)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_toy_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def warm(toy: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    model = policy.load_model(model_of(toy), LORA)
    shift(model, 0.05, seed=1)
    policy.save_adapter(policy.publish(model, 0), directory := tmp_path_factory.mktemp("warm") / "adapter")
    return str(directory)


def model_of(toy: str) -> ModelConfig:
    return ModelConfig(path=toy, dtype="float32", quantization="none", max_length=256)


def shift(model: torch.nn.Module, size: float, seed: int) -> None:
    noise = torch.Generator().manual_seed(seed)
    for _, parameter in sorted((n, p) for n, p in model.named_parameters() if p.requires_grad):
        parameter.data += size * torch.randn(parameter.shape, generator=noise)


def learner_of(name: str, toy: str, warm: str, **settings: Any) -> Learner:
    values = {"learning_rate": 1e-2, "warmup_steps": 0, "max_grad_norm": 1e9, "pairs": 9, **settings}
    config = LearnerConfig.model_validate(values)
    made = algorithm(name)(RolloutConfig(max_tokens=16), config)
    return Learner(model_of(toy), LORA, config, warm, 1.0, 16, total_steps=10, seed=0, algorithm=made)


def group_of(verdicts: str, seed: int = 0, lengths: tuple[int, ...] = ()) -> Group:
    """One answer per letter, r right or w wrong."""
    rng = random.Random(seed)
    prompt = [rng.randrange(3, 500) for _ in range(12)]
    answers = [[rng.randrange(3, 500) for _ in range(rng.randrange(2, 9))] for _ in verdicts]
    episodes = [Episode.single(k, prompt, a, [-1.0 - k] * len(a), "stop", 0) for k, a in enumerate(answers)]
    rewards = [Reward(float(v == "r"), {}, "correct" if v == "r" else "wrong") for v in verdicts]
    return Group(question(f"q{seed}"), episodes, rewards)


def test_the_hardest_pair_is_the_least_likely_right_answer_with_the_likeliest_wrong_one() -> None:
    group = group_of("rwrww")  # mean log μ: −1 … −5
    assert hardest_pairs(group) == [(2, 1), (0, 3)]
    (credited,) = Dpo(RolloutConfig(), LearnerConfig(pairs=1)).credit([group])
    assert [e.sample for e in credited.episodes] == [2, 1, 0, 3, 4] and credited.advantages == [1, -1, 0, 0, 0]
    assert [reward.correct for reward in credited.rewards] == [True, False, True, False, False]


def test_a_group_without_contrast_has_no_pair_and_a_copy_is_in_none() -> None:
    made = Dpo(RolloutConfig(), LearnerConfig())
    assert not any(group.has_gradient for group in made.credit([group_of("rrr"), group_of("ww")]))
    group = group_of("rwww")
    copies = replace(group, episodes=[group.episodes[0], *[group.episodes[1]] * 3])
    assert hardest_pairs(copies) == [(0, 1)]


@pytest.mark.parametrize(("name", "by_hand"), [
    # log π − log π_ref: 0.3 + 0.1 of the right answer, −0.2 of the wrong one: margin 0.6; β = 0.5
    ("dpo", math.log(1 + math.exp(-0.5 * 0.6))),
    # per token 0.2 and −0.2: margin 0.4, drawn to 1 / (2 · 0.5)
    ("ipo", (0.4 - 1.0) ** 2),
], ids=["dpo", "ipo"])  # fmt: skip
def test_the_loss_of_a_pair_by_hand(name: str, by_hand: float) -> None:
    made = algorithm(name)(RolloutConfig(), LearnerConfig(pair_beta=0.5))
    log_probs, reference = torch.tensor([-0.7, -0.9, -1.2]), torch.tensor([-1.0, -1.0, -1.0])
    fixed = torch.tensor([1.0, 1.0, -1.0]), torch.ones(3), torch.tensor([0, 0, 1])
    loss, metrics = made.loss(Tokens(log_probs, log_probs, *fixed, reference))
    assert float(loss) == pytest.approx(by_hand, abs=1e-6)
    assert metrics["pairs_right"] == 1 and metrics["kl_reference_sum"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dpo", "ipo"])
@pytest.mark.parametrize("token_budget", [64, 100_000])
def test_the_loss_is_that_of_trl_on_the_same_pairs_however_they_are_batched(
    toy: str, warm: str, tmp_path: Path, name: str, token_budget: int
) -> None:
    learner = learner_of(name, toy, warm, token_budget=token_budget)
    shift(learner.model, 0.05, seed=2)
    frozen = learner_of(name, toy, warm)
    ours = merged(learner)
    groups = learner.algorithm.credit([group_of("rwrww"), group_of("wr", 1), group_of("rr", 2), group_of("wwr", 3)])
    metrics = learner.learn(groups, 1)
    episodes = [episode for group in groups for episode in learner.algorithm.learned(group).episodes]
    pairs = list(zip(episodes[0::2], episodes[1::2], strict=True))
    assert len(pairs) == 4
    assert metrics["loss"] == pytest.approx(trl_loss(ours, merged(frozen), pairs, name, toy, tmp_path), abs=1e-5)
    assert 0 <= metrics["pairs_right"] <= 1 and metrics["kl_reference"] > 0


def merged(learner: Learner) -> Any:
    """The policy as a plain model with its adapter in the weights."""
    plain = policy.load_model(learner_model(learner), LORA)
    own = dict(learner.model.named_parameters())
    for name, parameter in plain.named_parameters():
        parameter.data.copy_(own[name].data)
    return plain.merge_and_unload()


def learner_model(learner: Learner) -> ModelConfig:
    return model_of(learner.model.get_base_model().config.name_or_path)


def trl_loss(model: Any, reference: Any, pairs: list[Any], name: str, toy: str, directory: Path) -> float:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    settings = {"beta": 0.1, "loss_type": [{"dpo": "sigmoid"}.get(name, name)], "report_to": "none", "bf16": False}
    args = DPOConfig(str(directory), use_cpu=True, gradient_checkpointing=False, **settings)
    dataset = Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}])
    words = policy.load_tokenizer(toy)
    trainer = DPOTrainer(model, reference, args, train_dataset=dataset, processing_class=words)
    features = [
        {"prompt_ids": list(a.prompt_ids), "chosen_ids": a.token_ids, "rejected_ids": b.token_ids} for a, b in pairs
    ]
    with torch.no_grad():
        return float(trainer._compute_loss(trainer.model, trainer.data_collator(features), False))


def test_rejection_fine_tuning_is_the_mean_cross_entropy_of_the_distinct_right_answers(toy: str, warm: str) -> None:
    learner = learner_of("rft", toy, warm)
    group, other = group_of("rwr"), group_of("ww", 1)
    twice = replace(group, episodes=[*group.episodes, group.episodes[0]], rewards=[*group.rewards, group.rewards[0]])
    credited = learner.algorithm.credit([twice, other])
    assert [group.advantages for group in credited] == [[1, 0, 1, 0], [0, 0]]
    right = [group.episodes[0], group.episodes[2]]
    scores = learner.score([e.prompt_ids for e in right], [e.token_ids for e in right])
    flat = [score for one in scores for score in one]
    assert learner.learn(credited, 1)["loss"] == pytest.approx(-sum(flat) / len(flat), abs=1e-5)
    after = learner.score([e.prompt_ids for e in right], [e.token_ids for e in right])
    assert sum(map(sum, after)) > sum(flat)


@pytest.mark.parametrize("name", ["rft", "dpo", "ipo"])
def test_a_batch_without_pairs_or_right_answers_takes_no_step_and_what_was_read_is_not_learned(
    name: str, toy: str, warm: str
) -> None:
    learner = learner_of(name, toy, warm)
    before = learner.publish(0).digest
    metrics = learner.learn(learner.algorithm.credit([group_of("www")]), 1)
    assert metrics["grad_norm"] == 0 and learner.publish(1).digest == before
    group = group_of("rw")
    told = [e.then(Segment([9, 8], None), Segment([7], [-1.0])) for e in group.episodes]
    (learned,) = learner.algorithm.credit([replace(group, episodes=told)])
    tokens = learner._tokens([learner.algorithm.learned(learned)])
    assert tokens.log_probs_N.numel() == sum(len(e.token_ids) for e in learner.algorithm.learned(learned).episodes)
    learner.learn([learned], 2)
    assert learner.publish(2).digest != before
