import json
import shutil
from pathlib import Path

import peft
import pytest
import safetensors.torch
import torch
import transformers

from evaluation.errors import UserError
from sft.config import LoraConfig, ModelConfig
from sft.policy import base as policy
from sft.policy.device import Device, detect
from tests.toy_model import make_toy_model

LORA = LoraConfig(r=8, alpha=16)
IDS = torch.randint(0, 400, (2, 40), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    return make_toy_model(tmp_path_factory.mktemp("toy") / "model")


def random_adapter(model: peft.PeftModel) -> peft.PeftModel:
    """Non-zero B, so that the adapter changes the model; values exact in bf16."""
    torch.manual_seed(1)
    for name, value in model.named_parameters():
        if "lora_" in name:
            value.data = (torch.randn_like(value) * 0.05).bfloat16().float()
    return model


def test_every_linear_layer_but_the_head_is_in_double_quantised_nf4_under_lora(toy):
    model = policy.load_model(ModelConfig(path=str(toy)), LORA)
    layers = [layer for name, layer in model.named_modules() if name.endswith("base_layer")]
    assert len(layers) == 2 * 7  # two blocks: q, k, v, o, gate, up, down
    assert all(layer.weight.quant_state.quant_type == "nf4" and layer.weight.quant_state.nested for layer in layers)
    assert isinstance(model.get_output_embeddings(), torch.nn.Linear)
    assert model.lm_head.weight.dtype == detect().torch_dtype("bfloat16")
    assert {v.dtype for n, v in model.named_parameters() if "norm" in n} == {model.lm_head.weight.dtype}


def test_only_the_adapter_learns_and_it_does_so_in_fp32(toy):
    model = policy.load_model(ModelConfig(path=str(toy)), LORA)
    learning = {name: value.dtype for name, value in model.named_parameters() if value.requires_grad}
    assert learning and all("lora_" in name and dtype == torch.float32 for name, dtype in learning.items())


def test_training_still_works_after_an_eval_forward_in_four_bits(toy):
    model = policy.load_model(ModelConfig(path=str(toy)), LORA)
    with torch.no_grad():
        before = model.eval()(IDS).logits
    model.train()(IDS, labels=IDS).loss.backward()
    assert torch.equal(before, model(IDS).logits)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_served_base_gives_the_learners_logits_bit_for_bit(toy, tmp_path, dtype):
    config = ModelConfig(path=str(toy), dtype=dtype)
    learner = policy.load_model(config, LORA)  # a fresh adapter changes nothing
    served = transformers.AutoModelForCausalLM.from_pretrained(policy.served_base(config, tmp_path))
    assert served.dtype == learner.dtype == detect().torch_dtype(dtype)
    with torch.no_grad():
        assert torch.equal(learner(IDS).logits, served(IDS).logits)
        original = transformers.AutoModelForCausalLM.from_pretrained(toy)(IDS).logits
        assert not torch.equal(served(IDS).logits.float(), original.float())  # 4 bits do lose something


def test_the_served_base_is_made_once_per_content_and_anew_when_the_content_changes(toy, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(toy, model)
    first = policy.served_base(ModelConfig(path=str(model)), tmp_path)
    stamp = (first / "model.safetensors").stat().st_mtime_ns
    assert policy.served_base(ModelConfig(path=str(model)), tmp_path) == first
    assert (first / "model.safetensors").stat().st_mtime_ns == stamp
    make_toy_model(model, seed=1)
    assert policy.served_base(ModelConfig(path=str(model)), tmp_path) != first
    assert [p.name for p in first.parent.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("invalid", [{"temperature": 0.6, "top_p": 0.9}, {"num_beams": 0}, {"do_sample": "yes"}])
def test_no_published_generation_config_stops_a_save(toy, tmp_path, invalid):
    model = tmp_path / "model"
    shutil.copytree(toy, model)
    published = json.dumps({"eos_token_id": 2} | invalid)
    (model / "generation_config.json").write_text(published)
    served = policy.served_base(ModelConfig(path=str(model)), tmp_path / "cache")
    whole = policy.load_whole(ModelConfig(path=str(model)))
    policy.save_model(whole, str(model), "bfloat16", tmp_path / "whole", {})
    for made in (served, tmp_path / "whole"):
        assert (made / "generation_config.json").read_text() == published
        transformers.AutoModelForCausalLM.from_pretrained(made)


def test_a_saved_model_holds_tied_weights_once_and_the_published_use_of_the_cache(toy, tmp_path):
    whole = policy.load_whole(ModelConfig(path=str(toy)))
    policy.save_model(whole, str(toy), "bfloat16", tmp_path / "whole", {})
    for made in (tmp_path / "whole", policy.served_base(ModelConfig(path=str(toy), dtype="float32"), tmp_path)):
        stored = safetensors.torch.load_file(made / "model.safetensors")
        assert "model.embed_tokens.weight" in stored and "lm_head.weight" not in stored
        (dtype,) = {str(value.dtype) for value in stored.values()}
        assert dtype == f"torch.{json.loads((made / 'config.json').read_text())['dtype']}"
        assert json.loads((made / "config.json").read_text())["use_cache"] is True
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "whole").state_dict()
    assert all(torch.equal(loaded[name], value.bfloat16()) for name, value in whole.state_dict().items())


def test_a_plain_model_serves_itself(toy, tmp_path):
    assert policy.served_base(ModelConfig(path=str(toy), quantization="none"), tmp_path) == toy


def test_a_published_adapter_read_back_computes_the_same(toy, tmp_path):
    config = ModelConfig(path=str(toy))
    model = random_adapter(policy.load_model(config, LORA))
    version = policy.publish(model, step=3)
    policy.save_adapter(version, tmp_path / "adapter", {"note.txt": "hello"})
    assert policy.read_adapter(tmp_path / "adapter", step=3) == version
    assert (tmp_path / "adapter" / "note.txt").read_text() == "hello"
    again = policy.load_model(config, adapter=tmp_path / "adapter", trainable=False)
    assert torch.equal(model(IDS).logits, again(IDS).logits)
    assert not any(value.requires_grad for value in again.parameters())
    assert policy.publish(again, step=9).adapter == version.adapter


def test_publishing_is_deterministic_and_its_digest_follows_the_weights(toy):
    model = random_adapter(policy.load_model(ModelConfig(path=str(toy)), LORA))
    first = policy.publish(model, 1)
    assert first == policy.publish(model, 1)
    next(v for n, v in model.named_parameters() if "lora_B" in n).data[0, 0] += 1
    assert policy.publish(model, 1).digest != first.digest


def test_the_adapter_config_is_what_an_engine_reads(toy):
    config = json.loads(policy.publish(policy.load_model(ModelConfig(path=str(toy)), LORA), 0).adapter_config)
    assert (config["r"], config["lora_alpha"], config["peft_type"], config["bias"]) == (8, 16, "LORA", "none")
    expected = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
    assert config["target_modules"] == expected and config["base_model_name_or_path"] == str(toy)


def test_a_failed_save_leaves_the_old_adapter_whole(toy, tmp_path):
    version = policy.publish(policy.load_model(ModelConfig(path=str(toy)), LORA), 1)
    policy.save_adapter(version, tmp_path / "adapter")
    with pytest.raises(FileNotFoundError):
        policy.save_adapter(version, tmp_path / "adapter", {"no such folder/note.txt": "cannot be written"})
    assert policy.read_adapter(tmp_path / "adapter", 1) == version
    assert [p.name for p in tmp_path.iterdir()] == ["adapter"]


def test_the_tokenizer_splits_words_as_its_own_file_says(toy):
    # The architecture's own splitting would isolate digits and so could never use the merged token.
    assert len(policy.load_tokenizer(str(toy)).tokenize("in 2014")) < len("2014")


@pytest.mark.parametrize("path", ["no/such/model", "sft/tinny", "./model", "/nowhere"])
def test_a_model_path_that_does_not_exist_is_named(path):
    with pytest.raises(UserError, match="does not exist") as error:
        policy.load_tokenizer(path)
    assert path in str(error.value)


def test_broken_models_and_adapters_are_user_errors(toy, tmp_path):
    with pytest.raises(UserError, match="with config.json"):
        policy.load_base(ModelConfig(path=str(tmp_path)))
    with pytest.raises(UserError, match="no adapter_model.safetensors there"):
        policy.read_adapter(tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(toy, broken)
    (broken / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="cannot be loaded"):
        policy.load_base(ModelConfig(path=str(broken)))


def test_a_cpu_without_bfloat16_computes_in_float32_and_such_a_gpu_is_refused() -> None:
    assert Device("cpu", bf16=False).torch_dtype("bfloat16") == torch.float32
    assert Device("cpu", bf16=True).torch_dtype("bfloat16") == torch.bfloat16
    assert Device("cuda", bf16=True).computes_in("float32") == "float32"
    with pytest.raises(UserError, match="T4 does not compute in bfloat16: set model.dtype=float32"):
        Device("cuda", name="T4", bf16=False).computes_in("bfloat16")


def test_the_export_rounds_the_layers_that_a_learner_has_in_four_bits_and_no_others(toy, tmp_path):
    sizes = {"n_embd": 64, "n_layer": 1, "n_head": 4, "vocab_size": 256, "n_positions": 64}
    for path, config in {tmp_path / "gpt2": transformers.GPT2Config(**sizes), toy: None}.items():
        if config is not None:  # its layers hold their matrices the other way round
            torch.manual_seed(0)
            transformers.AutoModelForCausalLM.from_config(config).save_pretrained(path)
        model = ModelConfig(path=str(path), dtype="float32")
        learner, exported = policy.load_base(model), policy.dequantised_model(model)
        plain = policy.load_base(ModelConfig(path=str(path), dtype="float32", quantization="none"))
        four_bit = {name for name, _ in policy._four_bit_layers(learner)}
        original = dict(plain.named_modules())
        changed = {
            name for name, layer in exported.named_modules()
            if isinstance(getattr(layer, "weight", None), torch.Tensor)
            and not torch.equal(layer.weight, original[name].weight)
        }  # fmt: skip
        assert changed == four_bit and four_bit
        ids = torch.tensor([[5, 6, 7, 8]])
        with torch.no_grad():
            assert torch.allclose(learner(ids).logits, exported(ids).logits, atol=1e-6)
