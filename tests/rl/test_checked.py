import json
from collections import Counter
from pathlib import Path

from evaluation.benchmarks import load_examples
from rl.golds import dropped_before, write_dropped
from rl.questions import checked
from sft.policy.checkpoint import Checkpoint


def test_weak_golds_come_half_as_often_and_useless_ones_never(tmp_path: Path) -> None:
    examples = load_examples("tiny", "train")[:4]
    rows = [{"id": examples[0].id, "action": "drop"}, {"id": examples[2].id, "action": "down_weight"}]
    (tmp_path / "checked.jsonl").write_text("\n".join(map(json.dumps, rows)))
    times = Counter(example.id for example in checked(examples, str(tmp_path / "checked.jsonl")))
    assert times == {examples[1].id: 2, examples[2].id: 1, examples[3].id: 2}
    assert checked(examples, "") == examples


def test_which_golds_are_dropped_is_decided_once_in_a_run_also_where_its_disk_was_lost(tmp_path: Path) -> None:
    identity = {"run.seed": "0"}
    assert dropped_before(tmp_path, None, identity) is None
    write_dropped(tmp_path, identity, frozenset({"q1", "q2"}))
    assert dropped_before(tmp_path, None, identity) == {"q1", "q2"}
    assert dropped_before(tmp_path, None, {"run.seed": "1"}) is None
    saved = Checkpoint(4, {"run/golds.json": (tmp_path / "golds.json").read_bytes()}, identity)
    assert dropped_before(tmp_path / "another", saved, identity) == {"q1", "q2"}
