"""On-policy distillation: a teacher's log-probabilities of the policy's own tokens."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from evaluation.errors import UserError
from rl import teacher
from rl.algorithms.losses import Tokens
from rl.algorithms.opd import Opd
from rl.config import LearnerConfig, RlConfig, RolloutConfig
from rl.learner import Learner
from rl.run import identity_of
from rl.types import Group
from sft.policy import base as policy
from sft.settings.file import validate
from tests.rl.test_pairs import LORA, group_of, learner_of, merged, model_of, shift, toy, warm
from tests.toy_model import make_toy_model

__all__ = ["toy", "warm"]


@pytest.fixture(scope="module")
def wise(toy: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Another adapter on the same base."""
    model = policy.load_model(model_of(toy), LORA)
    shift(model, 0.05, seed=7)
    policy.save_adapter(policy.publish(model, 0), directory := tmp_path_factory.mktemp("wise") / "adapter")
    return str(directory)


def opd(toy: str, warm: str, taught: str, **settings: Any) -> Learner:
    return learner_of("opd", toy, warm, teacher=taught, **settings)


def tokens_of(log_probs: torch.Tensor, taught: torch.Tensor, weights: torch.Tensor) -> Tokens:
    fixed = torch.full_like(taught, 9.0), weights, torch.arange(len(taught))  # a reward that nothing is learned from
    return Tokens(log_probs, log_probs.detach(), *fixed, teacher_N=taught)


def test_the_loss_of_two_tokens_by_hand() -> None:
    log_probs = torch.tensor([-1.0, -2.0], requires_grad=True)
    loss, metrics = Opd(RolloutConfig(), LearnerConfig()).loss(
        tokens_of(log_probs, torch.tensor([-0.5, -3.0]), torch.ones(2))
    )
    # advantages −0.5 + 1 and −3 + 2, ratios 1
    assert float(loss.detach()) == pytest.approx(-(0.5 - 1.0))
    loss.backward()
    assert log_probs.grad is not None and log_probs.grad.tolist() == pytest.approx([-0.5, 1.0])
    # k3: e^0.5 − 1 − 0.5 and e^−1 − 1 + 1
    assert metrics["kl_teacher"] == pytest.approx(0.148721 + 0.367879, abs=1e-5)


def test_over_all_tokens_the_gradient_is_that_of_the_reverse_kl() -> None:
    logits = torch.tensor([0.3, -1.0, 0.7, 0.0, 2.0], requires_grad=True)
    taught = torch.tensor([1.0, 0.5, -0.2, 0.0, -1.0]).log_softmax(0)
    log_probs = logits.log_softmax(0)
    exact = torch.autograd.grad((log_probs.exp() * (log_probs - taught)).sum(), logits, retain_graph=True)[0]
    loss, _ = Opd(RolloutConfig(), LearnerConfig()).loss(tokens_of(log_probs, taught, log_probs.detach().exp()))
    assert torch.allclose(torch.autograd.grad(loss, logits)[0], exact, atol=1e-6)


def sampled(learner: Learner) -> list[Group]:
    """Groups with the learner's own log-probabilities as the engine's."""
    groups = learner.algorithm.credit([group_of("rw"), group_of("ww", 1)])
    found = []
    for group in groups:
        scores = learner.score([e.prompt_ids for e in group.episodes], [e.token_ids for e in group.episodes])
        pairs = zip(group.episodes, scores, strict=True)
        episodes = [replace(e, segments=(e.segments[0]._replace(log_probs=s),)) for e, s in pairs]
        found.append(replace(group, episodes=episodes))
    return found


def test_the_policy_nears_its_teacher_and_one_that_is_its_own_teacher_stays(toy: str, warm: str, wise: str) -> None:
    learner = opd(toy, warm, wise, learning_rate=3e-3)
    kls = [learner.learn(sampled(learner), step)["kl_teacher"] for step in range(1, 7)]
    assert kls[0] > 0.01 and kls[-1] < 0.7 * kls[0]
    own = opd(toy, warm, warm)
    metrics = own.learn(sampled(own), 1)
    assert metrics["kl_teacher"] == pytest.approx(0, abs=1e-9) and metrics["grad_norm"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("packing", ["shared", "none"])
def test_a_model_teaches_what_the_same_weights_teach_as_an_adapter(
    toy: str, warm: str, wise: str, tmp_path: Path, packing: Any
) -> None:
    policy.save_model(merged(learner_of("grpo", toy, wise)), toy, "float32", tmp_path / "model", {})
    by_adapter, by_model = opd(toy, warm, wise), opd(toy, warm, str(tmp_path / "model"))
    assert by_model.teacher is not None and by_adapter.teacher is None
    by_model.teacher.packing = packing
    groups = by_adapter.algorithm.credit([group_of("rwr"), group_of("ww", 1)])
    one, other = (learner._tokens(groups).teacher_N for learner in (by_adapter, by_model))
    assert one is not None and other is not None and torch.allclose(one, other, atol=1e-5)
    assert not any(p.requires_grad for p in by_model.teacher.causal_lm.parameters())


def test_a_teacher_of_another_tokenizer_context_or_base_is_refused_in_one_line(
    toy: str, wise: str, tmp_path: Path
) -> None:
    other = str(make_toy_model(tmp_path / "other", hidden=32))
    teacher.check(other, model_of(toy), "compact")
    teacher.check(wise, model_of(toy), "compact")
    with pytest.raises(UserError, match="learner.teacher: no adapter, and the model path nope does not exist"):
        teacher.check("nope", model_of(toy), "compact")
    with pytest.raises(UserError, match="does not fit"):
        teacher.check(wise, model_of(other), "compact")
    with pytest.raises(UserError, match=r"learner.teacher: .* reads 1024 tokens, and model.max_length is 2048"):
        teacher.check(other, model_of(toy).model_copy(update={"max_length": 2048}), "compact")
    with pytest.raises(UserError, match=r"sft/tiny must have the tokenizer of .* differ in '") as caught:
        teacher.check("sft/tiny", model_of(toy), "compact")
    assert "\n" not in str(caught.value)


def test_a_teacher_is_asked_for_and_not_left_unread_and_is_the_runs_identity(wise: str, warm: str) -> None:
    with pytest.raises(UserError, match="'opd' needs learner.teacher"):
        validate(RlConfig, {"algorithm": "opd"}, "test")
    with pytest.raises(UserError, match="learner.teacher is not read by algorithm = 'grpo'"):
        validate(RlConfig, {"algorithm": "grpo", "learner": {"teacher": wise}}, "test")
    found = [
        identity_of(validate(RlConfig, {"algorithm": "opd", "learner": {"teacher": one}}, "test"), [])
        for one in (wise, warm)
    ]
    assert found[0]["teacher"] != found[1]["teacher"]
    assert len({json.dumps(one | {"teacher": ""}) for one in found}) == 1
