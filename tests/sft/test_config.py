import json
from pathlib import Path

import pytest

from evaluation.errors import UserError
from sft.config import SftConfig, known_keys, load_config, write_resolved


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
        ("modle.path=x", "model"),
        ("learning_rate=1e-3", "train.learning_rate"),
        ("lora.rank_of_it=3", "the keys are|lora.r"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(tmp_path, override, suggestion):
    path = written(tmp_path)
    with pytest.raises(UserError, match=suggestion) as error:
        load_config(SftConfig, path, [override])
    assert str(path) in str(error.value) and override.split("=")[0].split(".")[0] in str(error.value)


@pytest.mark.parametrize(
    "override, says",
    [
        ("lora.r=7", "lora.r = 7.*8"),
        ("train.batch_size=many", "train.batch_size = 'many'.*integer"),
        ("train.learning_rate=nan", "finite"),
        ("train.mode=lora", "train.mode = lora needs model.quantization = none"),
        ("model.quantization=none", "train.mode = qlora needs model.quantization = nf4"),
        ("data.prompt_style=prose", "BASE one of compact, ddl"),
        ("run.name=../x", "letters"),
        ("train=3", "train"),
        ("train.epochs", "must look like"),
        ("run.name.x=3", "unknown key|run.name"),
    ],
)
def test_an_impossible_value_says_what_must_hold(tmp_path, override, says):
    with pytest.raises(UserError, match=says):
        load_config(SftConfig, written(tmp_path), [override])


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


@pytest.mark.parametrize("name", ["tiny.toml", "spider-tiny.toml"])
def test_a_shipped_config_loads_and_explains_every_key(name):
    path = Path("sft/configs") / name
    load_config(SftConfig, path)
    keys = [line for line in path.read_text().splitlines() if "=" in line.split("#")[0]]
    assert keys and all("#" in line for line in keys)
    assert len(keys) <= len(list(known_keys(SftConfig)))
