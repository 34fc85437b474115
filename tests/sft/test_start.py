"""What SFT begins with: golds that run, and an adapter that it may go on from."""
# ruff: noqa: F811

import json
import shutil
from pathlib import Path

import peft
import pytest

from evaluation.benchmarks import load_examples
from evaluation.errors import UserError
from evaluation.lineage import trained
from sft import warm_start
from sft.config import LoraConfig, ModelConfig, SftConfig
from sft.policy import base as policy
from sft.train.driver import checked_golds, train
from tests.sft.test_train import settings, shop, toy  # noqa: F401


def broken(shop: Path, directory: Path, *golds: str) -> Path:
    """The benchmark `shop` with more questions, of these golds."""
    shutil.copytree(shop, directory)
    lines = [json.dumps({"id": f"bad{n}", "db_id": "shop", "question": "?", "sql": sql}) for n, sql in enumerate(golds)]
    with (directory / "train.jsonl").open("a") as file:
        file.write("\n".join(lines) + "\n")
    return directory


@pytest.mark.slow
def test_golds_that_fail_are_dropped_counted_and_not_run_again(toy, shop, tmp_path, capsys):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    data = broken(shop, tmp_path / "data", "SELECT nam FROM item", "SELECT id FROM item WHERE 0", endless)
    config = settings(toy, tmp_path, epochs=1)
    run = train(config, data)
    summary = json.loads((run / "report" / "summary.json").read_text())
    assert (summary["questions"], summary["failed_golds"]) == (13, 2), "an empty answer can be learned from"
    said = capsys.readouterr().out
    assert "dropped 2 golds that fail (the first is bad0: no such column: nam" in said
    assert "(2 dropped: their golds fail)" in said
    examples = load_examples("own", "train", data)
    assert checked_golds(run, examples).dropped == {"bad0", "bad2"} and "golds" not in capsys.readouterr().out
    assert checked_golds(run, examples[:-1]).dropped == {"bad0"}, "other golds are run again"


@pytest.mark.slow
def test_an_adapter_learns_on_and_says_so(toy, shop, tmp_path):
    first = train(settings(toy, tmp_path, epochs=4), shop)
    config = settings(toy, tmp_path, epochs=1, batch_size=12)
    again = {"run": {"name": "again", "dir": str(tmp_path)}, "init_adapter": str(first / "adapter")}
    second = train(SftConfig.model_validate(config.model_dump() | again), shop)
    losses = [json.loads((run / "metrics.jsonl").read_text().splitlines()[0])["loss"] for run in (first, second)]
    assert losses[1] < 0.7 * losses[0]
    assert [trained(run / "adapter") for run in (first, second)] == ["SFT", "SFT + SFT"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"lora": {"r": 16}}, r"must be one of lora\.r = 16, but has 8: set lora\.r=8"),
        ({"train": {"mode": "full"}, "model": {"quantization": "none"}}, "needs train.mode = qlora or lora, got full"),
    ],
)
def test_an_adapter_that_cannot_learn_on_is_refused_in_one_line(toy, shop, tmp_path, change, says):
    first = train(settings(toy, tmp_path, epochs=1), shop)
    values = settings(toy, tmp_path).model_dump() | {"init_adapter": str(first / "adapter")}
    values |= {key: values[key] | part for key, part in change.items()}
    values["run"]["name"] = "again"
    with pytest.raises(ValueError, match=says):
        train(SftConfig.model_validate(values), shop)
    assert not (tmp_path / "again").exists()


def test_an_adapter_on_some_layers_only_is_refused(toy, tmp_path):
    base = policy.load_base(ModelConfig(path=str(toy)))
    model = peft.get_peft_model(base, peft.LoraConfig(r=8, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    with pytest.raises(UserError, match="leaves out down_proj, gate_proj, k_proj, o_proj, up_proj, v_proj"):
        warm_start.check_on_every_layer(model, tmp_path)
    warm_start.check_on_every_layer(policy.load_model(ModelConfig(path=str(toy)), LoraConfig(r=8)), tmp_path)
