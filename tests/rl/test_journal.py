"""What a step leaves behind."""

from pathlib import Path

import pyarrow.parquet as pq

from evaluation.benchmarks import Example
from rl.journal import write_rollouts
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
