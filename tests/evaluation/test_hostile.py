"""Statements that were written to do harm, and what mutation makes of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evaluation.databases.sandbox import Limits, Sandbox
from evaluation.execute import outcome
from tests.bench.fuzz import fingerprint, fuzz, hostile_seeds, make_victim

# What the file expects -> the statuses that say it.
EXPECTED = {
    "error": {"error", "refused", "too_large"},
    "timeout": {"timeout"},
    "ok": {"ok"},
    "ok (truncated)": {"too_large"},
}
# Their text stands in the file only by its first words; the full statements are built here.
SHORTENED = {
    "long_sql": "SELECT 1" + " " * 10_000_000,
    "many_columns": "SELECT " + ", ".join(["1"] * 3000),
    "values_1m": "VALUES " + ", ".join(["(1)"] * 1_000_000),
}
SLACK_S = 3.0  # beside the deadline and 0.5 s, for machines that are busy


@pytest.fixture(scope="module")
def hostile(vectors_dir: Path) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = json.loads((vectors_dir / "hostile_sql.json").read_text())["statements"]
    return [{**row, "sql": SHORTENED.get(row["id"], row["sql"])} for row in statements]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with the victim and a neighbour, which must stay as it is."""
    make_victim(tmp_path / "victim.sqlite")
    make_victim(tmp_path / "other.sqlite")
    before = fingerprint(tmp_path)
    yield tmp_path
    assert fingerprint(tmp_path) == before


@pytest.mark.slow
def test_every_hostile_statement_has_the_expected_outcome(hostile: list[dict[str, Any]], folder: Path) -> None:
    database = str(folder / "victim.sqlite")
    surprises = []
    with Sandbox(Limits(deadline_s=1.0)) as sandbox:
        for row in hostile:
            texts = row["sql"] if isinstance(row["sql"], list) else [row["sql"]]
            found = outcome(sandbox.execute([(database, sql) for sql in texts]))
            if found.status not in EXPECTED[row["expected_in_hardened_executor"]]:
                surprises.append((row["id"], row["expected_in_hardened_executor"], found.status, found.error))
    # On a busy machine a statement that would run out of memory may run out of time before.
    assert [row for row in surprises if (row[1], row[2]) != ("error", "timeout")] == []


def test_mutations_of_hostile_statements_neither_hang_nor_crash_nor_write(
    hostile: list[dict[str, Any]], tmp_path: Path
) -> None:
    seeds = {make_victim(tmp_path / "victim.sqlite"): hostile_seeds(hostile)}
    outcome = fuzz(tmp_path, seeds, statements=500, limits=Limits(deadline_s=0.2), seed=7)
    assert outcome.changed_files == ()
    assert outcome.overrun_s < 0.5 + SLACK_S
    assert outcome.memory_mb < 768
    assert outcome.statuses.keys() <= {"ok", "error", "refused", "timeout", "too_large"}
