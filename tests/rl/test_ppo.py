"""PPO: a critic on a second adapter, advantages per token, clipped values."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import load

from rl.algorithms.ppo import estimates, value_loss
from rl.learner import Learner
from rl.types import Group, Reward, Segment
from tests.rl.test_pairs import group_of, learner_of, toy, warm

__all__ = ["toy", "warm"]


def test_advantages_of_two_tokens_by_hand() -> None:
    # δ_1 = 1 − 0.25 = 0.75; δ_0 = 0.5 · 0.25 − 0.5 = −0.375; A_0 = −0.375 + 0.5 · 0.5 · 0.75 = −0.1875
    found = estimates([0.5, 0.25], reward=1.0, gamma=0.5, gae_lambda=0.5)
    assert found.advantages == [-0.1875, 0.75] and found.returns == [0.3125, 1.0]


def test_an_answer_that_was_cut_is_worth_what_the_critic_expects_behind_it() -> None:
    # δ = 0 + 1 · 0.6 − 0.25
    assert estimates([0.25], 0.0, 1.0, 0.95, beyond=0.6).advantages == pytest.approx([0.35])


def test_a_value_that_moves_further_than_the_clip_gains_nothing() -> None:
    values = torch.tensor([0.9, 0.1], requires_grad=True)
    loss = value_loss(values, torch.tensor([0.0, 0.0]), torch.tensor([1.0, 1.0]), clip=0.2)
    # 0.9 → 0.2: ½ · 0.8² instead of ½ · 0.1²; 0.1 is within
    assert loss.tolist() == pytest.approx([0.32, 0.405])
    loss.sum().backward()
    assert values.grad is not None and values.grad.tolist() == pytest.approx([0.0, -0.9])


def ppo(toy: str, warm: str, **settings: Any) -> Learner:
    return learner_of("ppo", toy, warm, **{"minibatches": 1, "gae_lambda": 1.0, **settings})


def values_of(learner: Learner, groups: list[Group]) -> torch.Tensor:
    assert learner.critic is not None
    with torch.no_grad():
        return learner._values(learner.critic, groups)


def moved(learner: Learner) -> Learner:
    """With a critic that says something."""
    assert learner.critic is not None
    noise = torch.Generator().manual_seed(3)
    learner.critic.head.weight.data = torch.randn(learner.critic.head.weight.shape, generator=noise)
    return learner


def test_a_critic_that_knows_nothing_leaves_every_token_its_answers_reward_standardised(toy: str, warm: str) -> None:
    learner = ppo(toy, warm)
    group = group_of("rw")
    rewards = [1.0] * len(group.episodes[0].token_ids) + [0.0] * len(group.episodes[1].token_ids)
    learner._estimate([group])
    found = [a for e in group.episodes for a in learner._now.estimates[id(e)].advantages]
    spread = torch.tensor(rewards).std(unbiased=False)
    assert found == pytest.approx(((torch.tensor(rewards) - torch.tensor(rewards).mean()) / spread).tolist(), abs=1e-4)


@pytest.mark.parametrize("packing", ["shared", "none"])
def test_values_of_a_packed_group_are_those_of_separate_sequences_and_what_is_read_is_no_step(
    toy: str, warm: str, packing: str
) -> None:
    learner = moved(ppo(toy, warm))
    group = group_of("rwr")
    told = group.episodes[1].then(Segment([9, 8, 7], None), Segment([6, 5], [-1.0, -1.0]))
    group = replace(group, episodes=[group.episodes[0], told, group.episodes[2]])
    alone = torch.cat([values_of(learner, [group.pick([i])]) for i in range(3)])
    learner.packing = packing  # type: ignore[assignment]
    together = values_of(learner, [group])
    assert together.numel() == sum(len(e.token_ids) for e in group.episodes)
    assert float((together - alone).abs().max()) < 1e-5 and float(together.std()) > 0.01
    # the value before the first token behind an observation has seen the observation
    wrote, _, answer = told.segments
    other = Group(group.example, [replace(told, segments=(wrote, Segment([9, 8, 100], None), answer))])
    changed, kept = values_of(learner, [other]), values_of(learner, [group.pick([1])])
    first = len(wrote.ids)
    assert torch.equal(changed[:first], kept[:first]) and float((changed[first:] - kept[first:]).abs().min()) > 1e-4


def test_the_state_behind_a_cut_answer_has_seen_all_of_it(toy: str, warm: str) -> None:
    learner = moved(ppo(toy, warm))
    group = group_of("w")
    cut = replace(group.episodes[0], finish_reason="length")
    learner._estimate([replace(group, episodes=[cut])])
    (found,) = learner._now.estimates.values()
    whole = values_of(learner, [replace(group, episodes=[cut.then(Segment([3], [0.0]))], rewards=())])
    assert found.values == pytest.approx(whole[:-1].tolist(), abs=1e-6)
    assert found.returns[-1] == pytest.approx(float(whole[-1]), abs=1e-6)  # γ = λ = 1, no reward: R = V behind


@pytest.mark.slow
def test_the_critic_learns_returns_the_policy_right_answers_and_only_the_policy_is_published(
    toy: str, warm: str
) -> None:
    learner = ppo(toy, warm, passes=2, minibatches=2, learning_rate=3e-3)
    plain = learner_of("grpo", toy, warm)
    groups = learner.algorithm.credit([group_of("rw"), group_of("wr", 1), group_of("rr", 2)])
    right = [(g.episodes[i], r) for g in groups for i, r in enumerate(g.rewards)]

    def liked() -> float:
        scores = learner.score([e.prompt_ids for e, _ in right], [e.token_ids for e, _ in right])
        pairs = zip(right, scores, strict=True)
        return sum((1 if reward.correct else -1) * sum(one) for (_, reward), one in pairs)

    before = liked()
    losses = [learner.learn(groups, step)["value_loss"] for step in range(1, 7)]
    assert losses[-1] < 0.7 * losses[0] and liked() > before
    names = load(learner.publish(6).adapter).keys()
    assert names == load(plain.publish(0).adapter).keys() and not any("critic" in name for name in names)
    frozen = {name for name, p in learner.model.named_parameters() if ".lora_" not in name}
    assert frozen == {name for name, p in plain.model.named_parameters() if ".lora_" not in name}, "one base"


def test_all_wrong_answers_teach_the_critic_and_move_no_policy(toy: str, warm: str) -> None:
    learner = ppo(toy, warm)
    assert learner.critic is not None
    learner.critic.head.bias.data += 0.5  # expects something, and is wrong
    before = learner.publish(0).digest
    group = replace(group_of("ww"), rewards=[Reward(0.0, {}, "wrong")] * 2)
    metrics = learner.learn(learner.algorithm.credit([group]), 1)
    assert metrics["value_loss"] == pytest.approx(0.125, abs=1e-4)
    assert learner.critic.head.bias.item() < 0.5 and learner.publish(1).digest == before


def test_the_value_loss_has_a_gradient_in_the_critic_alone(toy: str, warm: str) -> None:
    learner = moved(ppo(toy, warm))
    assert learner.critic is not None
    group = group_of("rw")
    learner._estimate([group])
    learner._value_loss(learner.critic, [group]).backward()
    learned = {name for name, p in learner.trained.items() if p.grad is not None and p.grad.abs().max() > 0}
    assert learned and learned <= learner.critic.trained.keys()
    assert any(".lora_A." in name for name in learned) and "critic.head.weight" in learned
