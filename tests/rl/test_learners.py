"""Several ranks, one step."""

import torch

from rl.learners import same_step
from sft.policy.ranks import Ranks


def test_ranks_may_differ_by_the_order_of_summation_and_by_nothing_else() -> None:
    assert same_step([1.0]) and same_step([0.5, 0.5]) and same_step([0.0, 0.0])
    assert same_step([1.0, 1.0000001, 0.9999])
    assert not same_step([1.0, 1.01]) and not same_step([0.0, 1e-6])


def test_alone_the_norm_is_its_own() -> None:
    norm = torch.tensor(2.5)
    assert Ranks().first(norm) is norm
