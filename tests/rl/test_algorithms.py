"""What naming an algorithm sets, and what the docs say of it."""

from pathlib import Path

import pytest

from evaluation.errors import UserError
from rl.algorithms import ALGORITHMS, algorithm, table
from rl.config import RlConfig
from rl.run import identity_of
from sft.settings.file import load_config, validate

DOCS = Path(__file__).resolve().parents[2] / "docs" / "algorithms.md"


def config_of(name: str, **sections):
    taught = {"learner": {"teacher": "t"}} if name == "opd" else {}
    return validate(RlConfig, {"init_adapter": "a", "algorithm": name, **taught, **sections}, "test")


def test_the_docs_have_the_table_of_the_classes():
    assert table() in DOCS.read_text()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_named_algorithm_has_its_defaults(name):
    config = config_of(name)
    for key, value in algorithm(name).defaults.items():
        section, _, leaf = key.partition(".")
        assert getattr(getattr(config, section), leaf) == value
    assert type(algorithm(name).of(config)) is ALGORITHMS[name]


def test_settings_of_the_file_and_of_the_command_line_go_before_those_of_the_algorithm(tmp_path):
    (tmp_path / "c.toml").write_text("init_adapter = 'a'\n[learner]\nclip_high = 0.5\n")
    config = load_config(RlConfig, tmp_path / "c.toml", ["algorithm=dapo", "rollout.refills=1"])
    assert (config.learner.clip_high, config.rollout.refills, config.reward.overlong) == (0.5, 1, 0.5)


def test_without_a_name_the_settings_are_those_of_before_and_so_is_a_checkpoints_identity():
    config = RlConfig()
    assert config.learner.aggregation == "token_mean" and config.learner.clip_high == 0.28
    assert not {"algorithm", "environment"} & identity_of(config, []).keys()
    assert identity_of(validate(RlConfig, {"algorithm": "grpo"}, "test"), [])["algorithm"] == '"grpo"'


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dapoo", 'algorithm = "dapoo": did you mean dapo? It must be one of grpo, dapo, dr_grpo, '),
        ("no.such:Class", "No module named 'no'"),
        ("rl.types:Nothing", "has no 'Nothing'"),
        ("rl.types:Group", "must be a subclass of rl.algorithms.base.Algorithm"),
        ("rl.types:", 'must be "package.module:name"'),
    ],
)
def test_an_algorithm_that_is_not_there_is_one_line(name, message):
    with pytest.raises(UserError) as caught:
        config_of(name)
    assert message in str(caught.value) and "\n" not in str(caught.value)
