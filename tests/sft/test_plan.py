import json
import subprocess
import sys
from pathlib import Path

import peft
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from cluster.fit import GIB
from evaluation.errors import UserError
from sft.config import LoraConfig, SftConfig
from sft.plan import format_plan, four_bit_bytes, main, plan, require_dev_engine
from sft.policy import base as policy
from sft.policy.shapes import PUBLISHED, SETTINGS, local_shape, shape_of
from sft.settings.file import load_config

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(path for path in (ROOT / "sft" / "configs").glob("*.toml") if path.name != "pretrain.toml")
TOTALS = {
    "Qwen/Qwen2.5-Coder-0.5B-Instruct": 494_032_768,
    "Qwen/Qwen2.5-Coder-1.5B-Instruct": 1_543_714_304,
    "Qwen/Qwen2.5-Coder-3B-Instruct": 3_085_938_688,
    "Qwen/Qwen2.5-Coder-7B-Instruct": 7_615_616_512,
    "meta-llama/Llama-3.1-8B-Instruct": 8_030_261_248,
    "mistralai/Mistral-7B-Instruct-v0.3": 7_248_023_552,
    "microsoft/Phi-3-mini-4k-instruct": 3_821_079_552,
}
def settings(**sections) -> SftConfig:
    return SftConfig.model_validate({"model": {"path": "Qwen/Qwen2.5-Coder-7B-Instruct"}} | sections)


@pytest.mark.slow
@pytest.mark.parametrize("name", TOTALS)
def test_a_published_shape_counts_what_its_authors_count_and_its_adapter_what_peft_makes(name):
    shape, (kind, values) = shape_of(name), PUBLISHED[name]
    assert shape.parameters == TOTALS[name]
    with torch.device("meta"):
        config = AutoConfig.for_model(kind, pad_token_id=0, **dict(zip(SETTINGS, values, strict=True)))
        base = AutoModelForCausalLM.from_config(config)
        layers = policy.linear_layers(base)
        model = peft.get_peft_model(base, peft.LoraConfig(r=16, target_modules=layers, task_type="CAUSAL_LM"))
    assert shape.adapter_parameters(16) == model.get_nb_trainable_parameters()[0]


@pytest.mark.slow
def test_four_bit_weights_take_what_a_loaded_model_takes():
    config = SftConfig.model_validate({"model": {"dtype": "float32"}})  # which every CPU computes in
    model = policy.load_model(config.model, config.lora)
    bytes_of = {True: 0, False: 0}
    for value in model.parameters():
        bytes_of[value.requires_grad] += value.numel() * value.element_size()
        state = getattr(value, "quant_state", None)
        if state is not None:
            tensors = (state.absmax, state.code, state.state2.absmax, state.state2.code)
            bytes_of[False] += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    planned = plan(config).memory
    base = planned["linear layers, NF4"] + planned["embedding, head, norms, float32"]
    assert base == pytest.approx(bytes_of[False], rel=0.02)
    assert planned["adapter, float32"] == bytes_of[True]


def test_a_big_model_in_four_bits_takes_a_little_over_half_a_byte_per_weight():
    shape = shape_of("Qwen/Qwen2.5-Coder-7B-Instruct")
    # 1/2 byte, 1/64 for the scales, 4 / (64 * 256) for the scales of the scales: 0.51587
    assert four_bit_bytes(shape) / shape.linear_weights == pytest.approx(0.51587, rel=1e-3)


@pytest.mark.slow
def test_the_tiny_run_is_counted_as_the_training_counts_it():
    config = load_config(SftConfig, ROOT / "sft" / "configs" / "tiny.toml", [f"model.path={ROOT / 'sft' / 'tiny'}"])
    counted = plan(config)
    assert counted.questions is not None and not counted.questions.estimated
    assert counted.questions.kept + counted.questions.dropped == 640
    assert counted.steps == -(-counted.questions.kept // 32)
    assert counted.trainable == shape_of(config.model.path).adapter_parameters(16)
    assert "counted" in format_plan(counted)


@pytest.mark.slow
def test_tokens_are_estimated_and_said_to_be_where_the_tokenizer_is_not_on_disk():
    exact = plan(SftConfig())
    guessed = plan(settings(data={"benchmark": "tiny"}))
    assert exact.questions and guessed.questions and guessed.questions.estimated
    # The bundled vocabulary of 2,048 cuts the same text in more pieces than one of 152,000 would.
    assert guessed.questions.tokens < exact.questions.tokens
    assert "estimated, 4.0 characters per token" in format_plan(guessed)


def test_without_data_the_plan_still_tells_parameters_and_memory():
    text = format_plan(plan(settings(data={"benchmark": "spider"})))
    assert "questions: pass --data DIR" in text and "7,615,616,512" in text and "total" in text


def test_memory_falls_with_checkpointing_and_grows_with_the_batch():
    def total(**train) -> float:
        return plan(settings(model={"path": "Qwen/Qwen2.5-Coder-7B-Instruct", "max_length": 2048},
                             data={"benchmark": "spider"}, train={"batch_size": 8, **train})).total_gib  # fmt: skip

    small = total(token_budget=2048, gradient_checkpointing=True)
    assert small < total(token_budget=2048) < total(token_budget=8192)
    assert 7 < small < 22  # 3.1 GiB of 4-bit layers and 2.0 GiB of embedding and head before anything is computed


def test_a_plan_says_which_gpus_hold_it_and_what_to_do_when_none_does():
    small = plan(settings(data={"benchmark": "spider"}, train={"token_budget": 1024, "gradient_checkpointing": True}))
    assert small.fitting and "fits a GPU of" in format_plan(small)
    huge = plan(settings(data={"benchmark": "spider"}, train={"token_budget": 4_000_000}))
    assert huge.fitting == [] and "lower train.token_budget" in format_plan(huge)
    assert huge.total_gib == pytest.approx(sum(huge.memory.values()) / GIB)


def test_a_model_of_unknown_shape_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="nobody/nothing.*Qwen/Qwen2.5-Coder-7B-Instruct.*Phi-3-mini"):
        shape_of("nobody/nothing")


