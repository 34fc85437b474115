"""Samples as logs of inspect-ai."""

import json
from pathlib import Path

import pytest

from rl.view.__main__ import main
from tests.rl.view.fabricate import right


def test_a_log_per_step_and_dev_evaluation_has_every_sample(runs: Path, tmp_path: Path) -> None:
    assert main([str(runs), "--inspect-logs", str(tmp_path)]) == 0
    logs = {path.name.split("_")[1]: json.loads(path.read_text()) for path in (tmp_path / "small").iterdir()}
    assert set(logs) == {"step-000001", "step-000002", "step-000003", "dev-sft", "dev-rl"}
    step = logs["step-000003"]
    assert (step["eval"]["config"]["epochs"], step["eval"]["dataset"]["samples"], len(step["samples"])) == (4, 4, 16)
    share = sum(right(3, question, 4) for question in range(4)) / 16
    assert step["results"]["scores"][0]["metrics"]["accuracy"]["value"] == share
    first, fourth = step["samples"][0], step["samples"][3]
    assert [(one["epoch"], one["scores"]["execution"]["value"]) for one in (first, fourth)] == [(1, "C"), (4, "I")]
    assert [message["role"] for message in first["messages"]] == ["user", "assistant"]
    assert first["target"] == first["scores"]["execution"]["answer"] and first["metadata"]["advantage"] == 0.25
    assert logs["dev-rl"]["results"]["scores"][0]["metrics"]["accuracy"]["value"] == 0.5
    assert "no such column: none_such" in {one["scores"]["execution"]["explanation"][7:] for one in step["samples"]}


def test_inspect_reads_them(runs: Path, tmp_path: Path) -> None:
    log = pytest.importorskip("inspect_ai.log")
    main([str(runs), "--inspect-logs", str(tmp_path)])
    found = {one.eval.task: one for one in map(log.read_eval_log, log.list_eval_logs(str(tmp_path)))}
    assert found["small dev-rl"].samples[0].scores["execution"].as_str() == "C" and len(found) == 5
