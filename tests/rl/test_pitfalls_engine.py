"""What goes wrong between engine and learner without anyone noticing: the real engine against the real learner.

The base is in 4 bits, and the model's own generation_config.json asks for truncated sampling with penalties, as
published chat models do: nothing of it may reach the samples.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from rl.learner import Learner, LearnerConfig
from rl.types import Episode, Group, Reward
from sft.config import LoraConfig, ModelConfig
from sft.policy import base as policy
from sft.policy.generator import Generator, GeneratorConfig, Sampling, _sampling_params
from tests.rl.question import question
from tests.toy_model import make_toy_model

LORA = LoraConfig(r=8, alpha=16)
TRUNCATING = {"do_sample": True, "temperature": 0.1, "top_k": 2, "top_p": 0.3, "repetition_penalty": 3.0}
PROMPTS = [[5 + (7 * i * j + j) % 480 for j in range(1, 60 + 140 * i)] for i in range(2)]  # 59 and 199 tokens


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelConfig:
    directory = make_toy_model(tmp_path_factory.mktemp("model"))
    stored = json.loads((directory / "generation_config.json").read_text())
    (directory / "generation_config.json").write_text(json.dumps(stored | TRUNCATING))
    return ModelConfig(path=str(directory), dtype="float32", quantization="nf4")


@pytest.fixture(scope="module")
def adapter(model: ModelConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warm-up that changed the model much: sampling from the base instead would be seen."""
    return saved(model, tmp_path_factory.mktemp("warm") / "adapter", seed=1)


def saved(model: ModelConfig, directory: Path, seed: int) -> Path:
    noisy, noise = policy.load_model(model, LORA), torch.Generator().manual_seed(seed)
    for name, parameter in sorted(noisy.named_parameters()):
        if "lora_" in name:
            parameter.data = 0.2 * torch.randn(parameter.shape, generator=noise)
    policy.save_adapter(policy.publish(noisy, 0), directory)
    return directory


@pytest.fixture(scope="module")
def generator(model: ModelConfig, adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generator]:
    base = policy.served_base(model, tmp_path_factory.mktemp("cache"))
    assert json.loads((base / "generation_config.json").read_text())["top_k"] == 2
    config = GeneratorConfig(str(base), "float32", max_model_len=512, max_lora_rank=8, kv_cache_gib=0.05)
    generator = Generator(replace(config, live_versions=12))  # as many as all tests here load, in any order
    generator.load(policy.read_adapter(adapter, 0))
    yield generator
    generator.close()


def learner_of(model: ModelConfig, adapter: Path, temperature: float = 1.0) -> Learner:
    config = LearnerConfig(learning_rate=0.01, warmup_steps=0)
    return Learner(model, LORA, config, str(adapter), temperature, 24, total_steps=4, seed=0)


def groups_from(generator: Generator, sampling: Sampling, step: int) -> list[Group]:
    sampled = generator.sample(PROMPTS, sampling, step)
    return [
        Group(
            question(f"q{q}"),
            [Episode.single(k, PROMPTS[q], s.token_ids, s.log_probs, s.finish_reason, step) for k, s in enumerate(g)],
            [Reward(float(k == 0), {}, "correct" if k == 0 else "wrong") for k in range(len(g))],
            [0.75, *[-0.25] * (len(g) - 1)],
        )
        for q, g in enumerate(sampled)
    ]


# 5.4 Temperature; with it all that both must agree on: base, adapter and its scaling, positions, ids


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.3])
def test_the_learner_finds_the_engines_log_probs_at_the_sampling_temperature(
    generator: Generator, model: ModelConfig, adapter: Path, temperature: float
) -> None:
    groups = groups_from(generator, Sampling(4, temperature, max_tokens=24, seed=3), step=0)
    metrics = learner_of(model, adapter, temperature).learn(groups, 1)
    assert 0 < metrics["mismatch_max"] < 1e-3
    assert metrics["clipped"] == 0
    other = learner_of(model, adapter, temperature + 0.2).learn(groups, 1)
    assert other["mismatch_max"] > 0.05, "the bound above tells temperatures apart"


# 5.5 The distribution sampled from


def test_nothing_but_the_temperature_shapes_the_distribution_that_is_sampled_from() -> None:
    params = _sampling_params(Sampling(8, 0.7, max_tokens=24, seed=1), 0, [2])
    assert (params.temperature, params.top_p, params.top_k, params.min_p) == (0.7, 1.0, 0, 0.0)
    assert (params.presence_penalty, params.frequency_penalty, params.repetition_penalty) == (0.0, 0.0, 1.0)
    assert not (params.logit_bias or params.bad_words or params.allowed_token_ids or params.min_tokens or params.stop)
    assert (params.n, params.max_tokens, params.ignore_eos) == (8, 24, False)


