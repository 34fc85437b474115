import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import rl.train.__main__ as train
from cluster.fit import GIB
from cluster.needs import Needs
from cluster.resources import machine
from evaluation.errors import UserError
from rl import memory
from rl.config import RlConfig
from rl.plan import as_needs, check_inputs, format_plan, host_bytes, main, plan
from sft.config import ModelConfig, RunConfig
from sft.policy.base import publish
from sft.policy.engine_memory import engine_memory
from sft.policy.shapes import shape_of
from sft.settings.file import load_config

ROOT = Path(__file__).resolve().parents[2]
SEVEN = "Qwen/Qwen2.5-Coder-7B-Instruct"
CONFIGS = sorted(path for path in (ROOT / "rl" / "configs").glob("*.toml") if not path.name.startswith("ablation"))


def settings(**sections: Any) -> RlConfig:
    return RlConfig.model_validate({"model": {"path": SEVEN, "max_length": 2048}, "lora": {"r": 32}} | sections)


def scaled(config: RlConfig, **fields: int) -> RlConfig:
    """With the settings of several GPUs, where the config has them or not."""
    ranks = {"ranks": fields.pop("ranks", 1)}
    engine, learner = config.engine.model_copy(update=fields), config.learner.model_copy(update=ranks)
    return config.model_copy(update={"engine": engine, "learner": learner})


def test_the_longest_group_is_one_prompt_and_k_answers_and_is_never_cut() -> None:
    config = settings(rollout={"samples": 8, "max_tokens": 192}, learner={"token_budget": 1024})
    assert memory.group_tokens(config) == 2048 - 192 + 8 * 192 == 3392
    assert memory.micro_batch_tokens(config) == 3392
    assert memory.micro_batch_tokens(settings(learner={"token_budget": 8192})) == 8192


def test_the_engine_holds_the_whole_base_in_16_bits_and_half_of_it_on_each_of_two_gpus() -> None:
    config, shape = settings(), shape_of(SEVEN)
    split = settings(engine={"tensor_parallel": 2})
    one, two = (engine_memory(memory.served(c, shape), c.engine.kv_cache_gib) for c in (config, split))
    assert one["weights, bfloat16"] == 2 * 7_615_616_512 == 2 * two["weights, bfloat16"]
    assert one["KV cache"] == two["KV cache"] == GIB // 2
    # three adapters: 2 bytes x 32 x (inputs + outputs of each linear layer)
    assert one["3 adapter slots, bfloat16"] == 3 * 2 * shape.adapter_parameters(32)


def test_a_kl_term_keeps_the_warm_up_beside_the_policy() -> None:
    adapter = {"init_adapter": "runs/not-there/adapter"}
    with_kl, without = settings(learner={"kl": 0.01}, **adapter), settings(**adapter)
    extra = memory.learner_memory(with_kl, shape_of(SEVEN)).keys() - memory.learner_memory(without, shape_of(SEVEN))
    assert extra == {"reference adapter, float32"}


