"""What is trained is what the model is, family by family; what is not is refused or learns unpacked."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from evaluation.errors import UserError
from sft.check_model import main
from sft.config import ModelConfig
from sft.policy import attention, dropout, support
from sft.policy.answers import answer_scores
from sft.policy.packing import Branch, Row, pack_rows
from tests.sft.families import OTHERS, SHARED, WINDOW, tiny

ROWS = [
    Row(
        list(range(10, 40)),
        [Branch.of((), [41, 42, 43]), Branch.of([44, 45], list(range(46, 66))), Branch.of((), [50])],
    ),
    Row([7, 8, 9], [Branch.of((), [5, 6]), Branch.of((), [9, 9, 9, 9])]),
]


def made(family: str) -> Any:
    model = tiny(*{**SHARED, **OTHERS}[family])
    dropout.silence(model)
    return model


def difference(found: support.Support) -> float:
    assert found.max_difference is not None
    return found.max_difference


def alone(model, prompt: list[int], answer: list[int]) -> Tensor:
    logits = model(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
    return torch.stack([logits[len(prompt) - 1 + i, token] for i, token in enumerate(answer)])


def all_alone(model) -> Tensor:
    attention.uninstall(model)
    return torch.cat([alone(model, [*r.prefix, *b.context], list(b.answer)) for r in ROWS for b in r.branches])


@pytest.mark.parametrize("family", SHARED)
def test_packed_rows_equal_plain_forwards(family):
    model = made(family)
    found = support.support_of(model, 256)
    assert (found.supported, found.packing, found.reason) == (True, "shared", "") and difference(found) < 1e-5
    with torch.no_grad():
        ours = answer_scores(model.train(), pack_rows(ROWS), "shared").log_probs_N
        theirs = all_alone(model.eval())
    assert torch.allclose(ours, theirs, atol=2e-5)


@pytest.mark.parametrize("family", OTHERS)
def test_any_other_family_is_exact_packed_or_one_by_one(family):
    model = made(family)
    found = support.support_of(model, 256)
    assert found.supported and difference(found) < 1e-5
    assert found.packing == "shared" or found.reason


def test_one_by_one_a_context_is_read_and_answers_come_in_order():
    model = made("qwen2")
    pairs = [(row, branch) for row in ROWS for branch in row.branches]
    rows = [Row([*row.prefix, *branch.context], [Branch.of((), branch.answer)]) for row, branch in pairs]
    with torch.no_grad():
        ours = answer_scores(model, pack_rows(rows), "none", temperature=1.0).log_probs_N
        assert torch.allclose(ours, all_alone(model), atol=1e-6)


@pytest.mark.parametrize("family", ["gemma2", "gemma3", "phi3 window"])
def test_gradients_through_windows_and_caps_equal_those_of_separate_sequences(family):
    model, gradients = made(family), []
    for packed in (True, False):
        model.zero_grad()
        if packed:
            attention.install(model)
            loss = answer_scores(model, pack_rows(ROWS), "shared").log_probs_N.sum()
        else:
            loss = all_alone(model).sum()
        loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-4) and gradients[0].abs().max() > 1


@pytest.mark.parametrize(
    ("family", "key"),
    [("mistral window", "sliding_window"), ("gemma2", "softcap"), ("gemma3", "sliding_window")],
)
def test_a_term_of_attention_that_goes_unseen_is_found(family, key, monkeypatch):
    def deaf(*args, **options):
        options.pop(key, None)
        return attention._forward(attention.packed_attention, *args, **options)

    monkeypatch.setattr(attention, "_packed_forward", deaf)
    monkeypatch.setattr(support, "_FOUND", {})
    found = support.support_of(made(family), 256)
    assert found.supported and found.packing == "none" and "differ by" in found.reason


def test_what_scales_the_logits_is_found_when_its_name_is_not_known(monkeypatch):
    monkeypatch.setattr("sft.policy.answers.Head.__call__", lambda self, hidden: self.layer(hidden))
    monkeypatch.setattr(support, "_FOUND", {})
    for family in ("granite", "cohere2", "gemma2"):
        found = support.support_of(made(family), 256)
        assert found.supported and found.packing == "none" and "differ by" in found.reason


def test_a_window_that_training_does_not_reach_is_not_tried_and_one_that_it_does_is_passed():
    model = made("mistral window")
    assert len(support._trial(model, WINDOW).prefix) < WINDOW
    row = support._trial(model, 256)
    assert len(row.prefix) > WINDOW and all(len(branch.answer) > 1 for branch in row.branches)


def test_dropout_that_is_a_function_is_found_where_it_is_not_silenced():
    found = support.support_of(tiny(*SHARED["starcoder2"]), 256)
    assert not found.supported and "between training and use" in found.reason
    model = made("starcoder2")
    assert model.config.residual_dropout == model.model.layers[0].mlp.residual_dropout == 0.0


def test_a_model_that_sees_the_future_is_refused():
    model = tiny("Bert", {})
    dropout.silence(model)
    with pytest.raises(UserError, match="the model bert cannot be trained: it is not causal"):
        support.ready(model, ModelConfig(path="bert"))


def test_rotary_frequencies_that_would_switch_within_a_batch_learn_one_by_one_and_not_by_reward():
    model, settings = made("phi3 longrope"), ModelConfig(path="phi", max_length=300)
    assert support.ready(model, settings).notice.startswith("learns unpacked, which is slower and as exact: longrope")
    with pytest.raises(UserError, match="longrope rotary frequencies change beyond 256 tokens.*set model.max_length"):
        support.ready(model, settings, sampled=True)


def test_in_bf16_the_proof_is_as_sharp_as_in_fp32_and_leaves_the_model_as_it_was():
    model = made("gemma2").to(torch.bfloat16).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = support.support_of(model, 256)
    assert found.packing == "shared" and difference(found) < 1e-5
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) and after[name].dtype == value.dtype for name, value in before.items())
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_model_is_proved_once_in_a_process(monkeypatch):
    support.support_of(made("qwen3"), 256)
    monkeypatch.setattr(support, "_prove", lambda *_: pytest.fail("proved again"))
    assert support.support_of(made("qwen3"), 256).packing == "shared"


def checked(capsys, directory, *options: str) -> tuple[int, dict[str, Any]]:
    code = main(["--model", str(directory), *options])
    (line,) = capsys.readouterr().out.splitlines()
    return code, json.loads(line)


@pytest.mark.parametrize(
    ("family", "quantization", "packing"),
    [("gemma2", "none", "shared"), ("qwen3", "nf4", "shared"), ("bloom", "none", "none"), ("gpt2", "nf4", "shared")],
)
def test_check_model_answers_in_one_line_of_json(family, quantization, packing, tmp_path, capsys):
    made(family).save_pretrained(tmp_path)
    code, found = checked(capsys, tmp_path, "--quantization", quantization)
    assert code == 0 and found["supported"] and found["packing"] == packing and found["max_difference"] <= 1e-4
    assert bool(found["reason"]) == (packing == "none")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "chatglm", "auto_map": {"AutoConfig": "c.C", "AutoModelForCausalLM": "m.M"}}, "custom code"),
        ({"model_type": "nonsense"}, "nonsense"),
        ({"model_type": "t5"}, "T5Config"),
        ({"model_type": "llama", "hidden_size": 64}, "cannot be loaded"),
        ([], "must be a JSON object"),
    ],
)
def test_check_model_refuses_what_it_cannot_load_in_one_line(config, reason, tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps(config))
    code, found = checked(capsys, tmp_path)
    assert code == 2 and not found["supported"] and reason in found["reason"] and found["max_difference"] is None


def test_check_model_refuses_a_place_where_there_is_none(tmp_path, capsys):
    code, found = checked(capsys, tmp_path / "no" / "model")
    assert code == 2 and "does not exist" in found["reason"]
