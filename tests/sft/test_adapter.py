"""Adapters trained elsewhere: which are served, and which are refused in one line before anything starts."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import safetensors.torch
import torch
import transformers

import rl.predict
import sft.merge
from evaluation.errors import UserError
from rl.config import RlConfig
from rl.memory import adapter_rank
from rl.plan import check_inputs
from rl.train.driver import train_run
from sft.config import ModelConfig
from sft.policy import provenance
from sft.policy.adapter import CONFIG, WEIGHTS, check_adapter
from sft.policy.base import load_model, read_adapter
from tests.toy_model import make_toy_model

Tensors = dict[str, torch.Tensor]
LAYERS = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
Q0 = "base_model.model.model.layers.0.self_attn.q_proj"


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy_model(tmp_path_factory.mktemp("toy") / "model")


def foreign(toy: Path, out: Path, **settings: Any) -> Path:
    """An adapter as PEFT alone writes it, random and far from zero."""
    base = transformers.AutoModelForCausalLM.from_pretrained(toy, dtype=torch.float32)
    settings = {"r": 8, "lora_alpha": 16, "target_modules": LAYERS, "task_type": "CAUSAL_LM"} | settings
    model = peft.get_peft_model(base, peft.LoraConfig(**settings))
    torch.manual_seed(1)
    for name, value in model.named_parameters():
        if "lora_" in name:
            value.data = torch.randn_like(value) * 0.1
    model.save_pretrained(str(out))
    return out


@pytest.fixture(scope="module")
def adapter(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return foreign(toy, tmp_path_factory.mktemp("foreign") / "adapter")


def changed(
    adapter: Path,
    out: Path,
    config: dict[str, Any] | str | None = None,
    weights: Callable[[Tensors], object] | bytes | None = None,
) -> Path:
    shutil.copytree(adapter, out)
    if isinstance(config, str):
        (out / CONFIG).write_text(config)
    elif config:
        (out / CONFIG).write_text(json.dumps(json.loads((out / CONFIG).read_text()) | config))
    if isinstance(weights, bytes):
        (out / WEIGHTS).write_bytes(weights)
    elif weights:
        tensors = safetensors.torch.load_file(out / WEIGHTS)
        weights(tensors)
        safetensors.torch.save_file(tensors, out / WEIGHTS)
    return out


SETTINGS = {
    "use_dora": True, "modules_to_save": ["lm_head"], "bias": "lora_only", "lora_bias": True, "use_qalora": True,
    "trainable_token_indices": [1, 2], "target_parameters": ["mlp.experts.down_proj"], "layer_replication": [[0, 2]],
    "alora_invocation_tokens": [5], "use_bdlora": {"nblocks": 2}, "kasa_config": {"beta": 1}, "of_a_later_peft": "yes",
}  # fmt: skip
INITS = ["pissa", "pissa_niter_16", "olora", "OLoRA", "corda", "loftq", "lora_ga"]
OTHERS = ["IA3", "LOHA", "LOKR", "ADALORA", "PROMPT_TUNING", "OFT", "VERA", None]


@pytest.mark.parametrize("key", SETTINGS)
def test_what_the_engine_cannot_serve_is_named(adapter, tmp_path, key):
    with pytest.raises(UserError, match=f"must be plain LoRA, but uses {key} = "):
        check_adapter(changed(adapter, tmp_path / "a", {key: SETTINGS[key]}))


@pytest.mark.parametrize("init", INITS)
def test_an_adapter_that_changed_its_base_when_it_began_is_refused(adapter, tmp_path, init):
    with pytest.raises(UserError, match="uses init_lora_weights"):
        check_adapter(changed(adapter, tmp_path / "a", {"init_lora_weights": init}))


@pytest.mark.parametrize("kind", OTHERS)
def test_another_kind_of_adapter_is_refused(adapter, tmp_path, kind):
    with pytest.raises(UserError, match="must be plain LoRA, got peft_type"):
        check_adapter(changed(adapter, tmp_path / "a", {"peft_type": kind}))


@pytest.mark.parametrize(
    "config, says",
    [
        ('{"r": 16,', "must be JSON"),
        ("", "must be JSON"),
        ("[]", "must be a JSON object, got a list"),
        ({"r": "8"}, 'got r = "8"'),
        ({"r": 0}, "got r = 0"),
        ({"r": 16}, "of rank 8, but its adapter_config.json says 16"),
        ({"r": 4096}, "LoRA rank must be at most 512"),
        ({"lora_alpha": None}, "got lora_alpha = null"),
        ({"rank_pattern": {"q_proj": 16}}, "q_proj.* of rank 8, but its adapter_config.json says 16"),
        ({"rank_pattern": {"q_proj": "x"}}, "got rank_pattern.q_proj"),
        ({"alpha_pattern": [1]}, "must have a JSON object as alpha_pattern"),
        ({"target_modules": []}, "must name its layers"),
        ({"target_modules": ["q_proj"]}, "weights without a place"),
        ({"layers_to_transform": [0]}, "weights without a place"),
        ({"target_modules": ["no_such_layer"]}, "does not fit"),
    ],
)
def test_a_config_that_is_broken_or_not_of_these_weights_is_refused(toy, adapter, tmp_path, config, says):
    with pytest.raises(UserError, match=says) as error:
        check_adapter(changed(adapter, tmp_path / "a", config), toy)
    assert "\n" not in str(error.value)


def half(tensors: Tensors) -> None:
    for name in sorted(tensors)[: len(tensors) // 2]:
        del tensors[name]


@pytest.mark.parametrize(
    "weights, says",
    [
        (b"", "broken or not whole"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "broken or not whole"),
        (lambda tensors: tensors.clear(), "holds no weights"),
        (half, "lacks 14 weights"),
        (lambda tensors: tensors.pop(f"{Q0}.lora_B.weight"), "but no .*lora_B.* the file is not whole"),
        (lambda tensors: tensors.update({"base_model.model.lm_head.weight": torch.zeros(2, 2)}), "but has .*lm_head"),
        (lambda tensors: tensors.update({f"{Q0}.lora_magnitude_vector": torch.zeros(2)}), "but has .*magnitude"),
        (lambda tensors: tensors[f"{Q0}.lora_A.weight"].fill_(float("nan")), "must hold finite"),
        (lambda tensors: tensors.update({f"{Q0}.lora_A.weight": torch.zeros(8, 32)}), r"shape \[8, 32\], there .*64"),
    ],
)
def test_a_file_of_weights_that_is_not_whole_is_refused(toy, adapter, tmp_path, weights, says):
    with pytest.raises(UserError, match=says):
        check_adapter(changed(adapter, tmp_path / "a", weights=weights), toy)


def test_a_file_cut_in_two_and_one_that_is_missing_are_refused(adapter, tmp_path):
    whole = (adapter / WEIGHTS).read_bytes()
    with pytest.raises(UserError, match="broken or not whole"):
        check_adapter(changed(adapter, tmp_path / "half", weights=whole[: len(whole) // 2]))
    (tmp_path / "half" / WEIGHTS).unlink()
    with pytest.raises(UserError, match=f"no {WEIGHTS} there"):
        check_adapter(tmp_path / "half")


def test_an_adapter_outside_the_layers_is_refused(toy, tmp_path):
    def lean(tensors: Tensors) -> None:  # PEFT stores the head itself, too
        for name in [name for name in tensors if "base_layer" in name]:
            del tensors[name]

    with pytest.raises(UserError, match="but has .*embed_tokens"):
        check_adapter(foreign(toy, tmp_path / "embedding", target_modules=[*LAYERS, "embed_tokens"]), toy)
    head = foreign(toy, tmp_path / "head", target_modules=[*LAYERS, "lm_head"])
    with pytest.raises(UserError, match="but has .*lm_head.base_layer"):
        check_adapter(head, toy)
    with pytest.raises(UserError, match="changes the output head"):
        check_adapter(changed(head, tmp_path / "lean", weights=lean), toy)


def test_an_adapter_of_another_base_is_refused(adapter, tmp_path):
    wide = make_toy_model(tmp_path / "wide", hidden=128)
    with pytest.raises(UserError, match="give the base that it was trained on"):
        check_adapter(adapter, wide)
    flat = make_toy_model(tmp_path / "flat", layers=1)
    with pytest.raises(UserError, match="14 weights without a place"):
        check_adapter(adapter, flat)


@pytest.mark.parametrize(
    "settings",
    [
        {"rank_pattern": {"q_proj": 16, "layers.1.mlp.up_proj": 2}, "alpha_pattern": {"q_proj": 32}},
        {"use_rslora": True, "lora_alpha": 8},
        {"r": 12},
        {"target_modules": "all-linear"},
        {"target_modules": r".*\.(q_proj|v_proj)"},
        {"layers_to_transform": [1]},
        {"init_lora_weights": "gaussian", "lora_dropout": 0.1},
    ],
)
def test_any_plain_lora_is_taken(toy, tmp_path, settings):
    check_adapter(foreign(toy, tmp_path / "a", **settings), toy)


def test_the_engine_has_room_for_the_largest_rank(toy, tmp_path):
    mixed = foreign(toy, tmp_path / "a", rank_pattern={"q_proj": 16})
    assert adapter_rank(RlConfig(init_adapter=str(mixed))) == 16


def test_every_command_refuses_before_anything_starts(toy, adapter, tmp_path, capsys):
    bad = changed(adapter, tmp_path / "bad", {"use_dora": True})
    model = ModelConfig(path=str(toy))
    lines = {
        rl.predict: ["--benchmark", "tiny", "--out", str(tmp_path / "p.jsonl")],
        sft.merge: ["--out", str(tmp_path / "merged")],
    }
    for command, more in lines.items():
        assert command.main(["--model", str(toy), "--adapter", str(bad), *more]) == 2
        said = capsys.readouterr()
        assert "uses use_dora = true" in said.err and len(said.err.splitlines()) == 1 and not said.out
    config = RlConfig.model_validate({"init_adapter": str(bad), "model": model, "run": {"dir": str(tmp_path)}})
    refusals: list[Callable[[], object]] = [
        lambda: train_run(config, None),
        lambda: check_inputs(config, None),
        lambda: load_model(model, adapter=bad),
        lambda: read_adapter(bad),
        lambda: provenance.check(bad, model, "compact"),
    ]
    for refused in refusals:
        with pytest.raises(UserError, match="uses use_dora = true"):
            refused()
    assert os.listdir(tmp_path) == ["bad"]