@pytest.mark.slow
def test_samples_are_as_frequent_as_the_full_softmax_says(
    generator: Generator, model: ModelConfig, adapter: Path
) -> None:
    draws, temperature = 4000, 0.8
    [samples] = generator.sample(PROMPTS[:1], Sampling(draws, temperature, max_tokens=1, seed=5), 0)
    with torch.no_grad():
        logits = learner_of(model, adapter).model(torch.tensor(PROMPTS[:1])).logits[0, -1]
    probabilities, order = (logits / temperature).softmax(-1).sort(descending=True)
    first = torch.tensor([sample.token_ids[0] for sample in samples])
    bounds = [0, 1, 2, 5, 50, len(order)]  # five classes: the likeliest ids alone, the long tail together
    for low, high in zip(bounds, bounds[1:], strict=False):
        share = float(torch.isin(first, order[low:high]).float().mean())
        expected = float(probabilities[low:high].sum())
        assert abs(share - expected) < 4 * (expected * (1 - expected) / draws) ** 0.5 + 1e-9


# 5.8 Ids in, ids out


def test_ids_that_text_would_change_are_sampled_scored_and_learned_as_they_are(
    generator: Generator, model: ModelConfig, adapter: Path
) -> None:
    tokenizer = policy.load_tokenizer(model.path)
    letters = [i for letter in "SELECT name FROM singer" for i in tokenizer.encode(letter)]
    assert again(tokenizer, letters) != letters
    learner = learner_of(model, adapter)
    scores = [side.score([letters], [letters[:8]], *step) for side, step in ((generator, (0,)), (learner, ()))]
    assert torch.allclose(*(torch.tensor(score) for score in scores), atol=1e-3)
    groups = groups_from(generator, Sampling(4, 1.0, max_tokens=24, seed=0), 0)
    assert any(again(tokenizer, r.token_ids) != r.token_ids for g in groups for r in g.episodes)
    assert learner.learn(groups, 1)["mismatch_max"] < 1e-3


def again(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[int]:
    return tokenizer.encode(tokenizer.decode(ids), add_special_tokens=False)


# 5.15, 5.16 Policy versions


@pytest.mark.slow
def test_a_prompt_cached_under_one_version_is_computed_anew_under_the_next(
    generator: Generator, model: ModelConfig, tmp_path: Path
) -> None:
    sampling = Sampling(4, 1.0, max_tokens=24, seed=9)
    for last, step, seed in ((0, 1, 11), (1, 2, 12), (2, 2, 13)):  # at last a step published again, as after a resume
        directory = saved(model, tmp_path / f"{seed}", seed)
        groups_from(generator, sampling, last)  # prompts of 59 and 199 tokens, now in the cache
        generator.load(policy.read_adapter(directory, step))
        metrics = learner_of(model, directory).learn(groups_from(generator, sampling, step), 1)
        assert metrics["mismatch_max"] < 1e-3


def test_samples_of_an_older_version_are_of_that_version_whatever_was_loaded_since(
    generator: Generator, model: ModelConfig, tmp_path: Path
) -> None:
    old, new = (saved(model, tmp_path / f"{seed}", seed) for seed in (21, 22))
    generator.load(policy.read_adapter(old, 7))
    generator.load(policy.read_adapter(new, 8))
    groups = groups_from(generator, Sampling(4, 1.0, max_tokens=24, seed=2), 7)
    assert learner_of(model, old).learn(groups, 1)["mismatch_max"] < 1e-3
    assert learner_of(model, new).learn(groups, 1)["mismatch_max"] > 0.05


# 5.13 Scaling


@pytest.mark.slow
def test_the_scaling_alpha_over_r_reaches_the_engine_once(
    generator: Generator, model: ModelConfig, tmp_path: Path
) -> None:
    # r = 8: alpha 8, 16 and 32 scale by 1, 2 and 4; the weights are the same
    weights, rng = policy.read_adapter(saved(model, tmp_path / "16", 31), 0), random.Random(0)
    found = []
    for step, alpha in enumerate((8, 16, 32), start=20):
        config = json.dumps(json.loads(weights.adapter_config) | {"lora_alpha": alpha})
        version = policy.PolicyVersion(step, weights.adapter, config, f"{rng.getrandbits(256):064x}")
        policy.save_adapter(version, tmp_path / f"scaled-{alpha}")
        generator.load(version)
        ours = generator.score(PROMPTS[:1], [[9, 200, 31, 2]], step)[0]
        theirs = learner_of(model, tmp_path / f"scaled-{alpha}").score(PROMPTS[:1], [[9, 200, 31, 2]])[0]
        assert ours == pytest.approx(theirs, abs=1e-3)
        found.append(ours)
    assert all(
        max(abs(a - b) for a, b in zip(x, y, strict=True)) > 0.05 for x, y in zip(found, found[1:], strict=False)
    )
