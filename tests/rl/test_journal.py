"""What a step leaves behind."""

from pathlib import Path

import pyarrow.parquet as pq
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from evaluation.benchmarks import Example
from rl.journal import Journal, samples_text, write_rollouts
from rl.types import Episode, Group, Reward


def test_a_rollout_says_what_was_asked_what_was_answered_and_why_it_failed(tmp_path: Path) -> None:
    example = Example("q1", "shop", "How many?", "", "SELECT count(*) FROM item", "shop.sqlite", "")
    sqls = ("SELECT 1", "SELECT nam FROM item")
    rollouts = [Episode.single(k, [5], [9], [-0.1], "stop", 0, sql) for k, sql in enumerate(sqls)]
    rewards = [Reward(0.0, {"correct": 0.0}, "wrong"), Reward(0.0, {"correct": 0.0}, "error", "no such column: nam")]
    write_rollouts(tmp_path / "step.parquet", [Group(example, rollouts, rewards, [0.0, 0.0])])
    first, second = pq.read_table(tmp_path / "step.parquet").to_pylist()
    wanted = {"example_id": "q1", "db_id": "shop", "question": "How many?", "gold": "SELECT count(*) FROM item"}
    assert second | wanted == second
    assert (second["sql"], second["verdict"], second["error"]) == (
        "SELECT nam FROM item",
        "error",
        "no such column: nam",
    )
    assert first["error"] == "" and first["token_ids"] == [9]


def test_tensorboard_has_dev_accuracy_settings_and_sample_texts(tmp_path: Path) -> None:
    example = Example("q1", "shop", "How | many?", "", "SELECT count(*)\nFROM item", "shop.sqlite", "")
    rollouts = [Episode.single(k, [5], [9], [-0.1], "stop", 0, sql) for k, sql in enumerate(("SELECT 1", "SELECT 2"))]
    rewards = [Reward(0.0, {"correct": 0.0}, "wrong"), Reward(1.0, {"correct": 1.0}, "correct")]
    (tmp_path / "config.json").write_text('{"steps": 1}')
    journal = Journal(tmp_path, 1)
    journal.restore(0, {})
    journal.dev({"step": 1, "ex_strict": 0.25, "ex_strict_sampled": 0.5, "seconds": 1.0})
    journal.events.text("samples", samples_text([Group(example, rollouts, rewards, [-1.0, 1.0])]), 1)
    journal.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert events.Scalars("dev/ex_strict")[0].value == 0.25
    texts = {
        name: events.Tensors(f"{name}/text_summary")[0].tensor_proto.string_val[0].decode()
        for name in ("settings", "samples")
    }
    assert texts["settings"].split() == ["{", '"steps":', "1", "}"]
    assert texts["samples"].splitlines() == [
        "    How | many?", "    gold: SELECT count(*) FROM item", "    correct, reward 1: SELECT 2",
        "    wrong, reward 0: SELECT 1",
    ]  # fmt: skip
    assert '"ex_strict": 0.25' in (tmp_path / "dev.jsonl").read_text()
