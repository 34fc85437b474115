"""The real engine on a toy model: what it samples is what transformers and PEFT compute."""

import dataclasses
import gc
import json
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peft
import pytest
import safetensors.torch
import torch

from evaluation.errors import UserError
from sft.config import LoraConfig, ModelConfig
from sft.policy.adapter import CONFIG, WEIGHTS, snap_rank
from sft.policy.base import PolicyVersion, load_model, publish, read_adapter
from sft.policy.generator import (
    AdapterNotApplied,
    Generator,
    GeneratorConfig,
    Sample,
    Sampling,
    VersionNotLoaded,
)
from sft.policy.model_files import stop_token_ids
from sft.policy.sampling import prompt_seed
from tests.sft.families import OTHERS, tiny
from tests.sft.test_adapter import foreign
from tests.toy_model import make_toy_model

PROMPTS = [[5 + (7 * i * j + j) % 480 for j in range(1, 40 + 60 * i)] for i in range(4)]  # 39 to 219 tokens
PRELOADED = os.environ.get("LD_PRELOAD")


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def learner(model_path: Path) -> peft.PeftModel:
    torch.manual_seed(1)
    config = ModelConfig(path=str(model_path), quantization="none", dtype="float32")
    model = load_model(config, LoraConfig(r=8, alpha=16))
    randomise(model, 1)
    return model


@pytest.fixture(scope="module")
def generator(model_path: Path, learner: peft.PeftModel) -> Iterator[Generator]:
    config = GeneratorConfig(str(model_path), "float32", max_model_len=512, max_lora_rank=16, kv_cache_gib=0.05)
    generator = Generator(config)
    generator.load(publish(learner, step=1))
    yield generator
    generator.close()


def randomise(model: peft.PeftModel, seed: int) -> None:
    """Adapter weights far enough from zero to change every answer."""
    noise = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=noise) * 0.2


def learner_log_probs(model: peft.PeftModel, prompt: list[int], answer: list[int], temperature: float) -> torch.Tensor:
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *answer]])).logits[0, len(prompt) - 1 : -1]
    return (logits / temperature).log_softmax(-1)[torch.arange(len(answer)), torch.tensor(answer)]


@pytest.mark.parametrize("temperature", [0.6, 1.0])
def test_log_probabilities_of_sampled_ids_are_those_of_the_learner(
    generator: Generator, learner: peft.PeftModel, temperature: float
) -> None:
    groups = generator.sample(PROMPTS, Sampling(4, temperature, max_tokens=24, seed=3), step=1)
    for prompt, samples in zip(PROMPTS, groups, strict=True):
        for sample in samples:
            expected = learner_log_probs(learner, prompt, sample.token_ids, temperature)
            assert (torch.tensor(sample.log_probs) - expected).abs().max() < 1e-4


def test_scores_are_teacher_forced_log_probabilities_at_temperature_one(
    generator: Generator, learner: peft.PeftModel
) -> None:
    answers = [[9, 200, 31, 2], [7], [400, 401, 2], [12, 13]]
    for step, adapter_on in ((1, True), (None, False)):
        scores = generator.score(PROMPTS, answers, step)
        for prompt, answer, score in zip(PROMPTS, answers, scores, strict=True):
            with learner.disable_adapter() if not adapter_on else torch.no_grad():
                expected = learner_log_probs(learner, prompt, answer, 1.0)
            assert len(score) == len(answer)
            assert (torch.tensor(score) - expected).abs().max() < 1e-4


def test_samples_differ_within_a_group_and_replay_with_the_seed(generator: Generator) -> None:
    sampling = Sampling(n=8, temperature=1.0, max_tokens=16, seed=11)
    twins = [PROMPTS[0], PROMPTS[0], PROMPTS[1]]  # the same question twice must not give the same samples twice
    first = generator.sample(twins, sampling, 1)
    assert len({tuple(sample.token_ids) for group in first[:2] for sample in group}) == 16
    assert generator.sample(twins, sampling, 1) == first
    assert generator.sample(twins, dataclasses.replace(sampling, seed=12), 1) != first


def test_an_answer_ends_with_the_stop_id_or_is_cut_at_max_tokens(generator: Generator) -> None:
    groups = generator.sample(PROMPTS, Sampling(16, 1.5, max_tokens=60, seed=0), None)
    samples = [sample for group in groups for sample in group]
    assert {sample.finish_reason for sample in samples} == {"stop", "length"}
    for sample in samples:
        stopped = sample.token_ids[-1] in generator.stop_token_ids
        assert stopped == (sample.finish_reason == "stop")
        assert stopped or len(sample.token_ids) == 60
        assert not set(sample.token_ids[:-1]) & set(generator.stop_token_ids)