def test_a_critic_learns_as_much_again_and_is_saved_too_and_a_teacher_is_held_beside() -> None:
    shape, plain = shape_of(SEVEN), memory.learner_memory(settings(), shape_of(SEVEN))
    found = memory.learner_memory(settings(algorithm="ppo"), shape)
    critic = 80_740_352 + 3584 + 1  # an adapter of rank 32, and a head of the model's width
    assert {name: size for name, size in found.items() if name not in plain} == {
        "critic, float32, with gradients": 8 * critic,
        "8-bit AdamW states of the critic": 2 * critic + 8 * -(-critic // 256),
    }
    assert memory.checkpoint_bytes(shape, 32, critic) > 1.99 * memory.checkpoint_bytes(shape, 32)
    taught = settings(algorithm="opd", learner={"teacher": "Qwen/Qwen2.5-Coder-3B-Instruct"})
    beside = {name: size for name, size in memory.learner_memory(taught, shape).items() if name not in plain}
    assert list(beside) == ["teacher's linear layers, NF4", "teacher's embedding, head, norms, bfloat16"]
    assert 1.9 * GIB < sum(beside.values()) < 2.2 * GIB


def test_tokens_in_the_kv_cache_follow_from_the_heads_that_hold_keys_and_values() -> None:
    # Qwen2.5-7B: 28 layers x 4 heads x 128 x (key and value) x 2 bytes = 57,344 bytes; 6 GiB hold 112,347 tokens
    assert memory.served(settings(), shape_of(SEVEN)).kv_token == 57_344
    assert plan(settings(engine={"kv_cache_gib": 6})).kv_tokens == 112_347
    tiny = RlConfig()
    assert memory.served(tiny, shape_of("sft/tiny")).kv_token == GIB // 4 // 174_762


def test_a_cache_below_one_context_is_pointed_out() -> None:
    assert "TOO SMALL for one context of 2048" in format_plan(plan(settings(engine={"kv_cache_gib": 0.05})))


def test_a_waiting_batch_takes_one_more_adapter_slot_of_every_engine() -> None:
    config = settings(rollout={"staleness": 2})
    assert "5 adapter slots, bfloat16" in plan(config).memory["engine"]  # 2 waiting, newest, one before it, one coming


def test_the_export_takes_one_layer_of_the_gpu_and_the_plain_base_of_the_host() -> None:
    made, shape = plan(settings(), "cuda"), shape_of(SEVEN)
    on_gpu = sum(made.memory["engine, while the served base is made"].values())
    assert on_gpu < 1.2 * GIB  # the largest matrix, 18,944 x 3,584, twice in bf16 and once in NF4, and the context
    plain = settings(model={"path": SEVEN, "quantization": "none"})
    assert host_bytes(settings(), shape)["engine"] - host_bytes(plain, shape)["engine"] == 2 * 7_615_616_512
    on_cpu = plan(settings(), "cpu").memory["engine, while the served base is made"]
    assert on_cpu == {"plain base, bfloat16": 2 * 7_615_616_512}


def test_the_object_store_holds_the_states_of_two_steps_and_the_adapters_on_their_way() -> None:
    # 80.7 M trained weights, 6 bytes each in a state and 2 in an adapter: 2 x 485 + 3 x 161 MB, and 256 MiB
    shape = shape_of(SEVEN)
    assert shape.adapter_parameters(32) == 80_740_352
    expected = 2**28 + 2 * memory.checkpoint_bytes(shape, 32) + 3 * 2 * 80_740_352
    assert memory.object_store_bytes(settings(), shape) == expected
    assert memory.object_store_mib(settings()) in (expected >> 20, machine().memory_bytes >> 21)
    assert plan(settings()).driver_bytes == GIB + expected
    assert memory.object_store_mib(settings(model={"path": "nobody/unknown"})) == 256


def test_a_kv_cache_beyond_this_machines_memory_is_refused_unless_the_cluster_is_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(UserError, match="engine.kv_cache_gib = 1e[+]06 GiB is more than there is"):
        memory.require_kv_cache(RlConfig.model_validate({"engine": {"kv_cache_gib": 1e6}}))
    with pytest.raises(UserError, match="engine.kv_cache_gib = 1e-05 GiB is too small: one context of"):
        memory.require_kv_cache(RlConfig.model_validate({"engine": {"kv_cache_gib": 1e-5}}))
    memory.require_kv_cache(RlConfig())
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    memory.require_kv_cache(RlConfig.model_validate({"engine": {"kv_cache_gib": 1e6}}))


def test_one_learner_and_one_engine_may_share_a_gpu_and_more_of_them_may_not() -> None:
    made = plan(settings(), "cuda")
    assert list(made.layouts) == ["a GPU each", "one GPU for both"]
    assert [bundle.gpus for bundle in made.layouts["one GPU for both"]] == [0.5, 0.5, 0]
    many = plan(scaled(settings(), ranks=4, replicas=2, tensor_parallel=2))
    (bundles,) = many.layouts.values()
    assert [(b.name, b.count, b.gpus) for b in bundles[:2]] == [("learner", 4, 1), ("engine", 2, 2)]


def test_the_bundled_model_is_planned_for_cpus_and_what_it_publishes_is_what_a_learner_publishes() -> None:
    from sft.policy import base as policy

    config = load_config(RlConfig, ROOT / "rl" / "configs" / "tiny.toml", ["model.dtype=float32"])
    made = plan(config)
    (bundles,) = made.layouts.values()
    assert made.device == "cpu" and not any(bundle.gpus or bundle.gpu_bytes for bundle in bundles)
    assert not [part for parts in made.memory.values() for part in parts if "CUDA" in part]
    version = publish(policy.load_model(config.model, config.lora), step=0)
    assert 4 * made.trainable == pytest.approx(len(version.adapter), rel=0.05)  # and a header


def test_the_checkpoint_is_as_large_as_planned() -> None:
    from rl.learner import Learner

    config = load_config(RlConfig, ROOT / "rl" / "configs" / "tiny.toml", ["init_adapter="])
    learner = Learner(config.model, config.lora, config.learner, "", 1.0, 96, 1, 0)
    for parameter in learner.trained.values():
        parameter.grad = parameter.detach().clone()
    learner.optimizer.step()
    written = sum(map(len, learner.state().values()))
    assert memory.checkpoint_bytes(shape_of(config.model.path), 16) == pytest.approx(written, rel=0.05)


def test_with_staleness_a_checkpoint_also_holds_the_policies_that_waiting_batches_are_sampled_by() -> None:
    config = load_config(RlConfig, ROOT / "rl" / "configs" / "tiny.toml", ["checkpoint.keep=2"])
    stale = config.model_copy(update={"rollout": config.rollout.model_copy(update={"staleness": 2})})
    shape = shape_of(config.model.path)
    more = memory.checkpoints_bytes(stale, shape) - memory.checkpoints_bytes(config, shape)
    assert more == 3 * 2 * shape.adapter_parameters(config.lora.r) * 2  # checkpoints, policies, bytes of bfloat16


def test_reward_workers_on_auto_are_planned_as_one() -> None:
    config = settings()
    automatic = config.model_copy(update={"reward": config.reward.model_copy(update={"workers": "auto"})})
    assert plan(automatic, "cuda").layouts["a GPU each"][-1].count == 1


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_can_be_planned(path: Path) -> None:
    config = load_config(RlConfig, path)
    made = plan(config)
    assert made.kv_tokens >= memory.group_tokens(config), "the cache must hold a group"
    assert Needs.from_json(as_needs(made).as_json()).layouts == made.layouts


def test_what_rl_train_would_refuse_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    with pytest.raises(UserError, match="adapter_model.safetensors"):
        check_inputs(RlConfig(init_adapter=str(tmp_path / "adapter")), None)
    spider = RlConfig.model_validate({"data": {"benchmark": "spider"}})
    with pytest.raises(UserError, match="no-such"):
        check_inputs(spider, tmp_path / "no-such")
    check_inputs(spider, None)  # planning needs no data
    with pytest.raises(UserError, match="must be more than rollout.max_tokens"):
        check_inputs(RlConfig.model_validate({"model": {"max_length": 96}}), None)


def test_the_command_takes_the_arguments_of_rl_train(capsys: pytest.CaptureFixture[str]) -> None:
    config = str(ROOT / "rl" / "configs" / "qwen2.5-coder-7b-spider.toml")
    assert main(["steps=3", "--config", config, "engine.kv_cache_gib=1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [layout["name"] for layout in found["layouts"]] == ["a GPU each", "one GPU for both"]
    assert "3 steps of 64 questions" in found["about"]
    assert main(["--config", config]) == 0
    assert "bundles, one GPU for both" in capsys.readouterr().out


def test_rl_train_answers_what_it_needs_without_the_data_of_another_machine(capsys: pytest.CaptureFixture[str]) -> None:
    config = ["--config", str(ROOT / "rl" / "configs" / "qwen2.5-coder-7b-spider.toml"), "run.dir=/mnt/runs"]
    with pytest.raises(SystemExit) as ended:
        train.main([*config, "--data", "/on/the/head", "--needs", "cuda"])
    assert ended.value.code == 0
    needs = Needs.from_json(capsys.readouterr().out)
    named = {file.name: (file.value, file.use) for file in needs.files}
    assert named["--data"] == ("/on/the/head", "read") and named["run.dir"] == ("/mnt/runs", "written")
    assert named["model.path"] == (SEVEN, "model") and "checkpoint.dir" not in named
    assert list(needs.layouts) == ["a GPU each", "one GPU for both"] and needs.driver.host_bytes > GIB
    assert train.main([*config, "--needs", "auto"]) == 2
    assert "the benchmark's folder must be given: --data DIR" in capsys.readouterr().err


def test_a_run_that_its_disk_cannot_hold_is_refused_before_it_starts(tmp_path, monkeypatch) -> None:
    def disk_with(free: int) -> None:
        monkeypatch.setattr("rl.memory.shutil.disk_usage", lambda path: SimpleNamespace(free=free))

    config = RlConfig(init_adapter="a", run=RunConfig(name="x", dir=str(tmp_path)))
    disk_with(20 << 20)
    memory.require_disk(config)
    disk_with(1 << 20)
    with pytest.raises(UserError, match=r"run\.dir: .*room for .* MiB more .*has 1\.0 MiB free.*run\.dir=…"):
        memory.require_disk(config)
    (config.run.path / "checkpoints").mkdir()
    with (config.run.path / "checkpoints" / "x.safetensors").open("wb") as file:
        file.truncate(20 << 20)
    memory.require_disk(config)  # a resumed run has most of it already


def test_a_large_base_needs_a_gpu() -> None:
    memory.require_gpu_or_small(RlConfig(init_adapter="a"))
    large = RlConfig(init_adapter="a", model=ModelConfig(path=SEVEN))
    with pytest.raises(UserError, match="no GPU.*7.6 billion parameters.*RAY_ADDRESS"):
        memory.require_gpu_or_small(large)
