"""A model whose attention cannot be packed learns each answer as a sequence of its own, by SFT and by reward."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.pytorch_utils import Conv1D

from rl.config import LearnerConfig
from rl.learner import Learner
from rl.types import Episode, Group, Reward
from sft.config import LoraConfig, ModelConfig, SftConfig
from sft.policy import attention
from sft.policy import base as policy
from sft.policy.device import Device
from sft.trainer import AnswerTrainer
from tests.rl.question import question
from tests.sft.families import OTHERS, SHARED, tiny
from tests.sft.test_batches import questions
from tests.toy_model import make_toy_model

LORA = LoraConfig(r=8, alpha=16)


def saved(family: str, directory: Path) -> str:
    """The family's tiny model with the toy model's tokenizer."""
    make_toy_model(directory)
    tiny(*{**SHARED, **OTHERS}[family]).save_pretrained(directory)
    return str(directory)


@pytest.fixture(scope="module")
def stablelm(tmp_path_factory) -> str:
    return saved("stablelm", tmp_path_factory.mktemp("stablelm"))


def plain_log_probs(model: Any, prompt: list[int], answer: list[int]) -> torch.Tensor:
    logits = model(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
    return torch.stack([logits[len(prompt) - 1 + i, token] for i, token in enumerate(answer)])


def test_a_step_of_sft_has_the_loss_of_plain_forwards(stablelm, tmp_path, capsys):
    settings = {
        "run": {"name": "plain", "dir": str(tmp_path)},
        "model": {"path": stablelm, "quantization": "none", "dtype": "float32", "max_length": 256},
        "lora": {"r": 8},
        "train": {"mode": "lora", "batch_size": 4},
    }
    config, items = SftConfig.model_validate(settings), questions(databases=1, each=4)
    model = policy.load_model(config.model, config.lora)
    trainer = AnswerTrainer(config, model, policy.load_tokenizer(stablelm), items)
    assert trainer.gradient.packing == "none" and f"{stablelm} learns unpacked" in capsys.readouterr().out
    loss = float(trainer.training_step(model, trainer.data_collator([{"step": 0}])))
    with torch.no_grad():
        wanted = torch.cat([plain_log_probs(model.eval(), item.prompt_ids, item.completion_ids) for item in items])
    assert loss == pytest.approx(-float(wanted.mean()), abs=1e-5)
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def learner_of(path: str, **settings: Any) -> Learner:
    model = ModelConfig(path=path, dtype="float32", quantization="none", max_length=256)
    config = LearnerConfig(warmup_steps=0, **settings)
    return Learner(model, LORA, config, "", 1.0, 16, total_steps=10, seed=0)


def groups() -> list[Group]:
    answers = [[41, 42, 43], [44, 45], [46, 47, 48, 49]]
    made = []
    for q, prompt in enumerate(([7, 8, 9, 10], [11, 12])):
        rollouts = [Episode.single(k, prompt, a, [-6.0] * len(a), "stop", 0) for k, a in enumerate(answers)]
        made.append(Group(question(f"q{q}"), rollouts, [Reward(1.0, {}, "correct")] * 3, [1.0, -0.5, -0.5]))
    return made


def gradient(learner: Learner) -> torch.Tensor:
    learner._apply = lambda step, totals: None  # type: ignore[method-assign]  # keep it for inspection
    learner.learn(groups(), 1)
    return torch.cat([p.grad.flatten() for p in learner.trained.values() if p.grad is not None])


def test_the_learner_scores_answers_as_plain_forwards_do(stablelm):
    learner = learner_of(stablelm)
    assert learner.packing == "none" and "learns unpacked" in learner.notice()
    prompts, answers = [[7, 8, 9], [11, 12]], [[41, 42, 43], [44, 45]]
    model = learner.model.get_base_model()
    with torch.no_grad():
        wanted = [plain_log_probs(model, *pair).tolist() for pair in zip(prompts, answers, strict=True)]
    assert [pytest.approx(one, abs=1e-5) for one in wanted] == learner.score(prompts, answers)


@pytest.mark.parametrize("budget", [64, 100_000])
def test_the_gradient_of_a_step_is_that_of_packed_rows(budget, tmp_path):
    path = saved("qwen3", tmp_path)
    packed, unpacked = learner_of(path), learner_of(path, token_budget=budget)
    attention.uninstall(unpacked.model.get_base_model())
    unpacked.packing = "none"
    wanted, found = gradient(packed), gradient(unpacked)
    assert wanted.abs().max() > 1e-3 and torch.allclose(wanted, found, atol=1e-6)


def test_a_step_with_nothing_to_learn_compares_engine_and_learner_unpacked_too(stablelm):
    learner = learner_of(stablelm)
    flat = [Group(group.example, group.episodes, group.rewards, [0.0] * 3) for group in groups()]
    assert learner.learn(flat, 1)["mismatch"] > 0


def test_layers_of_gpt2_that_are_no_linear_ones_get_an_adapter_that_learns(tmp_path):
    path = saved("gpt2", tmp_path)
    assert policy.adapted_layers(Path(path)) == ["c_attn", "c_fc", "c_proj"]
    learner = learner_of(path)
    assert any(isinstance(layer, Conv1D) for layer in learner.model.modules())
    assert gradient(learner).abs().max() > 1e-3


def test_experts_that_are_one_tensor_have_no_adapter_and_no_room_in_the_engine(tmp_path):
    path = saved("mixtral", tmp_path)
    model = policy.load_model(ModelConfig(path=path, quantization="none", dtype="float32"), LORA)
    changed = {name.split(".")[-4] for name, value in model.named_parameters() if value.requires_grad}
    assert set(policy.adapted_layers(Path(path))) == changed == {"q_proj", "k_proj", "v_proj", "o_proj"}


def test_recomputation_in_the_backward_pass_casts_no_activation_up(tmp_path, monkeypatch):
    for module in ("rl.learner", "sft.policy.base"):  # whatever the CPU is fast in
        monkeypatch.setattr(f"{module}.detect", lambda: Device("cpu", bf16=True))
    path = saved("qwen2", tmp_path)
    model = ModelConfig(path=path, dtype="bfloat16", quantization="none", max_length=256)
    config = LearnerConfig(warmup_steps=0, gradient_checkpointing=True)
    learner = Learner(model, LORA, config, "", 1.0, 16, total_steps=10, seed=0)
    seen: list[torch.dtype] = []
    for name, module in learner.model.named_modules():
        if name.endswith("lora_A.default"):
            module.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].dtype))
    with torch.no_grad():
        learner.score([[7, 8, 9]], [[41, 42]])
    once = len(seen)
    learner.learn(groups(), 1)
    assert len(seen) == 3 * once and set(seen) == {torch.bfloat16}  # forward, and again in the backward pass