def test_greedy_answers_are_the_most_likely_ids_and_need_no_seed(generator: Generator, learner: peft.PeftModel) -> None:
    [[sample]] = generator.sample(PROMPTS[:1], Sampling(1, 0.0, max_tokens=5), 1)
    ids = list(PROMPTS[0])
    for token in sample.token_ids:
        with torch.no_grad():
            assert learner(torch.tensor([ids])).logits[0, -1].argmax() == token
        ids.append(token)
    with pytest.raises(UserError, match="greedy"):
        Sampling(2, 0.0, max_tokens=5)


def test_a_new_version_changes_the_answers_and_old_ones_are_freed(
    generator: Generator, learner: peft.PeftModel
) -> None:
    greedy = Sampling(1, 0.0, max_tokens=12)
    before, names = generator.sample(PROMPTS, greedy, 1), set(generator.loaded().values())
    for step in (2, 3):
        randomise(learner, step)
        names.add(generator.load(publish(learner, step)))
    assert len(names) == 3
    assert list(generator.loaded()) == [2, 3]
    assert len(generator._engine.list_loras()) == 2
    assert sorted(path.name for path in generator._adapters.iterdir()) == sorted(generator.loaded().values())
    with pytest.raises(VersionNotLoaded, match=r"1 is not loaded; live versions: \[2, 3\]"):
        generator.sample(PROMPTS, greedy, 1)
    after = generator.sample(PROMPTS, greedy, 3)
    assert all(a != b for a, b in zip(before, after, strict=True))
    expected = learner_log_probs(learner, PROMPTS[3], after[3][0].token_ids, 1.0)
    scores = generator.score([PROMPTS[3]], [after[3][0].token_ids], 3)[0]
    assert (torch.tensor(scores) - expected).abs().max() < 1e-4


def test_what_is_sampled_alone_is_the_same_bit_for_bit_whatever_else_is_asked(generator: Generator) -> None:
    prompts, sampling = [[*prompt, *range(3, 40)] for prompt in PROMPTS], Sampling(4, 1.0, max_tokens=24, seed=5)

    def taken(ticket: str) -> list[list[Sample]]:
        assert {owner for owner, _ in generator._places.values()} == {ticket}, "it shares its batch with nobody"
        return generator.take(ticket)

    generator.submit("first", prompts, sampling, None, alone=True)
    first = taken("first")
    generator.submit("busy", prompts[1:], sampling, None)  # whose prefixes are cached, and which is at work
    generator.take("busy", within_s=0.0)
    generator.submit("second", prompts, sampling, None, alone=True)
    generator.submit("third", prompts[:1], sampling, None)
    busy = generator.take("busy")
    assert taken("second") == first and len(busy) == len(prompts) - 1
    assert len(taken("third")[0]) == 4


def test_one_batch_may_hold_different_versions_and_the_base(generator: Generator, learner: peft.PeftModel) -> None:
    randomise(learner, 5)
    generator.load(publish(learner, 5))
    steps = [5, None, next(iter(generator.loaded()))]
    alone = [generator.score(PROMPTS[:1], [[9, 8, 7]], step)[0] for step in steps]
    outputs = scored_together(generator, [*PROMPTS[0], 9, 8, 7], steps)
    assert torch.tensor(outputs).sub(torch.tensor(alone)).abs().max() < 1e-5
    assert alone[0] != alone[1] != alone[2] != alone[0]


def scored_together(generator: Generator, ids: list[int], steps: list[int | None]) -> list[list[float]]:
    from sft.policy.generator import _last_logprobs, _scoring_params

    for step in steps:
        generator._enqueue(f"version {step}", [ids], [_scoring_params(generator.stop_token_ids)], step)
    outputs = [output for step in steps for output in generator._advance(f"version {step}", math.inf)]
    return [_last_logprobs(output.prompt_logprobs, 3) for output in outputs]


def test_an_adapter_whose_names_match_nothing_is_refused_and_the_old_one_serves_on(
    generator: Generator, learner: peft.PeftModel
) -> None:
    good = publish(learner, 9)
    live = dict(generator.loaded())
    for old, new in (("base_model.model.", "base_model.model.model."), ("layers.1", "layers.7")):
        with pytest.raises(AdapterNotApplied, match="all 14 modules"):
            generator.load(renamed(good, old, new))
        assert generator.loaded() == live
        assert len(generator._engine.list_loras()) == len(live)
    assert generator.sample(PROMPTS[:1], Sampling(1, 0.0, max_tokens=2), list(live)[-1])


