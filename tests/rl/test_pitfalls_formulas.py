"""What goes wrong in GRPO without anyone noticing, in its formulas: advantages, KL and entropy."""

import math
from typing import Any

import pytest
import torch

from rl.algorithms.advantages import ESTIMATORS, advantages
from rl.algorithms.losses import KlEstimator, LossTerms, kl_term, policy_loss

# 5.1 Advantages


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_advantage_depends_on_its_own_group_and_not_on_order_or_neighbours(estimator: Any) -> None:
    groups = [[1.0, 0.0, 0.0, 0.5], [0.2, 0.9, 0.4, 0.4], [1.0, 0.0, 0.0, 0.5]]
    first, second, twin = advantages(estimator, groups)
    assert first == twin, "the same question twice stays two groups"
    turned = advantages(estimator, [row[::-1] for row in reversed(groups)])
    for found, expected in zip(reversed(turned), (first, second, twin), strict=True):
        assert found[::-1] == pytest.approx(expected)
    if estimator != "reinforce_pp":  # which divides by the spread of the step
        assert advantages(estimator, groups[:1]) == [first]
    assert sum(first) == pytest.approx(0.0, abs=1e-9)


def test_a_dropped_sample_leaves_a_group_with_its_own_statistics() -> None:
    # rewards 1 0 (a third was lost): mean 1/2, sample deviation 1/√2
    short, full = advantages("grpo", [[1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    assert short == pytest.approx([0.5 * 2**0.5, -0.5 * 2**0.5], rel=1e-5)
    assert full == pytest.approx([1.5, -0.5, -0.5, -0.5], rel=1e-5)


# 5.10 KL


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_the_mean_of_samples_of_the_kl_term_is_the_kl_and_so_is_its_gradient(estimator: KlEstimator) -> None:
    logits = torch.tensor([0.3, -1.0, 0.8, 0.0, 0.5], dtype=torch.float64, requires_grad=True)
    reference = torch.tensor([1.0, 0.0, 0.2, -0.4, 0.1], dtype=torch.float64).log_softmax(0)
    log_probs = logits.log_softmax(0)
    exact = (log_probs.exp() * (log_probs - reference)).sum()
    drawn = log_probs.exp().detach().multinomial(400_000, True, generator=torch.Generator().manual_seed(0))
    term = kl_term(estimator, log_probs[drawn], reference[drawn])
    assert term.mean().item() == pytest.approx(exact.item(), rel=0.05)  # k2 is biased: by 4.6 % here
    exact_gradient, gradient = (torch.autograd.grad(x, logits, retain_graph=True)[0] for x in (exact, term.mean()))
    assert torch.allclose(exact_gradient, gradient, atol=2e-3) and float(exact_gradient.abs().max()) > 0.1


def test_the_kl_pulls_towards_the_reference_and_the_entropy_bonus_flattens() -> None:
    log_probs = torch.tensor([-1.0, -3.0], requires_grad=True)
    fixed = log_probs.detach(), torch.zeros(2), torch.ones(2)  # no advantage
    loss, metrics = policy_loss(log_probs, *fixed, LossTerms(kl=0.5), torch.tensor([-2.0, -2.0]))
    # 0.5 · d ½k1² = 0.5 · k1 = ±0.5: likelier than the reference is pushed down, less likely pulled up
    assert torch.autograd.grad(loss, log_probs)[0].tolist() == pytest.approx([0.5, -0.5])
    # k3 of k1 = ±1: e⁻¹ and e − 2
    assert metrics["kl_reference_sum"] == pytest.approx(math.exp(-1) + math.e - 2)
    entropy = torch.tensor([1.0, 1.0], requires_grad=True)
    loss, _ = policy_loss(log_probs, *fixed, LossTerms(entropy=0.1), None, entropy)
    assert torch.autograd.grad(loss, entropy)[0].tolist() == pytest.approx([-0.1, -0.1])
