"""Predictions on the bundled questions with a toy model and the real engine."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from xgrammar.testing import _get_matcher_from_grammar

from evaluation.benchmarks import load_examples
from graph.grammar import grammar
from graph.introspect import schema_of
from rl.predict import main
from sft.config import LoraConfig, ModelConfig
from sft.policy import provenance
from sft.policy.base import load_model, load_tokenizer, publish, save_adapter
from tests.toy_model import make_toy_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_toy_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def adapter(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter after which the only answer is `SELECT 1`, cut at max tokens."""
    directory = tmp_path_factory.mktemp("run") / "adapter"
    config = ModelConfig(path=model, quantization="nf4", dtype="float32")
    policy = load_model(config, LoraConfig(r=8, alpha=16))
    learn_by_heart(policy, model)
    save_adapter(publish(policy, step=7), directory, provenance.as_file(config, "compact"))
    return directory


def learn_by_heart(policy: torch.nn.Module, model: str) -> None:
    """A few steps on `<any id> SELECT 1 <eos>`, so that predictions show whether the adapter was used."""
    tokenizer = load_tokenizer(model)
    answer = [*tokenizer.encode("SELECT 1", add_special_tokens=False), tokenizer.eos_token_id]
    opening = tokenizer.encode("<|im_start|>assistant\n", add_special_tokens=False)
    ids = torch.tensor([[*([5 + 7 * row] * 30), *opening, *answer] for row in range(16)])
    labels = ids.clone()
    labels[:, : -len(answer)] = -100
    optimizer = torch.optim.Adam([p for p in policy.parameters() if p.requires_grad], lr=2e-2)
    for _ in range(60):
        optimizer.zero_grad()
        policy(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()


def predict(model: str, out: Path, *more: object) -> int:
    return main(["--model", model, "--benchmark", "tiny", "--out", str(out), *map(str, more)])


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_an_adapter_answers_in_split_order_with_greedy_and_sampled_queries(
    model: str, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "preds.jsonl"
    options = ("--adapter", adapter, "--limit", 6, "--samples", 3, "--temperature", 0.7, "--max-tokens", 12)
    assert predict(model, out, *options) == 0
    rows = read(out)
    assert [row["id"] for row in rows] == [example.id for example in load_examples("tiny", "dev")[:6]]
    assert all(row["sql"] == "SELECT 1" for row in rows)
    assert all(len(row["samples"]) == 3 for row in rows)
    said = capsys.readouterr().out
    assert "greedy: 6/6 questions" in said and "samples: 6/6 questions" in said


@pytest.mark.slow
def test_candidates_vote_and_too_few_votes_are_no_answer(model: str, adapter: Path, tmp_path: Path) -> None:
    options = ("--adapter", adapter, "--limit", 3, "--candidates", 3, "--temperature", 1.5, "--max-tokens", 12)
    outs = [tmp_path / f"{n}.jsonl" for n in range(3)]
    voted = (*options, "--select", "vote_instances", "--instances", 2)
    assert [predict(model, out, *voted) for out in outs[:2]] == [0, 0]
    assert outs[0].read_bytes() == outs[1].read_bytes()
    for row in read(outs[0]):
        assert len(row["samples"]) == 2 and 0 <= row["confidence"] <= 1
        assert row["sql"] in {row["greedy"], *row["samples"]}
    assert predict(model, outs[2], *options, "--select", "vote", "--abstain-below", 1) == 0
    assert all(row["sql"] == "" or row["confidence"] == 1 for row in read(outs[2]))


@pytest.mark.slow
def test_under_a_grammar_each_answer_is_a_query_with_the_names_of_its_database(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = load_examples("tiny", "dev")[:40:13]
    sizes = [sum(1 + len(table.columns) for table in schema_of(example.database).tables) for example in examples]
    grammar.cache_clear()
    monkeypatch.setattr("graph.grammar.MOST_NAMES", max(sizes) - 1)
    monkeypatch.setattr("rl.predict.load_examples", lambda *_, **__: examples)
    options = ("--samples", 3, "--max-tokens", 40, "--quantization", "none", "--grammar")
    assert predict(model, tmp_path / "preds.jsonl", *options) == 0  # of a model that has learned nothing
    for row, example, size in zip(read(tmp_path / "preds.jsonl"), examples, sizes, strict=True):
        rules = grammar(schema_of(example.database))
        assert bool(rules) == (size < max(sizes))
        for sql in (row["sql"], *row["samples"]) if rules else ():
            matcher = _get_matcher_from_grammar(rules)
            assert sql.upper().startswith("SELECT") and matcher.accept_string(sql)  # the beginning of one, if cut
    free = sum(size == max(sizes) for size in sizes)
    assert f"{free} of {len(examples)} questions are answered freely" in capsys.readouterr().out
    grammar.cache_clear()


@pytest.mark.slow
def test_prompts_over_the_context_give_empty_queries_and_are_counted(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lengths = prompt_lengths(model, 12)
    limit = sorted(lengths)[6]  # at least one prompt is longer
    out = tmp_path / "preds.jsonl"
    options = ("--limit", 12, "--max-length", limit + 8, "--max-tokens", 8, "--quantization", "none")
    assert predict(model, out, *options) == 0
    rows = read(out)
    assert len(rows) == 12 and set(rows[0]) == {"id", "sql"}
    long = [length > limit for length in lengths]
    assert 0 < sum(long) < 12
    assert all(row["sql"] == "" for row, over in zip(rows, long, strict=True) if over)
    assert f"{sum(long)} of 12 prompts are over {limit} tokens" in capsys.readouterr().out


def prompt_lengths(model: str, count: int) -> list[int]:
    from sft.policy.encoder import PromptEncoder

    encoder = PromptEncoder(load_tokenizer(model))
    return [len(encoder.encode(example)) for example in load_examples("tiny", "dev")[:count]]


def test_bad_input_is_told_before_the_engine_starts_and_nothing_is_written(
    model: str, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "preds.jsonl"

    def refused(expected: str, options: Sequence[object], path: str = model) -> None:
        try:
            assert predict(path, out, *options) == 2
        except SystemExit as left:  # of the arguments' parser
            assert left.code == 2
        assert expected in capsys.readouterr().err
        assert not list(tmp_path.iterdir())

    refused("no-such-model", (), path="./no-such-model")
    refused("no-such-adapter must be an existing folder", ("--adapter", "no-such-adapter"))
    refused("--temperature", ("--temperature", "0.5"))
    refused("needs at least 2 candidates to choose among, got 1", ("--select", "vote", "--candidates", 1))
    refused("--instances needs --select vote_instances", ("--candidates", 4, "--select", "vote", "--instances", 2))
    refused("leave --samples out", ("--candidates", 4, "--samples", 3))
    refused("a greedy answer has no confidence", ("--abstain-below", 0.5))
    refused("must be between 0 and 1", ("--abstain-below", 2))
    refused("--limit", ("--limit", 0))
    refused("each of the 3 prompts is longer than 4 tokens", ("--limit", 3, "--max-length", 16, "--max-tokens", 12))
    refused("must leave room", ("--max-length", 16, "--max-tokens", 16))
    refused("another quantisation of the base", ("--adapter", adapter, "--quantization", "none"))


def test_an_adapter_trained_with_another_prompt_is_refused(
    model: str, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "adapter"
    old.mkdir()
    for file in adapter.iterdir():
        text = file.read_bytes()
        if file.name == provenance.FILE:
            text = json.dumps(json.loads(text) | {"prompt_version": "0"}).encode()
        (old / file.name).write_bytes(text)
    assert predict(model, tmp_path / "preds.jsonl", "--adapter", old) == 2
    assert "another version of the prompt" in capsys.readouterr().err
