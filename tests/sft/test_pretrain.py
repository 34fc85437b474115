"""Pre-training of the bundled base model, on a small scale, and the model that is bundled."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from sft.pretraining.__main__ import main
from sft.pretraining.base_model import save
from sft.pretraining.block_learner import Learner, TrainConfig, load_state, save_state
from sft.pretraining.block_model import losses, tensors
from sft.pretraining.block_rows import RowMaker, Rows, Shape
from sft.pretraining.config import PretrainConfig
from sft.pretraining.corpus import Document, documents, held_out
from sft.pretraining.driver import batches
from sft.pretraining.tokenizer import END, PAD, START, train_tokenizer
from sft.settings.file import load_config

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "sft" / "configs" / "pretrain.toml"


@pytest.fixture(scope="module")
def sample() -> list[Document]:
    return list(islice(documents(3, held_out()), 40))


@pytest.fixture(scope="module")
def tokenizer(sample):
    return train_tokenizer([document.text for document in sample], 700, 512)


@pytest.fixture(scope="module")
def rows(tokenizer, sample) -> Rows:
    return RowMaker(tokenizer, Shape(schema=256, chunks=3, chunk=160)).rows(sample)


def toy_model() -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=700,
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=True,
            initializer_range=0.2,
        )  # fmt: skip
    )


def test_the_tokenizer_gives_any_text_back_and_splits_digits(tokenizer) -> None:
    text = "Jürgen's  <|im_end|> Ünïcode\n\tselect *  from T_Name; 東京 __a_ _B Ab12 🙂"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert [tokenizer.decode(i) for i in tokenizer("2024")["input_ids"]] == ["2", "0", "2", "4"]


def test_a_capitalised_name_is_the_same_tokens_in_a_question_and_in_a_query(tokenizer) -> None:
    name = tokenizer("Canal House")["input_ids"]
    for text in ("held in Canal House.", "name = 'Canal House'", "'Canal House'"):
        ids = tokenizer(text)["input_ids"]
        assert any(ids[i : i + len(name)] == name for i in range(len(ids)))


def test_blocks_in_a_row_have_the_same_loss_as_sequences_of_their_own(rows) -> None:
    model, part = toy_model(), rows.take(slice(0, 4))
    batch = tensors(part)
    compared = 0
    with torch.no_grad():
        packed, _ = losses(model, batch)
        for d in range(len(part)):
            for number in range(1, int(batch["block"][d].max()) + 1):
                chosen, n = batch["block"][d] == number, int(batch["lengths"][d])
                if not chosen.any():  # it did not fit
                    continue
                ids = torch.cat((batch["schema"][d, :n], batch["body"][d][chosen]))[None]
                alone = -model(ids).logits[0].log_softmax(-1)[n:-1].gather(-1, ids[0, n + 1 :, None])[:, 0]
                torch.testing.assert_close(packed[d][chosen][:-1], alone, atol=1e-4, rtol=0)
                compared += 1
    assert compared > 12


def test_a_row_weighs_only_tokens_of_blocks_and_leaves_out_what_does_not_fit(tokenizer) -> None:
    maker = RowMaker(tokenizer, Shape(schema=16, chunks=1, chunk=40))
    short, long = ("How many?", "SELECT 1"), ("How many?", "SELECT " + ", ".join("1" * 40))
    row = maker.rows([Document("item(id)", (long, short))])
    assert row.block.max() == 1
    assert not row.weight[row.block == 0].any()
    target = np.roll(row.body, -1)[row.sql]  # the tokens that are predicted as parts of the query
    assert tokenizer.decode(target) == "SELECT 1\n"
    assert len(maker.rows([Document("item(" + ", ".join("abcdefghijk") + ")", (short,))])) == 0


def test_all_documents_of_a_step_are_read_once_whatever_the_number_of_workers() -> None:
    config = TrainConfig(workers=2, micro_batch=2, micro_batches=2)
    lengths = np.arange(24)[::-1]
    both = [list(islice(batches(24, lengths, config, 0, rank), 3)) for rank in (0, 1)]
    assert sorted(np.concatenate([m for rank in both for step in rank for m in step])) == list(range(24))


@pytest.mark.slow
def test_a_few_steps_on_one_batch_lower_its_loss(rows) -> None:
    learner = Learner(toy_model(), TrainConfig(workers=1, compile=False, warmup=0.0))
    part = rows.take(slice(0, 4))
    seen = []
    for _ in range(12):
        seen.append(learner.gradients(part, 1.0 / float(part.weight.sum())))
        learner.step(0.1)
    assert seen[-1] < 0.7 * seen[0]


@pytest.mark.slow
def test_the_command_builds_a_model_from_nothing_in_two_processes(tmp_path: Path, capfd) -> None:
    settings = {
        "out": tmp_path / "model", "work": tmp_path / "work", "model.vocab_size": 512, "model.hidden_size": 32,
        "model.intermediate_size": 32, "model.layers": 1, "model.heads": 2, "model.kv_heads": 1,
        "corpus.documents": 64, "corpus.tokenizer_documents": 32, "train.steps": 3, "train.micro_batch": 2,
        "train.stop_at": 1.0, "train.compile": "false",
    }  # fmt: skip
    assert main(["--config", str(CONFIG), *(f"{key}={value}" for key, value in settings.items())]) == 0
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert model.dtype == torch.bfloat16 and model.config.model_type == "llama"
    lines = [json.loads(line) for line in (tmp_path / "work" / "metrics.jsonl").read_text().splitlines()]
    assert {"exact_match_unseen", "exact_match_tiny"} <= set(lines[-1])


@pytest.mark.slow
def test_a_corpus_too_small_for_a_step_is_refused(tmp_path: Path, capsys) -> None:
    settings = ["corpus.documents=16", "corpus.tokenizer_documents=8", "train.micro_batch=512", f"work={tmp_path}"]
    assert main(["--config", str(CONFIG), *settings]) == 2
    assert "a step reads 1024 documents" in capsys.readouterr().err


def test_an_unknown_key_stops_the_command_with_the_nearest_known_one(capsys) -> None:
    assert main(["--config", str(CONFIG), "train.muon_rte=1"]) == 2
    assert "train.muon_rate" in capsys.readouterr().err


@pytest.mark.slow
def test_an_interrupted_run_goes_on_as_if_it_had_not_stopped(rows, tmp_path: Path) -> None:
    settings = TrainConfig(workers=1, compile=False, warmup=0.0)
    whole, first, second = (Learner(toy_model(), settings) for _ in range(3))

    def learn(learner: Learner, steps: range) -> None:
        for step in steps:
            learner.gradients(rows.take(slice(step, step + 2)), 0.01)
            learner.step(step / 10)

    learn(whole, range(4))
    learn(first, range(2))
    save_state(first, tmp_path, 0, (2, 99, 0.5))
    assert load_state(second, tmp_path, 0) == (2, 99, 0.5)
    learn(second, range(2, 4))
    for mine, theirs in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_the_saved_llama_computes_what_the_trained_qwen2_does(tokenizer, tmp_path: Path) -> None:
    model = toy_model()
    for layer in model.model.layers:
        torch.nn.init.normal_(layer.self_attn.q_proj.bias)
    save(model, tokenizer, tmp_path / "out")
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    ids = torch.arange(60)[None]
    torch.testing.assert_close(saved(ids).logits, model(ids).logits, atol=1e-4, rtol=0)
    text = "List the singers of Canal House in 2024 <|im_end|>"
    assert AutoTokenizer.from_pretrained(tmp_path / "out")(text)["input_ids"] == tokenizer(text)["input_ids"]


def test_the_shipped_config_is_read_whole() -> None:
    config = load_config(PretrainConfig, CONFIG)
    assert config.out == "sft/tiny" and config.train.max_minutes <= 50


def test_the_bundled_model_is_small_whole_and_speaks_chatml() -> None:
    folder = ROOT / "sft" / "tiny"
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 8 * 2**20
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert len(tokenizer) == model.config.vocab_size
    assert (tokenizer.pad_token, tokenizer.eos_token) == (PAD, END)
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id == model.config.eos_token_id
    messages = [{"role": "user", "content": "hi"}]
    chat = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert chat == f"{START}user\nhi{END}\n{START}assistant\n"
    ids = tokenizer(chat)["input_ids"]
    assert tokenizer.decode(ids) == chat and tokenizer.convert_tokens_to_ids(START) in ids