def renamed(version: PolicyVersion, old: str, new: str) -> PolicyVersion:
    tensors = safetensors.torch.load(version.adapter)
    renamed = {name.replace(old, new): tensor for name, tensor in tensors.items()}
    return dataclasses.replace(version, adapter=safetensors.torch.save(renamed))


def test_what_is_taken_bit_by_bit_is_what_comes_at_once(generator: Generator) -> None:
    prompts, sampling = PROMPTS * 3, Sampling(4, 1.0, max_tokens=24, seed=5)
    whole = generator.sample(prompts, sampling, None)
    for ticket, numbers in (("odd", range(1, 12, 2)), ("even", range(0, 12, 2))):  # both are open at once
        generator.submit(ticket, [prompts[n] for n in numbers], sampling, None, numbers)
    taken: dict[str, list[Any]] = {"odd": [], "even": []}
    rounds = 0
    while len(taken["odd"]) + len(taken["even"]) < 12:
        for ticket, groups in taken.items():
            groups += generator.take(ticket, within_s=0.01)
            rounds += 1
    assert rounds > 2 and generator.take("odd") == []
    ids = [[[sample.token_ids for sample in group] for group in groups] for groups in (whole, *taken.values())]
    assert ids[0] == [group for pair in zip(ids[2], ids[1], strict=True) for group in pair]


def test_a_streamed_answer_is_heard_as_it_grows_and_is_the_sampled_one(generator: Generator) -> None:
    greedy, heard = Sampling(1, 0.0, 12), list[list[int]]()
    ((whole,),) = generator.sample([PROMPTS[1]], greedy, None)
    generator.stream("stream", PROMPTS[1], greedy, None, heard.append)
    generator.submit("beside", [PROMPTS[2]], greedy, None)
    done: set[str] = set()
    while done < {"stream", "beside"}:
        done |= set(generator.advance())
    assert generator.take("stream") == [[whole]] and generator.take("beside")
    assert [len(ids) for ids in heard] == list(range(1, len(whole.token_ids)))
    assert all(whole.token_ids[: len(ids)] == ids for ids in heard)


def test_what_nobody_waits_for_is_dropped_and_the_others_go_on(generator: Generator) -> None:
    long = Sampling(1, 1.0, 200)
    generator.submit("left", PROMPTS[:2], long, None)
    generator.submit("kept", PROMPTS[2:], Sampling(1, 0.0, 4), None)
    generator.advance()
    generator.cancel("left")
    assert generator.take("left") == [] and len(generator.take("kept")) == 2
    generator.cancel("left")
    assert not generator._places and not generator._engine.has_unfinished_requests()


def test_a_prompt_that_fills_the_context_is_a_user_error(generator: Generator) -> None:
    with pytest.raises(UserError, match=r"1 to 511 tokens.*prompt 1 has 512"):
        generator.sample([[5], [5] * 512], Sampling(1, 1.0, max_tokens=3), None)


def test_an_empty_call_gives_an_empty_answer(generator: Generator) -> None:
    assert generator.sample([], Sampling(2, 1.0, max_tokens=3), None) == []


def test_an_interrupted_call_leaves_no_request_behind(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Generator, output: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Generator, "_deliver", interrupt)
        generator.sample(PROMPTS, Sampling(2, 1.0, max_tokens=30), None)
    assert not generator._engine.has_unfinished_requests()
    assert len(generator.sample(PROMPTS, Sampling(2, 1.0, max_tokens=3), None)) == 4


@pytest.mark.parametrize(
    "settings",
    [
        {"rank_pattern": {"q_proj": 16, "layers.1.self_attn.v_proj": 2, "down_proj": 3}},
        {"alpha_pattern": {"k_proj": 4, "layers.0.mlp.up_proj": 5}},
        {"rank_pattern": {"q_proj": 16}, "alpha_pattern": {"q_proj": 32}, "use_rslora": True},
        {"layers_to_transform": [1]},
    ],
)
def test_an_adapter_of_many_ranks_and_scales_is_served_as_peft_computes_it(
    generator: Generator, model_path: Path, settings: dict[str, Any], tmp_path: Path
) -> None:
    foreign(model_path, tmp_path, **settings)
    answers = [[9, 200, 31, 2], [7], [400, 401, 2], [12, 13]]
    generator.load(read_adapter(tmp_path, step=50))
    scores = generator.score(PROMPTS, answers, 50)
    model = load_model(ModelConfig(path=str(model_path), quantization="none", dtype="float32"), adapter=tmp_path)
    for prompt, answer, score in zip(PROMPTS, answers, scores, strict=True):
        assert (torch.tensor(score) - learner_log_probs(model, prompt, answer, 1.0)).abs().max() < 1e-4


