"""What the documentation says and ships."""

import csv
import runpy
import sqlite3
from contextlib import closing
from pathlib import Path

from evaluation.benchmarks import Example
from evaluation.check_data import check

ROOT = Path(__file__).resolve().parent.parent
SHOP = ROOT / "docs" / "shop" / "shop.sqlite"
PAIRS = ROOT / "docs" / "shop" / "pairs.csv"


def test_the_shop_is_what_its_script_builds(tmp_path: Path) -> None:
    runpy.run_path(str(SHOP.with_name("build.py")))["build"](tmp_path / "shop.sqlite")
    assert dump(tmp_path / "shop.sqlite") == dump(SHOP)
    assert SHOP.stat().st_size < 500_000


def test_every_pair_of_the_shop_has_an_answer() -> None:
    with PAIRS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    pairs = [Example(str(i), "shop", row["question"], "", row["query"], str(SHOP), "") for i, row in enumerate(rows)]
    assert len(pairs) >= 60
    assert check(pairs) == []


def dump(file: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as database:
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        return list(database.iterdump())
