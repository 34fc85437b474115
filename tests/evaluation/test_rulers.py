"""The official rulers give the official verdicts."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from evaluation import score
from evaluation.benchmarks import load_examples

NAMES = {
    "ex_spider": "spider_ts_func",
    "em_spider": "spider_em",
    "ex_bird": "bird_ex",
    "soft_f1": "minidev_soft_f1",
    "hardness": "hardness",
}
# Where the verdict is ours on purpose. BIRD runs prediction and gold over one writable connection, so this temporary
# table hides the real one from gold; here every query has a connection of its own and nothing can be made.
DELIBERATE = {("E11_temp_table_shadow", "ex_bird"), ("E11_temp_table_shadow", "soft_f1")}


@pytest.fixture(scope="module")
def vectors(vectors_dir: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((vectors_dir / "eval_vectors.json").read_text())
    return read


@pytest.fixture(scope="module")
def spider_layout(vectors: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("spider")
    for db_id, database in vectors["databases"].items():
        folder = root / "database" / db_id
        folder.mkdir(parents=True)
        for name, script in {f"{db_id}.sqlite": database["script"], **database["extra_instances"]}.items():
            with closing(sqlite3.connect(folder / name)) as connection:
                connection.executescript(script)
                connection.commit()
    entries = [database["spider_tables_json"] for database in vectors["databases"].values()]
    questions = [{"db_id": v["db_id"], "question": v["why"], "query": v["gold"]} for v in vectors["vectors"]]
    (root / "tables.json").write_text(json.dumps(entries))
    (root / "dev.json").write_text(json.dumps(questions))
    return root


def command(data: Path, predictions: Path, out: Path) -> list[dict[str, Any]]:
    arguments = ["--benchmark", "spider", "--data", data, "--predictions", predictions, "--out", out, "--workers", 2]
    assert score.main([str(argument) for argument in arguments]) == 0
    return [json.loads(line) for line in (out / "verdicts.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_the_verdicts_are_those_of_the_official_evaluators(
    vectors: dict[str, Any], spider_layout: Path, tmp_path: Path
) -> None:
    ids = [example.id for example in load_examples("spider", "dev", spider_layout)]
    lines = [{"id": name, "sql": vector["pred"]} for name, vector in zip(ids, vectors["vectors"], strict=True)]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, lines)))
    rows = command(spider_layout, tmp_path / "p.jsonl", tmp_path / "out")
    differences = {
        (vector["id"], ours): (row[ours], vector["verdicts"][official])
        for vector, row in zip(vectors["vectors"], rows, strict=True)
        for ours, official in NAMES.items()
        if has_verdict(vector["verdicts"][official]) and row[ours] != vector["verdicts"][official]
    }
    assert differences.keys() == DELIBERATE, differences


def has_verdict(value: object) -> bool:
    """The official tool neither raised nor hung."""
    return value is not None and not str(value).startswith(("ERROR", "HANG"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dbgpthub_lora", "official_example"])
def test_every_flag_of_real_predictions_is_the_official_one(
    vectors_dir: Path, spider_dir: Path, tmp_path: Path, name: str
) -> None:
    folder = vectors_dir / "spider_dev_predictions"
    official = json.loads((folder / f"{name}.official.json").read_text())
    rows = command(spider_dir, folder / f"{name}.sql", tmp_path)
    assert "".join(str(row["ex_spider"]) for row in rows) == official["ex_flags"]
    assert "".join(str(row["em_spider"]) for row in rows) == official["em_flags"]
    assert [row["hardness"] for row in rows] == official["hardness"]
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert round(100 * scores["ex_spider"]["all"]["value"], 2) == official["ex"]
    assert round(100 * scores["em_spider"]["all"]["value"], 2) == official["em"]
