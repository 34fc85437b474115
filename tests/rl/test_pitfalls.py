"""What goes wrong in GRPO without anyone noticing, in the learner: it is held against each answer computed alone.

`tests/mutations.py` lists the pitfalls by number, breaks the code for each, and shows that a test fails. Formulas are
in `test_pitfalls_formulas.py`, engine and learner together in `test_pitfalls_engine.py`.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from evaluation.errors import UserError
from rl.learner import Learner, LearnerConfig
from rl.packing import pack
from rl.types import Episode, Group, Reward
from sft.config import LoraConfig, ModelConfig
from sft.policy import base as policy
from sft.policy.answers import answer_hidden, score_answers
from tests.rl.question import question
from tests.toy_model import make_toy_model

LORA = LoraConfig(r=8, alpha=16)
EOS = 2
MAX_TOKENS = 16
A_ROW_EACH, ALL_AT_ONCE = 64, 100_000  # token budgets
SIGNAL, NONE = [0.75, -0.25, -0.5], [0.0, 0.0, 0.0]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_toy_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def warmed_up(toy: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An adapter that changes the model, as a warm-up leaves it."""
    model = policy.load_model(ModelConfig(path=toy, dtype="float32"), LORA)
    shift(model, 0.05)
    policy.save_adapter(policy.publish(model, 0), directory := tmp_path_factory.mktemp("warm") / "adapter")
    return str(directory)


def shift(model: torch.nn.Module, size: float) -> None:
    noise = torch.Generator().manual_seed(1)
    for _, parameter in sorted((n, p) for n, p in model.named_parameters() if p.requires_grad):
        parameter.data += size * torch.randn(parameter.shape, generator=noise)


def learner_of(
    toy: str, adapter: str = "", lora: LoraConfig = LORA, max_tokens: int = MAX_TOKENS, **settings: Any
) -> Learner:
    values = {"learning_rate": 1e-2, "warmup_steps": 0, "max_grad_norm": 1e9, **settings}
    config, model = LearnerConfig.model_validate(values), ModelConfig(path=toy, dtype="float32")
    return Learner(model, lora, config, adapter, 1.0, max_tokens, total_steps=10, seed=0)


def groups_of(learner: Learner, signals: Sequence[list[float]] = (SIGNAL,) * 4) -> list[Group]:
    """Groups of three on-policy answers of 1 to 16 tokens; those of 16 were cut, the others end with EOS."""
    rng, groups = random.Random(0), []
    for q, values in enumerate(signals):
        prompt = [rng.randrange(3, 500) for _ in range(rng.randrange(5, 20))]
        lengths = [rng.randrange(1, 8), rng.randrange(8, MAX_TOKENS), MAX_TOKENS]
        answers = [[rng.randrange(3, 500) for _ in range(length)] for length in lengths]
        answers = [a if len(a) == MAX_TOKENS else [*a[:-1], EOS] for a in answers]
        rollouts = [
            Episode.single(k, prompt, a, s, "length" if len(a) == MAX_TOKENS else "stop", 0)
            for k, (a, s) in enumerate(zip(answers, learner.score([prompt] * 3, answers), strict=True))
        ]
        groups.append(Group(question(f"q{q}"), rollouts, [Reward(1.0, {}, "correct")] * 3, values))
    return groups


def gradient(learner: Learner, groups: Sequence[Group]) -> torch.Tensor:
    """What the optimizer is given in the one step that it takes for these groups."""
    seen: list[torch.Tensor] = []
    learner.optimizer.step = lambda *_: seen.append(flat_gradient(learner))
    learner.learn(groups, 1)
    assert len(seen) == 1, "one optimizer step for a batch of groups"
    return seen[0]


def flat_gradient(learner: Learner) -> torch.Tensor:
    return torch.cat([p.grad.detach().flatten() for p in learner.trained.values()])


def off_by(constant: float, episode: Episode) -> Episode:
    """Scored by an engine whose log-probabilities are smaller by so much."""
    segments = [s._replace(log_probs=[p - constant for p in s.log_probs or ()]) for s in episode.segments]
    return replace(episode, segments=segments)


def log_softmax(learner: Learner, rollout: Episode) -> torch.Tensor:
    """(T, V) at the places that predict the answer: one plain forward pass, nothing packed."""
    ids = torch.tensor([[*rollout.prompt_ids, *rollout.token_ids]])
    return learner.model(ids).logits[0, len(rollout.prompt_ids) - 1 : -1].log_softmax(-1)