def test_a_config_that_describes_no_language_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "no such thing"}')
    with pytest.raises(UserError, match="config.json must describe a causal language model"):
        local_shape(tmp_path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_config_loads_and_says_why_line_by_line(path):
    config = load_config(SftConfig, path)
    assert config.lora.dropout == 0  # RL refuses noise in the policy ratio
    assert config.run.name.startswith(path.stem)
    assert all("#" in line for line in path.read_text().splitlines() if "=" in line)


@pytest.mark.parametrize("path", [p for p in SHIPPED if "tiny" not in p.stem], ids=lambda path: path.stem)
def test_every_config_of_a_published_model_fits_one_gpu(path):
    assert plan(load_config(SftConfig, path)).fitting[-1:] == [80]


def test_the_command_prints_the_plan(capsys):
    assert main(["--config", str(ROOT / "sft/configs/qwen2.5-coder-1.5b-spider.toml"), "train.epochs=1"]) == 0
    assert "1,543,714,304" in capsys.readouterr().out


def test_planning_starts_no_engine():
    code = "import sys, sft.plan; sys.exit('vllm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_adapter_share_counts_the_adapter_in():
    counted = plan(settings(data={"benchmark": "spider"}, lora=LoraConfig(r=16).model_dump()))
    assert counted.share == counted.trainable / (TOTALS["Qwen/Qwen2.5-Coder-7B-Instruct"] + counted.trainable)


FAMILIES = {
    "gpt2": ({"n_embd": 64, "n_layer": 2, "n_head": 4}, 256, 64),
    "gpt_bigcode": ({"n_embd": 64, "n_layer": 2, "n_head": 4, "multi_query": True}, 256, 16),
    "falcon": ({"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "multi_query": True}, 256, 16),
    "opt": ({"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 128,
             "word_embed_proj_dim": 64}, 128, 64),
    "bloom": ({"hidden_size": 64, "n_layer": 2, "n_head": 4}, 256, 64),
    "gptj": ({"n_embd": 64, "n_layer": 2, "n_head": 4, "rotary_dim": 8}, 256, 64),
    "mpt": ({"d_model": 64, "n_layers": 2, "n_heads": 4}, 256, 64),
    "stablelm": ({"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
                  "intermediate_size": 96}, 96, 32),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_that_an_architecture_names_otherwise_are_read_off_its_layers(family, tmp_path):
    sizes, intermediate, key = FAMILIES[family]
    AutoConfig.for_model(family, vocab_size=256, **sizes).save_pretrained(tmp_path)
    shape = local_shape(tmp_path)
    assert (shape.hidden, shape.layers, shape.query, shape.vocab) == (64, 2, 64, 256)
    assert (shape.intermediate, shape.key) == (intermediate, key)
    assert shape.linears and shape.adapter_parameters(8) > 0
    config = SftConfig.model_validate({"model": {"path": str(tmp_path)}, "data": {"benchmark": "spider"}})
    assert plan(config).total_gib > 0


def test_of_a_model_that_also_sees_the_text_model_is_counted(tmp_path):
    text = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "intermediate_size": 96, "head_dim": 16, "vocab_size": 256}  # fmt: skip
    config = AutoConfig.for_model("gemma3", text_config=text)
    config.save_pretrained(tmp_path)
    shape = local_shape(tmp_path)
    assert (shape.hidden, shape.layers, shape.intermediate, shape.key, shape.vocab) == (64, 2, 96, 32, 256)


@pytest.mark.parametrize("written", [{"model_type": "clip"}, {"model_type": "t5"}, {"model_type": "nothing"}, {}])
def test_a_config_of_anything_else_is_refused_and_raises_nothing_else(written, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(written))
    with pytest.raises(UserError, match="must describe a causal language model"):
        local_shape(tmp_path)


def test_a_dev_engine_shares_the_gpu_and_is_planned_beside_the_training():
    config = settings(data={"benchmark": "spider"}, dev={"every": 50, "kv_cache_gib": 2})
    made, alone = plan(config), plan(settings(data={"benchmark": "spider"}))
    assert made.engine["weights, bfloat16"] == 2 * TOTALS["Qwen/Qwen2.5-Coder-7B-Instruct"]
    assert made.engine["KV cache"] == 2 * GIB
    assert made.total_gib - alone.total_gib == pytest.approx(sum(made.engine.values()) / GIB)
    assert made.total_gib > alone.total_gib + 14.18 + 2
    assert not set(made.fitting) & {16, 24} and "beside it, for dev evaluation" in format_plan(made)
    assert not alone.engine and "beside it" not in format_plan(alone)


def test_a_dev_cache_that_cannot_be_is_refused_before_the_training():
    with pytest.raises(UserError, match=r"dev.kv_cache_gib = 1e\+06 GiB is more than there is"):
        require_dev_engine(SftConfig.model_validate({"dev": {"every": 5, "kv_cache_gib": 1e6}}))
    require_dev_engine(SftConfig.model_validate({"dev": {"every": 0, "kv_cache_gib": 1e6}}))  # never started
    require_dev_engine(SftConfig.model_validate({"dev": {"every": 5}}))
