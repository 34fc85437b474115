import json
from collections import Counter
from pathlib import Path

from evaluation.benchmarks import load_examples
from rl.train import checked


def test_weak_golds_come_half_as_often_and_useless_ones_never(tmp_path: Path) -> None:
    examples = load_examples("tiny", "train")[:4]
    rows = [{"id": examples[0].id, "action": "drop"}, {"id": examples[2].id, "action": "down_weight"}]
    (tmp_path / "checked.jsonl").write_text("\n".join(map(json.dumps, rows)))
    times = Counter(example.id for example in checked(examples, str(tmp_path / "checked.jsonl")))
    assert times == {examples[1].id: 2, examples[2].id: 1, examples[3].id: 2}
    assert checked(examples, "") == examples