def gradient_by_hand(
    learner: Learner,
    groups: Sequence[Group],
    weight: Callable[[Episode], float],
    reference: Callable[[Episode], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Of Σ weight (−A log π + kl · ½(log π − log π_ref)² − entropy · H) over all tokens, on-policy."""
    kl, bonus = learner.config.kl, learner.config.entropy
    for group in groups:
        for rollout, advantage in zip(group.episodes, group.advantages, strict=True):
            table = log_softmax(learner, rollout)
            log_probs = table.gather(1, torch.tensor(rollout.token_ids)[:, None])[:, 0]
            loss = -advantage * log_probs + bonus * (table.exp() * table).sum(-1)
            if reference is not None:
                loss = loss + kl * 0.5 * (log_probs - reference(rollout)).square()
            (weight(rollout) * loss.sum()).backward()
    found = flat_gradient(learner)
    learner.optimizer.zero_grad()
    return found


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    scale = float(expected.abs().max())
    assert scale > 1e-4
    assert float((found - expected).abs().max()) < 1e-5 * max(1.0, scale)


# 5.2, 5.3, 5.6, 5.18 Which tokens count, and how much


@pytest.mark.parametrize("budget", [A_ROW_EACH, ALL_AT_ONCE])
@pytest.mark.parametrize("aggregation", ["sequence_mean", "token_mean", "constant"])
def test_the_gradient_is_the_weighted_sum_over_answers_computed_one_by_one(toy, aggregation, budget):
    learner = learner_of(toy, aggregation=aggregation, token_budget=budget)
    shift(learner.model, 0.05)
    # A group without signal keeps its share of the samples; the tokens of a token mean are those learned from.
    signals = (SIGNAL,) * 4 if aggregation == "token_mean" else (SIGNAL, NONE, SIGNAL, SIGNAL)
    groups = groups_of(learner, signals)
    samples, tokens = 12, sum(len(r.token_ids) for g in groups for r in g.episodes)
    weight = {
        "sequence_mean": lambda r: 1 / (samples * len(r.token_ids)),
        "token_mean": lambda r: 1 / tokens,
        "constant": lambda r: 1 / (samples * MAX_TOKENS),
    }[aggregation]
    expected = gradient_by_hand(learner, groups, weight)
    assert_same(gradient(learner, groups), expected)
    assert_same(gradient(learner, groups[::-1]), expected)


@pytest.mark.slow
@pytest.mark.parametrize("budget", [A_ROW_EACH, ALL_AT_ONCE])
def test_kl_and_entropy_are_summed_with_the_weights_of_the_policy_gradient(toy, warmed_up, budget):
    learner = learner_of(toy, warmed_up, kl=0.3, entropy=0.05, aggregation="sequence_mean", token_budget=budget)
    shift(learner.model, 0.05)  # away from the reference
    groups = groups_of(learner)
    frozen = learner_of(toy, warmed_up)

    def reference(rollout: Episode) -> torch.Tensor:
        return torch.tensor(frozen.score([rollout.prompt_ids], [rollout.token_ids])[0])

    expected = gradient_by_hand(learner, groups, lambda r: 1 / (12 * len(r.token_ids)), reference)
    assert_same(gradient(learner, groups), expected)


@pytest.mark.slow
@pytest.mark.parametrize("surrogate", ["clipped", "gspo", "cispo", "reinforce"])
@pytest.mark.parametrize("aggregation", ["sequence_mean", "token_mean", "constant"])
def test_kl_and_entropy_act_on_groups_without_advantage_too(toy, warmed_up, surrogate, aggregation):
    learner = learner_of(toy, warmed_up, kl=0.3, entropy=0.05, aggregation=aggregation, surrogate=surrogate)
    shift(learner.model, 0.05)
    groups = groups_of(learner, (SIGNAL, NONE, NONE))
    frozen = learner_of(toy, warmed_up)
    tokens = sum(len(r.token_ids) for g in groups for r in g.episodes)  # of the groups without advantage, too
    # of 9 answers: 1/(9 L), 1/ΣL, 1/(9 · 16) per token
    weight = {
        "sequence_mean": lambda r: 1 / (9 * len(r.token_ids)),
        "token_mean": lambda r: 1 / tokens,
        "constant": lambda r: 1 / (9 * MAX_TOKENS),
    }[aggregation]

    def reference(rollout: Episode) -> torch.Tensor:
        return torch.tensor(frozen.score([rollout.prompt_ids], [rollout.token_ids])[0])

    assert_same(gradient(learner, groups), gradient_by_hand(learner, groups, weight, reference))


@pytest.mark.parametrize("terms", [{"kl": 0.3}, {"entropy": 0.05}])
def test_a_step_without_any_advantage_is_still_drawn_to_the_reference_and_to_entropy(toy, warmed_up, terms):
    learner = learner_of(toy, warmed_up, minibatches=2, **terms)
    shift(learner.model, 0.05)
    groups, learned = groups_of(learner, (NONE, NONE)), learner.learn
    before = learned(groups, 1)
    assert before["grad_norm"] > 0
    for step in (2, 3, 4):
        after = learned(groups, step)
    if "kl" in terms:
        assert after["kl_reference"] < before["kl_reference"]
    else:
        assert after["entropy_learned"] > before["entropy_learned"]


def test_the_longest_answer_scales_dr_grpo_by_a_constant_only(toy):
    gradients = [
        gradient(learner := learner_of(toy, aggregation="constant", max_tokens=longest), groups_of(learner))
        for longest in (MAX_TOKENS, 2 * MAX_TOKENS)
    ]
    assert_same(2 * gradients[1], gradients[0])


def test_every_sampled_id_is_learned_from_the_id_before_it_eos_included(toy):
    groups = groups_of(learner_of(toy))
    rollouts = [r for g in groups for r in g.episodes]
    packed = pack([g.episodes for g in groups])
    assert packed.targets_N.tolist() == [token for r in rollouts for token in r.token_ids]
    before = [token for r in rollouts for token in (r.prompt_ids[-1], *r.token_ids[:-1])]
    assert packed.ids_M[packed.predictors_N].tolist() == before
    places = [len(r.prompt_ids) - 1 + t for r in rollouts for t in range(len(r.token_ids))]
    assert packed.positions_M[packed.predictors_N].tolist() == places
    assert packed.targets_N.tolist().count(EOS) == sum(r.finish_reason == "stop" for r in rollouts) == 8


def test_an_answer_is_scored_given_its_prompt_and_itself_alone(toy):
    learner = learner_of(toy)
    shift(learner.model, 0.05)
    group, other = groups_of(learner)[:2]
    before = scores_of(learner, [group.episodes, other.episodes])
    (segment,) = group.episodes[1].segments
    changed = replace(group.episodes[1], segments=[segment._replace(ids=[77, *segment.ids[1:]])])
    after = scores_of(learner, [[group.episodes[0], changed, group.episodes[2]], other.episodes])
    moved = [float((a - b).abs().max()) for a, b in zip(after, before, strict=True)]
    assert moved[1] > 1e-3
    assert max(moved[:1] + moved[2:]) < 1e-6


def scores_of(learner: Learner, groups: Sequence[Sequence[Episode]]) -> list[torch.Tensor]:
    """Log-probabilities of each answer, all groups packed into one row."""
    causal_lm, packed = learner.model.get_base_model(), pack(groups)
    with torch.no_grad():
        scores = score_answers(answer_hidden(causal_lm, packed), causal_lm.get_output_embeddings(), packed.targets_N)
    return list(scores.log_probs_N.split([len(r.token_ids) for rollouts in groups for r in rollouts]))


# 5.7 Truncated answers


@pytest.mark.parametrize("aggregation", ["sequence_mean", "token_mean"])
def test_masked_answers_were_cut_at_max_tokens_and_finished_ones_learn_to_end(toy, aggregation):
    learner = learner_of(toy, truncated="mask", aggregation=aggregation)
    shift(learner.model, 0.05)
    groups = groups_of(learner)
    tokens = sum(len(r.token_ids) for g in groups for r in g.episodes if r.finish_reason == "stop")

    def weight(rollout: Episode) -> float:
        if rollout.finish_reason == "length":
            return 0.0
        return 1 / tokens if aggregation == "token_mean" else 1 / (12 * len(rollout.token_ids))

    assert_same(gradient(learner, groups), gradient_by_hand(learner, groups, weight))


# 5.9 Importance ratios


@pytest.mark.parametrize("shifted", [-0.6, 0.1, 1.5])
def test_an_engine_that_was_off_by_a_constant_is_corrected_by_its_ratio_up_to_the_cap(toy, shifted):
    learner = learner_of(toy, surrogate="reinforce", is_cap=2.0)
    shift(learner.model, 0.05)
    fresh = groups_of(learner)
    tokens = sum(len(r.token_ids) for g in fresh for r in g.episodes)
    on_policy = gradient_by_hand(learner, fresh, lambda r: 1 / tokens)
    assert_same(gradient(learner, fresh), on_policy)
    # log π − log μ = shifted for every token: the weight is exp(shifted), at most 2
    stale = [replace(g, episodes=[off_by(shifted, r) for r in g.episodes]) for g in fresh]
    assert_same(gradient(learner, stale), min(2.0, math.exp(shifted)) * on_policy)
    metrics = learner.learn(stale, 1)
    assert metrics["mismatch"] == pytest.approx(abs(shifted), abs=1e-5)
    assert metrics["clipped"] == (1.0 if shifted == 1.5 else 0.0)


# 5.11 Reference policy


def test_the_reference_is_the_warmed_up_policy_and_stays_it(toy, warmed_up):
    learner = learner_of(toy, warmed_up, kl=0.1)
    groups = groups_of(learner)
    with learner.model.disable_adapter():
        base = learner.score([groups[0].episodes[0].prompt_ids], [groups[0].episodes[0].token_ids])[0]
    assert max(abs(a - b) for a, b in zip(base, groups[0].episodes[0].log_probs, strict=True)) > 1e-2
    frozen = {n: p.detach().clone() for n, p in learner.model.named_parameters() if n not in learner.trained}
    assert learner.learn(groups, 1)["kl_reference"] == 0.0, "at step 0 the policy is the reference, exactly"
    assert learner.learn(groups, 2)["kl_reference"] > 1e-4
    assert all(torch.equal(p, dict(learner.model.named_parameters())[n]) for n, p in frozen.items())


# 5.12 Dropout


def test_dropout_in_the_settings_or_in_the_warm_up_is_refused(toy, tmp_path):
    with pytest.raises((AssertionError, UserError), match="dropout must be 0"):
        learner_of(toy, lora=LORA.model_copy(update={"dropout": 0.05}))
    model = policy.load_model(ModelConfig(path=toy), LORA.model_copy(update={"dropout": 0.05}))
    policy.save_adapter(policy.publish(model, 0), tmp_path / "adapter")
    with pytest.raises((AssertionError, UserError), match="dropout must be 0"):
        learner_of(toy, str(tmp_path / "adapter"))


def test_the_same_weights_give_the_same_scores_in_train_mode_bit_for_bit(toy, tmp_path):
    noisy = make_toy_model(tmp_path / "model")
    (noisy / "config.json").write_text(
        (Path(toy) / "config.json").read_text().replace('"attention_dropout": 0.0', '"attention_dropout": 0.5')
    )
    learner = learner_of(str(noisy))
    assert learner.model.training and learner.model.get_base_model().config.attention_dropout == 0.0
    groups = [g.episodes for g in groups_of(learner)]
    assert all(torch.equal(a, b) for a, b in zip(*(scores_of(learner, groups) for _ in range(2)), strict=True))


# 5.17 One step of the optimizer


@pytest.mark.parametrize("budget", [A_ROW_EACH, ALL_AT_ONCE])
def test_a_batch_of_groups_is_one_optimizer_step_clipped_once_all_micro_batches_are_in(toy, budget):
    whole = gradient(learner := learner_of(toy), groups_of(learner))
    limit = 0.1 * float(whole.norm())
    clipped = gradient(learner_of(toy, token_budget=budget, max_grad_norm=limit), groups_of(learner_of(toy)))
    assert torch.allclose(clipped, 0.1 * whole, rtol=1e-3, atol=1e-7)


def test_the_schedule_counts_steps_and_not_minibatches(toy):
    learner = learner_of(toy, warmup_steps=4, minibatches=2, decay=False)
    groups = groups_of(learner)
    rates = [learner.learn(groups, step)["learning_rate"] for step in range(1, 7)]
    assert rates == pytest.approx([0.0025, 0.005, 0.0075, 0.01, 0.01, 0.01])


def test_a_batch_without_signal_takes_no_step_and_says_so(toy):
    learner = learner_of(toy)
    learner.optimizer.step = lambda *_: pytest.fail("nothing to learn")
    metrics = learner.learn(groups_of(learner, (NONE, NONE)), 1)
    assert metrics["grad_norm"] == 0 and metrics["mismatch"] < 1e-5
