"""SFT on two ranks: the driver and an actor, over gloo."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from cluster.fit import GIB, Node, fit
from cluster.needs import Needs
from sft.batches import shared_out
from sft.config import SftConfig
from sft.policy.base import load_tokenizer
from sft.policy.encoder import PromptEncoder, training_examples
from sft.progress import Progress
from sft.questions import chosen_examples
from sft.train.__main__ import main
from sft.train.driver import train

QUESTIONS = 24


def settings(directory: Path, ranks: int = 1) -> SftConfig:
    return SftConfig.model_validate(
        {
            "run": {"name": f"on-{ranks}", "dir": str(directory)},
            "model": {"dtype": "float32"},
            "data": {"max_examples": QUESTIONS},
            "train": {"batch_size": 8, "epochs": 1, "log_every": 1, "ranks": ranks, "token_budget": 2048},
            "checkpoint": {"every": 1},
        }
    )


def adapter(config: SftConfig) -> dict[str, torch.Tensor]:
    return load_file(config.run.path / "adapter" / "adapter_model.safetensors")


def metrics(config: SftConfig) -> list[dict[str, float]]:
    return [json.loads(line) for line in (config.run.path / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("ranks", [1, 2, 3, 30])
def test_a_step_is_shared_out_whole_and_about_evenly(ranks: int, tmp_path: Path) -> None:
    config = settings(tmp_path)
    encoder = PromptEncoder(load_tokenizer(config.model.path), "compact", config.model.max_length)
    items, _ = training_examples(chosen_examples(config.data, 0, None), encoder, config.model.max_length)
    shares = shared_out(items, 2048, "shared", ranks)
    learned = sorted(tuple(batch.targets_N.tolist()) for share in shares for batch in share)
    answers = sum(len(item.completion_ids) for item in items)
    assert sum(map(len, learned)) == answers and len(shares) == ranks
    tokens = [sum(len(batch.ids_M) for batch in share) for share in shares]
    assert max(tokens) - min(tokens) <= max(len(item.prompt_ids) + 100 for item in items)


@pytest.mark.slow
def test_two_ranks_take_the_steps_of_one_and_either_goes_on_where_the_other_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, both = settings(tmp_path), settings(tmp_path, ranks=2)
    train(alone)
    with monkeypatch.context() as patched:
        patched.setattr("sft.progress.Progress.on_step_end", _killed_after(2))
        with pytest.raises(KeyboardInterrupt):
            train(both)
    train(both)
    one, two = adapter(alone), adapter(both)
    assert one.keys() == two.keys()
    # The optimizer's states have 8 bits: where a gradient's last bit tips one over, a weight differs by 1 % of 2e-4.
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 5e-6
    for before, after in zip(metrics(alone), metrics(both), strict=True):
        assert after["loss"] == pytest.approx(before["loss"], rel=1e-6) and after["tokens"] == before["tokens"]
        assert after["token_accuracy"] == before["token_accuracy"]
        assert after["grad_norm"] == pytest.approx(before["grad_norm"], rel=1e-6)


def _killed_after(steps: int) -> Callable[..., None]:
    def on_step_end(self: Progress, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step > steps:
            raise KeyboardInterrupt

    return on_step_end


def test_the_first_rank_is_the_commands_own_process_and_every_rank_needs_a_gpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "seven.toml"
    file.write_text('[model]\npath = "Qwen/Qwen2.5-Coder-7B-Instruct"\n[data]\nbenchmark = "spider"\n')
    words = ["--config", str(file), "--data", "/on/the/head", "train.ranks=4"]
    with pytest.raises(SystemExit):
        main([*words, "--needs", "auto"])
    found = Needs.from_json(capsys.readouterr().out)
    (others,) = found.layouts["a GPU each"]
    assert (found.driver.gpus, others.gpus, others.count) == (1, 1, 3)
    assert found.driver.gpu_bytes == others.gpu_bytes > 5 * GIB and "trainable" in found.about
    assert fit([others], [Node("a", 8, 4, 256 * GIB, 80 * GIB)], found.driver) is None
    assert fit([others], [Node("a", 8, 3, 256 * GIB, 80 * GIB)], found.driver)
    with pytest.raises(SystemExit):
        main([*words, "train.ranks=1", "--needs", "cpu"])
    found = Needs.from_json(capsys.readouterr().out)
    assert found.layouts == {"on CPUs": []} and not (found.driver.gpus or found.driver.cpus)
