import pytest
import torch

from rl.losses import LossTerms, k2, policy_loss, token_weights

DEFAULT = LossTerms()


def loss_of(log_probs, behaviour, advantages, terms=DEFAULT):
    parameter = torch.tensor(log_probs, requires_grad=True)
    weights = torch.full((len(log_probs),), 1.0 / len(log_probs))
    loss, metrics = policy_loss(parameter, torch.tensor(behaviour), torch.tensor(advantages), weights, terms)
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
    lengths = [10, 1000]
    short, long = token_weights(lengths, 2, "sequence_mean", 1000)
    assert short == pytest.approx(100 * long)
    assert len(set(token_weights(lengths, 2, "token_mean", 1000))) == 1
    assert len(set(token_weights(lengths, 2, "constant", 1000))) == 1
    assert token_weights(lengths, 2, "constant", 500)[0] == 2 * token_weights(lengths, 2, "constant", 1000)[0]


def test_the_kl_term_has_the_gradient_of_the_kl_itself():
    # E over samples of the gradient of k2 equals d KL(π‖ref)/dθ on a five-token categorical, exactly
    logits = torch.tensor([0.3, -1.0, 0.8, 0.0, 0.5], dtype=torch.float64, requires_grad=True)
    reference = torch.tensor([1.0, 0.0, 0.2, -0.4, 0.1], dtype=torch.float64).log_softmax(0)
    log_probs = logits.log_softmax(0)
    exact = torch.autograd.grad((log_probs.exp() * (log_probs - reference)).sum(), logits, retain_graph=True)[0]
    estimate = torch.autograd.grad((log_probs.exp().detach() * k2(log_probs, reference)).sum(), logits)[0]
    assert torch.allclose(exact, estimate, atol=1e-12)
