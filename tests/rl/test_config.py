"""What an RL run may be told, and where that puts its actors."""

from pathlib import Path

import pytest

from evaluation.errors import UserError
from rl.ablation.config import AblationConfig
from rl.config import RlConfig
from rl.placement import Placement, place
from rl.reward import Judged, RewardConfig, group_rewards
from sft.config import SftConfig
from sft.pretraining.config import PretrainConfig
from sft.settings.file import load_config, validate
from sft.settings.table import settings


def config_of(**sections):
    return validate(RlConfig, {"init_adapter": "a", **sections}, "test")


@pytest.mark.parametrize("config", sorted(Path("rl/configs").glob("*.toml")), ids=lambda path: path.stem)
def test_a_shipped_config_loads(config):
    load_config(AblationConfig if config.stem.startswith("ablation") else RlConfig, config)


@pytest.mark.parametrize("config", [RlConfig, SftConfig, AblationConfig, PretrainConfig])
def test_every_setting_says_what_it_means(config):
    assert [one.key for one in settings(config) if not one.meaning] == []


@pytest.mark.parametrize(
    "key, meant",
    [
        ("lr", "learner.learning_rate"),
        ("batch_size", "rollout.questions"),
        ("train.batch_size", "rollout.questions"),
        ("epochs", "steps"),
        ("temperature", "rollout.temperature"),
        ("lora_r", "lora.r"),
        ("num_generations", "rollout.samples"),
        ("beta", "learner.kl"),
        ("train.epochs", "steps"),
        ("max_new_tokens", "rollout.max_tokens"),
        ("--steps", "steps"),
    ],
)
def test_a_key_of_another_trainer_leads_to_ours(key, meant):
    with pytest.raises(UserError, match=f"did you mean {meant}\\?$"):
        load_config(RlConfig, Path("rl/configs/tiny.toml"), [f"{key}=1"])


@pytest.mark.parametrize("key", ["top_p", "top_k", "min_p"])
def test_truncated_sampling_is_refused_with_the_reason(key):
    with pytest.raises(UserError, match=f"{key} cannot be set: training samples come from the full softmax"):
        config_of(rollout={key: 0.9})


def test_without_a_gpu_learner_and_engine_take_turns_on_all_cores_or_divide_them():
    assert place(config_of(), cores=8, gpus=0) == Placement(0, 0, 8, 8)
    assert place(config_of(rollout={"staleness": 1}), cores=8, gpus=0) == Placement(0, 0, 4, 4)
    assert place(config_of(rollout={"staleness": 1}, engine={"replicas": 2}), cores=8, gpus=0) == Placement(0, 0, 4, 2)


def test_each_rank_and_engine_has_gpus_of_its_own_and_too_few_are_refused():
    wide = config_of(learner={"ranks": 2}, engine={"replicas": 2, "tensor_parallel": 2})
    assert place(wide, cores=8, gpus=6) == Placement(1, 2)
    with pytest.raises(UserError, match=r"2 \+ 2 × 2 GPUs are needed, the cluster has 5"):
        place(wide, cores=8, gpus=5)


def test_long_answers_lose_reward_only_in_groups_with_a_right_answer():
    right, wrong = (
        Judged("correct", {"correct": 1.0, "executable": 1.0, "simple": 1.0, "format": 1.0}),
        Judged("wrong", {"correct": 0.0, "executable": 1.0, "simple": 1.0, "format": 1.0}),
    )
    config = RewardConfig(overlong=0.5)
    # halfway through the last tokens: 0.5 · 0.5; cut at max_tokens: 0.5 · 1
    assert [r.value for r in group_rewards([right, right, wrong], config, [0.0, 0.5, 1.0])] == [1.0, 0.75, -0.5]
    assert [r.value for r in group_rewards([wrong, wrong], config, [0.0, 1.0])] == [0.0, 0.0]
