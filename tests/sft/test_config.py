import json
import re
from pathlib import Path

import pytest

from evaluation.errors import UserError
from sft.config import SftConfig
from sft.pretraining.config import PretrainConfig
from sft.settings.file import load_config, write_resolved
from sft.settings.table import known_keys


def written(tmp_path: Path, text: str = "") -> Path:
    path = tmp_path / "run.toml"
    path.write_text(text)
    return path


def test_an_override_beats_the_file_which_beats_the_default(tmp_path):
    path = written(tmp_path, "[train]\nepochs = 3\nbatch_size = 8\n")
    config = load_config(SftConfig, path, ["train.epochs=5", "model.path=some/where", 'run.name="b"'])
    assert (config.train.epochs, config.train.batch_size, config.train.log_every) == (5, 8, 10)
    assert (config.model.path, config.run.name) == ("some/where", "b")


@pytest.mark.parametrize(
    "override, suggestion",
    [
        ("train.epoch=3", "train.epochs"),
        ("epochs=3", "train.epochs"),
        ("modle.path=x", "model.path"),
        ("learning_rate=1e-3", "train.learning_rate"),
        ("lora.xyzzy=3", "there are lora.r, lora.alpha, lora.dropout"),
        ("lr=1e-3", "train.learning_rate"),
        ("train.lr=1e-3", "train.learning_rate"),
        ("bs=3", "train.batch_size"),
        ("lora_r=8", "lora.r"),
        ("num_train_epochs=3", "train.epochs"),
        ("output_dir=x", "run.dir"),
        ("learner.learning_rate=1e-3", "train.learning_rate"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(tmp_path, override, suggestion):
    key = override.partition("=")[0]
    with pytest.raises(UserError, match=f"^the command line: unknown key {key}; .*{suggestion}"):
        load_config(SftConfig, written(tmp_path), [override])


@pytest.mark.parametrize(
    "override, says",
    [
        ("lora.r=7", "lora.r = 7.*8"),
        ("train.batch_size=many", 'train.batch_size = "many": it must be a whole number, at least 1, at most 4096'),
        ("train.batch_size=2.0", "train.batch_size = 2.0: it must be a whole number"),
        ("train.batch_size=true", "train.batch_size = true: it must be a whole number"),
        ('train.epochs="2"', 'train.epochs = "2": it must be a number, above 0'),
        ("train.gradient_checkpointing=1", "it must be true or false"),
        ("run.name=3", "run.name = 3: it must be text"),
        ("train.epochs=[1]", "it must be a number"),
        ("data.benchmark=spidre", 'one of tiny, .*"package.module:LAYOUT", got .spidre.; did you mean spider'),
        ("train.learning_rate=nan", "train.learning_rate = NaN: it must be a number, above 0, at most 1"),
        ("train.mode=lora", "train.mode = lora needs model.quantization = none"),
        ("model.quantization=none", "train.mode = qlora needs model.quantization = nf4"),
        ("data.prompt_style=prose", "BASE one of compact, ddl"),
        ("run.name=../x", "letters"),
        ("train=3", "train = 3: it is a section, with the keys train.mode, train.epochs"),
        ("train.epochs", "must look like"),
        ("run.name.x=3", "unknown key|run.name"),
    ],
)
def test_an_impossible_value_says_what_must_hold(tmp_path, override, says):
    with pytest.raises(UserError, match=says) as error:
        load_config(SftConfig, written(tmp_path), [override])
    assert not re.search("Input|input|validation|pydantic|parse|finite|literal", str(error.value))


def test_all_mistakes_are_told_at_once(tmp_path):
    with pytest.raises(UserError) as error:
        load_config(SftConfig, written(tmp_path, "[lora]\nr = 3\n[train]\nbatch = 1\n"))
    assert "lora.r" in str(error.value) and "train.batch_size" in str(error.value)


def test_a_missing_or_broken_file_is_a_user_error_with_its_path(tmp_path):
    written(tmp_path)
    with pytest.raises(UserError, match=r"nope.toml does not exist; there are .*run.toml"):
        load_config(SftConfig, tmp_path / "nope.toml")
    with pytest.raises(UserError, match="must be a TOML file.*line 2"):
        load_config(SftConfig, written(tmp_path, "[train]\nepochs = = 2"))


def test_the_resolved_config_loads_back_to_the_same_config(tmp_path):
    config = load_config(SftConfig, written(tmp_path), ["train.epochs=0.5"])
    assert SftConfig.model_validate(json.loads(write_resolved(config, tmp_path / "run").read_text())) == config


@pytest.mark.parametrize("config", sorted(Path("sft/configs").glob("*.toml")), ids=lambda path: path.stem)
def test_a_shipped_config_loads_and_explains_every_key(config):
    cls = PretrainConfig if config.stem == "pretrain" else SftConfig
    load_config(cls, config)
    keys = [line for line in config.read_text().splitlines() if "=" in line.split("#")[0]]
    assert keys and len(keys) <= len(list(known_keys(cls)))
    if config.stem in ("tiny", "spider-tiny"):
        assert all("#" in line for line in keys)


def test_a_mistake_is_blamed_on_the_place_where_it_was_made(tmp_path):
    path = written(tmp_path, "[train]\nepochs = 0\n")
    with pytest.raises(UserError) as error:
        load_config(SftConfig, path, ["lora.alpha=0"])
    assert str(error.value).splitlines() == [
        "the command line: lora.alpha = 0: it must be a whole number, at least 1, at most 4096",
        f"{path}: train.epochs = 0: it must be a number, above 0, at most 1000",
    ]
    with pytest.raises(UserError, match=rf"^{path} with train.mode: train.mode = lora needs"):
        load_config(SftConfig, written(tmp_path), ["train.mode=lora"])


def test_a_config_of_another_command_is_named_as_such():
    with pytest.raises(UserError, match=r"tiny.toml is a config of rl.train \(\w+ is no setting of sft.train\): run"):
        load_config(SftConfig, Path("rl/configs/tiny.toml"))
    with pytest.raises(UserError, match="is a config of sft.pretraining"):
        load_config(SftConfig, Path("sft/configs/pretrain.toml"))


def test_a_shipped_config_is_found_from_any_folder(tmp_path, monkeypatch):
    here = load_config(SftConfig, Path("sft/configs/tiny.toml"))
    monkeypatch.chdir(tmp_path)
    assert load_config(SftConfig, Path("sft/configs/tiny.toml")) == here
