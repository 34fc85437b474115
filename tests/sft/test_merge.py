"""Merging: the sum in full precision, a folder that loads, and what is refused."""

import json
import shutil
from pathlib import Path

import peft
import pytest
import safetensors.torch
import torch
import transformers

from evaluation.errors import UserError
from sft.config import LoraConfig, ModelConfig, SftConfig
from sft.merge import REPORT, export, main, merge
from sft.policy import base as policy
from sft.policy import provenance
from tests.toy_model import make_toy_model

IDS = torch.randint(0, 400, (2, 40), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    return make_toy_model(tmp_path_factory.mktemp("toy") / "model")


@pytest.fixture(scope="module")
def adapter(toy, tmp_path_factory) -> Path:
    """Random, and far from zero."""
    model = policy.load_model(ModelConfig(path=str(toy)), LoraConfig(r=8, alpha=16))
    torch.manual_seed(1)
    for name, value in model.named_parameters():
        if "lora_" in name:
            value.data = torch.randn_like(value) * 0.05
    directory = tmp_path_factory.mktemp("run") / "adapter"
    policy.save_adapter(policy.publish(model, 3), directory, provenance.as_file(ModelConfig(path=str(toy)), "compact"))
    return directory


def config(toy: Path) -> SftConfig:
    return SftConfig.model_validate({"model": {"path": str(toy)}})


def test_the_merged_model_is_the_adapter_on_the_values_it_was_trained_on(toy, adapter):
    base = transformers.AutoModelForCausalLM.from_pretrained(
        policy.served_base(ModelConfig(path=str(toy))), dtype=torch.float32
    )
    with torch.no_grad():
        plain = base(IDS).logits
        expected = peft.PeftModel.from_pretrained(base, str(adapter))(IDS).logits
        found = merge(config(toy), adapter)(IDS).logits
    assert float((found - expected).abs().max()) < 1e-5 < float((plain - expected).abs().max())


def test_the_export_loads_in_bf16_with_the_tokenizer_as_it_was(toy, adapter, tmp_path):
    export(config(toy), adapter, tmp_path / "merged")
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert loaded.dtype == torch.bfloat16
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "merged" / name).read_bytes() == (toy / name).read_bytes()
    record = json.loads((tmp_path / "merged" / "rollsql.json").read_text())
    assert record["quantization"] == "none" and record["merged_adapter"] == policy.read_adapter(adapter).digest


@pytest.mark.slow
def test_the_command_compares_both_through_the_engine(toy, adapter, tmp_path, capsys):
    out = tmp_path / "merged"
    arguments = ["--model", str(toy), "--adapter", str(adapter), "--out", str(out), "--questions", "12"]
    assert main([*arguments, "--max-tokens", "24"]) == 0
    report = json.loads((out / REPORT).read_text())
    assert report["questions"] == 12 and abs(report["difference"]["loss"]) < 0.02
    said = capsys.readouterr().out
    assert "the same query for" in said
    assert f"vllm serve {out} --max-model-len 1024 --generation-config vllm\n" in said
    assert "graph.show --db FILE --style compact --question" in said


def test_what_cannot_be_merged_is_refused_and_nothing_is_written(toy, adapter, tmp_path, capsys):
    def refused(says: str, model: Path = toy, adapter: Path = adapter, out: Path = tmp_path / "out") -> None:
        assert main(["--model", str(model), "--adapter", str(adapter), "--out", str(out)]) == 2
        assert says in capsys.readouterr().err

    refused("another base model", model=make_toy_model(tmp_path / "other", seed=5))
    refused("no adapter_model.safetensors there", adapter=tmp_path)
    refused("exists and is no merged model", out=toy)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("key, value", [("use_dora", True), ("bias", "all"), ("modules_to_save", ["lm_head"])])
def test_only_plain_lora_is_merged(toy, adapter, tmp_path, key, value):
    changed = tmp_path / "adapter"
    shutil.copytree(adapter, changed)
    stored = json.loads((changed / policy.CONFIG).read_text())
    (changed / policy.CONFIG).write_text(json.dumps(stored | {key: value}))
    with pytest.raises(UserError, match=f"plain LoRA, but uses {key}"):
        merge(config(toy), changed)


def test_a_weight_without_a_place_in_the_base_is_an_error(toy, adapter, tmp_path):
    changed = tmp_path / "adapter"
    shutil.copytree(adapter, changed)
    tensors = safetensors.torch.load_file(changed / policy.WEIGHTS)
    tensors["base_model.model.model.layers.9.mlp.up_proj.lora_A.weight"] = torch.zeros(8, 64)
    tensors["base_model.model.model.layers.9.mlp.up_proj.lora_B.weight"] = torch.zeros(128, 8)
    safetensors.torch.save_file(tensors, changed / policy.WEIGHTS)
    with pytest.raises(UserError, match=r"layers.9.mlp.up_proj.*give the base that it was trained on"):
        merge(config(toy), changed)
