import math

import pytest
import torch

from rl.algorithms.losses import SURROGATES, LossTerms, Surrogate, divisor, kl_term, policy_loss, token_weight

DEFAULT = LossTerms()


def loss_of(log_probs, behaviour, advantages, terms=DEFAULT, answers=None):
    parameter = torch.tensor(log_probs, requires_grad=True)
    weights = torch.full((len(log_probs),), 1.0 / len(log_probs))
    fixed = torch.tensor(behaviour), torch.tensor(advantages), weights
    loss, metrics = policy_loss(parameter, *fixed, terms, answers_N=answers)
    loss.backward()
    return float(loss.detach()), parameter.grad.tolist(), metrics


def test_on_policy_the_gradient_is_minus_the_advantage():
    # ratio 1: d(-A·ratio)/d log π = -A, times the weight 1/2
    loss, gradient, metrics = loss_of([-1.0, -2.0], [-1.0, -2.0], [1.0, -0.5])
    assert gradient == pytest.approx([-0.5, 0.25])
    assert metrics["clipped_sum"] == 0 and metrics["mismatch_sum"] == 0


def test_tokens_beyond_the_clip_bounds_stop_learning_only_in_the_direction_that_goes_further():
    # ratio e^0.5 = 1.65 > 1.28: positive advantage is clipped, negative one is not
    _, gradient, metrics = loss_of([0.5, 0.5], [0.0, 0.0], [1.0, -1.0], LossTerms(clip_low=0.2, clip_high=0.28))
    assert gradient[0] == 0.0
    assert gradient[1] == pytest.approx(0.5 * torch.tensor(0.5).exp().item())
    assert metrics["clipped_sum"] == 1


def test_long_answers_weigh_less_per_token_only_under_sequence_mean():
    short, long = (token_weight(length, "sequence_mean", 1000) for length in (10, 1000))
    assert short == pytest.approx(100 * long)
    assert token_weight(10, "token_mean", 1000) == token_weight(1000, "token_mean", 1000)
    assert token_weight(10, "constant", 1000) == token_weight(1000, "constant", 1000)
    assert token_weight(10, "constant", 500) == 2 * token_weight(10, "constant", 1000)
    assert divisor("token_mean", samples=2, tokens=1010) == 1010 and divisor("constant", samples=2, tokens=1010) == 2


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_the_kl_term_has_the_gradient_of_the_kl_itself(estimator):
    # E over samples of the gradient of the term equals d KL(π‖ref)/dθ on a five-token categorical, exactly
    logits = torch.tensor([0.3, -1.0, 0.8, 0.0, 0.5], dtype=torch.float64, requires_grad=True)
    reference = torch.tensor([1.0, 0.0, 0.2, -0.4, 0.1], dtype=torch.float64).log_softmax(0)
    log_probs = logits.log_softmax(0)
    exact_value = (log_probs.exp() * (log_probs - reference)).sum()
    exact = torch.autograd.grad(exact_value, logits, retain_graph=True)[0]
    expected = (log_probs.exp().detach() * kl_term(estimator, log_probs, reference)).sum()
    estimate = torch.autograd.grad(expected, logits)[0]
    assert torch.allclose(exact, estimate, atol=1e-12)
    assert estimator == "k2" or torch.isclose(expected, exact_value)
    assert not kl_term(estimator, log_probs, log_probs.detach()).any()


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_every_surrogate_is_the_policy_gradient_on_policy(surrogate: Surrogate) -> None:
    answers = torch.tensor([0, 0, 1])
    on_policy = [-1.0, -2.0, -0.5]
    _, gradient, _ = loss_of(on_policy, on_policy, [1.0, 1.0, -0.5], LossTerms(surrogate=surrogate), answers)
    assert gradient == pytest.approx([-1 / 3, -1 / 3, 0.5 / 3])


def test_gspo_clips_whole_answers():
    # log-ratios 0.6 and −0.2 have the mean 0.2: ratio 1.22 is within 1.28, though the first token alone is not
    terms = LossTerms(surrogate="gspo", clip_high=0.28)
    _, gradient, metrics = loss_of([0.6, -0.2], [0.0, 0.0], [1.0, 1.0], terms, torch.tensor([0, 0]))
    assert gradient == pytest.approx([-math.exp(0.2) / 2] * 2) and metrics["clipped_sum"] == 0
    _, gradient, metrics = loss_of([0.8, 0.0], [0.0, 0.0], [1.0, 1.0], terms, torch.tensor([0, 0]))
    assert gradient == [0.0, 0.0] and metrics["clipped_sum"] == 2


def test_cispo_and_reinforce_bound_the_weight_and_keep_the_gradient():
    # ratio e = 2.72: clipped would stop learning; cispo weighs 1.28, reinforce 2
    cispo, reinforce = LossTerms(surrogate="cispo", clip_high=0.28), LossTerms(surrogate="reinforce", is_cap=2.0)
    for terms, weight in ((cispo, 1.28), (reinforce, 2.0)):
        _, gradient, metrics = loss_of([1.0, -1.0], [0.0, 0.0], [1.0, 1.0], terms)
        assert gradient == pytest.approx([-weight / 2, -math.exp(-1.0) / 2])
        assert metrics["clipped_sum"] == 1


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_without_advantage_kl_and_entropy_are_all_that_is_left(surrogate: Surrogate) -> None:
    # weights 1/2 each. k2 of log π − log π_ref = 0.5, −1: ½(0.25, 1) · 0.1 = 0.0125, 0.05. Entropy 0.2 · (1, 3).
    # loss = ½(0.0125 + 0.05) − ½ · 0.2 · 4 = −0.36875; d/d log π = ½ · 0.1 · (0.5, −1); d/d H = ½ · −0.2
    log_probs = torch.tensor([-1.0, -2.0], requires_grad=True)
    entropy = torch.tensor([1.0, 3.0], requires_grad=True)
    terms = LossTerms(surrogate=surrogate, kl=0.1, entropy=0.2)
    none, half, behaviour = torch.zeros(2), torch.full((2,), 0.5), torch.tensor([-1.3, -1.1])
    reference, answers = torch.tensor([-1.5, -1.0]), torch.tensor([0, 1])
    loss, _ = policy_loss(log_probs, behaviour, none, half, terms, reference, entropy, answers)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(-0.36875)
    assert log_probs.grad is not None and log_probs.grad.tolist() == pytest.approx([0.025, -0.05])
    assert entropy.grad is not None and entropy.grad.tolist() == pytest.approx([-0.1, -0.1])