def test_ranks_that_differ_are_served_as_the_same_adapter_written_with_one(
    generator: Generator, model_path: Path, tmp_path: Path
) -> None:
    mixed = foreign(model_path, tmp_path / "mixed", rank_pattern={"q_proj": 16}, alpha_pattern={"q_proj": 32})
    shutil.copytree(mixed, tmp_path / "one")
    config = json.loads((mixed / CONFIG).read_text()) | {"r": 16, "lora_alpha": 32}  # 32 / 16 = 16 / 8
    (tmp_path / "one" / CONFIG).write_text(json.dumps(config | {"rank_pattern": {}, "alpha_pattern": {}}))
    tensors = safetensors.torch.load_file(mixed / WEIGHTS)
    for name, value in tensors.items():
        padding = (0, 0, 0, 16 - value.shape[0]) if "lora_A" in name else (0, 16 - value.shape[1])
        tensors[name] = torch.nn.functional.pad(value, padding)
    safetensors.torch.save_file(tensors, tmp_path / "one" / WEIGHTS)
    sampling, found = Sampling(2, 1.0, max_tokens=24, seed=5), []
    for name in ("mixed", "one"):
        generator.load(read_adapter(tmp_path / name, step=60))
        found.append([[s.token_ids for s in group] for group in generator.sample(PROMPTS, sampling, 60)])
    assert found[0] == found[1]


@pytest.mark.slow
def test_closing_leaves_the_process_as_it_was(model_path: Path, generator: Generator) -> None:
    threads, directory = torch.get_num_threads(), generator._adapters
    generator.close()
    gc.collect()
    assert not torch.distributed.is_initialized()
    assert not directory.exists()
    torch.set_num_threads(threads)
    assert torch.get_num_threads() == threads
    assert os.environ.get("LD_PRELOAD") == PRELOADED


def test_stop_ids_come_from_config_generation_config_and_tokenizer(tmp_path: Path, model_path: Path) -> None:
    assert stop_token_ids(model_path) == [2]
    (tmp_path / "config.json").write_text('{"eos_token_id": 7}')
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [7, 9]}')
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": {"content": "<end>"}}')
    (tmp_path / "tokenizer.json").write_text('{"added_tokens": [{"id": 4, "content": "<end>"}]}')
    assert stop_token_ids(tmp_path) == [4, 7, 9]
    (tmp_path / "config.json").write_text("{}")
    for name in ("generation_config.json", "tokenizer_config.json"):
        (tmp_path / name).unlink()
    with pytest.raises(UserError, match="no eos_token_id"):
        stop_token_ids(tmp_path)


def test_a_model_that_is_not_there_or_too_short_a_context_is_a_user_error(model_path: Path) -> None:
    with pytest.raises(UserError, match="no-such-model"):
        Generator(GeneratorConfig("no-such-model"))
    with pytest.raises(UserError, match="at most the 1024 positions"):
        Generator(GeneratorConfig(str(model_path), max_model_len=2048))
    with pytest.raises(UserError, match="kv_cache_gib = 1e-05 is too small"):
        Generator(GeneratorConfig(str(model_path), kv_cache_gib=0.00001))


@pytest.mark.parametrize(
    ("family", "why"),
    [("bloom", "vLLM takes no adapters for BloomForCausalLM"), ("codegen", "CodeGenForCausalLM")],
)
def test_a_model_that_vllm_cannot_serve_with_adapters_is_refused_by_name(family: str, why: str, tmp_path: Path) -> None:
    make_toy_model(tmp_path)
    tiny(*OTHERS[family]).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=f"the engine cannot serve the model .*{why}") as caught:
        Generator(GeneratorConfig(str(tmp_path), dtype="float32", max_model_len=128, kv_cache_gib=0.1))
    assert "\n" not in str(caught.value) and "pydantic" not in str(caught.value)


def test_ranks_snap_up_and_seeds_do_not_collide() -> None:
    assert [snap_rank(rank) for rank in (1, 2, 8, 9, 512)] == [1, 8, 8, 16, 512]
    with pytest.raises(UserError, match="at most 512"):
        snap_rank(513)
    seeds = {prompt_seed(seed, index) for seed in range(50) for index in range(50)}
    assert len(seeds) == 2500 and max(seeds) < 2**62
    assert min(abs(a - b) for a, b in zip(sorted(seeds), sorted(seeds)[1:], strict=False)) > 64
