"""Throw generated statements at the sandbox: mutations of hostile statements and of real queries.

python -m tests.bench.fuzz --hostile hostile_sql.json [--data SPIDER] [--statements 20000] [--seed 0]

Prints one JSON object: how often each status came, the longest wait beyond the deadline, the most memory of a child,
and whether any file changed. Exit code 1 when the sandbox let something through.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.benchmarks import load_examples
from evaluation.databases.sandbox import Limits, Sandbox

PIECES = re.compile(r"\w+|\s+|[^\w\s]")
LONGEST_SEED = 5000
GRACE_S = 0.5  # an answer may come this long after the deadline


@dataclass(frozen=True)
class Outcome:
    """statuses: how often each came. overrun_s: longest wait beyond the deadline. memory_mb: peak of any child."""

    statuses: dict[str, int]
    overrun_s: float
    memory_mb: float
    changed_files: tuple[str, ...]


def make_victim(path: Path) -> str:
    """The database that hostile statements are written for: t with 2001 rows, one not UTF-8, and u with 3000."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, n);
            CREATE TABLE u(id INTEGER PRIMARY KEY, t_id INTEGER, v);
            CREATE VIEW w AS SELECT name FROM t;"""
        )
        connection.executemany("INSERT INTO t VALUES(?, ?, ?)", [(i, f"name{i}", i % 7) for i in range(2000)])
        connection.execute("INSERT INTO t VALUES(3000, CAST(X'61ff62' AS TEXT), 1)")
        connection.executemany("INSERT INTO u VALUES(?, ?, ?)", [(i, i % 2000, i * 0.5) for i in range(3000)])
        connection.commit()
    return str(path)


COMBINATIONS = (
    "SELECT * FROM ({}) a, ({}) b, ({}) c",
    "SELECT count(*) FROM ({}) a, ({}) b, ({}) c, ({}) d, ({}) e",
    "SELECT * FROM ({}) a, ({}) b, ({}) c ORDER BY random()",
    "SELECT DISTINCT a.*, b.* FROM ({}) a, ({}) b, ({}) c",
    "SELECT group_concat(x) FROM (SELECT a.*, hex(b.rowid) AS x FROM ({}) a, ({}) b)",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r, ({}) a) SELECT * FROM r, ({}) b",
    "SELECT ({}) || ({}) LIKE '%' || ({}) || '%'",
    "{} EXCEPT {}",
    "{}; {}",
)


def mutation(chance: random.Random, seeds: Sequence[str]) -> str:
    """A statement made of others as they are, or one with words exchanged or pieces spliced in."""
    if chance.random() < 0.3:
        frame = chance.choice(COMBINATIONS)
        return frame.format(*(chance.choice(seeds) for _ in range(frame.count("{}"))))
    pieces = PIECES.findall(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        other = PIECES.findall(chance.choice(seeds))
        if chance.random() < 0.7:
            exchange_word(chance, pieces, other)
        else:
            place, start = chance.randrange(len(pieces) + 1), chance.randrange(len(other) + 1)
            pieces[place : place + chance.randint(0, 3)] = other[start : start + chance.randint(0, 12)]
    return "".join(pieces)


def exchange_word(chance: random.Random, pieces: list[str], other: Sequence[str]) -> None:
    """Put a name or number from `other` in the place of one of `pieces`."""
    words = [word for word in other if word.isalnum()]
    places = [place for place, piece in enumerate(pieces) if piece.isalnum()]
    if words and places:
        place = chance.choice(places)
        alike = [word for word in words if word.isdigit() == pieces[place].isdigit()]
        pieces[place] = chance.choice(alike or words)


def fuzz(folder: Path, seeds: dict[str, list[str]], statements: int, limits: Limits, seed: int = 0) -> Outcome:
    """Run mutations one by one. seeds: database file in `folder` -> statements; each database gets an equal share."""
    before, chance, databases = fingerprint(folder), random.Random(seed), list(seeds)
    statuses: Counter[str] = Counter()
    overrun_s = memory_mb = 0.0
    with Sandbox(limits) as sandbox:
        sandbox.execute([(databases[0], "SELECT 1")])
        for number in range(statements):
            database = databases[number % len(databases)]
            statement = mutation(chance, seeds[database])
            started = time.monotonic()
            result = sandbox.execute([(database, statement)])[0]
            overrun_s = max(overrun_s, time.monotonic() - started - limits.deadline_s)
            statuses[result.status] += 1
            memory_mb = max(memory_mb, child_memory_mb(sandbox))
    after = fingerprint(folder)
    changed = tuple(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))
    return Outcome(dict(statuses), round(overrun_s, 3), round(memory_mb, 1), changed)


def child_memory_mb(sandbox: Sandbox) -> float:
    """The most resident memory the present child has ever held; 0.0 when there is none."""
    try:
        status = Path(f"/proc/{sandbox.child_pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def fingerprint(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def hostile_seeds(statements: Sequence[dict[str, Any]]) -> list[str]:
    texts = [sql for row in statements for sql in ([row["sql"]] if isinstance(row["sql"], str) else row["sql"])]
    return [text for text in texts if len(text) < LONGEST_SEED]


def real_seeds(data: Path, folder: Path) -> dict[str, list[str]]:
    """Spider's dev databases, copied into the folder, each with its gold queries."""
    seeds: dict[str, list[str]] = {}
    for example in load_examples("spider", "dev", data):
        copy = folder / Path(example.database).name
        if str(copy) not in seeds:
            shutil.copyfile(example.database, copy)
        seeds.setdefault(str(copy), []).append(example.gold_sql)
    return seeds


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fuzz", description=__doc__)
    parser.add_argument("--hostile", type=Path, required=True, help="JSON file with hostile statements")
    parser.add_argument("--data", type=Path, help="Spider's data directory, for real queries")
    parser.add_argument("--statements", type=int, default=20_000)
    parser.add_argument("--deadline-s", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    hostile = hostile_seeds(json.loads(options.hostile.read_text())["statements"])
    with tempfile.TemporaryDirectory() as folder:
        seeds = {make_victim(Path(folder) / "victim.sqlite"): hostile}
        for database, queries in (real_seeds(options.data, Path(folder)) if options.data else {}).items():
            seeds[database] = [*queries, *hostile[:: max(1, len(hostile) // len(queries))]]
        outcome = fuzz(Path(folder), seeds, options.statements, Limits(deadline_s=options.deadline_s), options.seed)
    print(json.dumps(outcome.__dict__))
    return int(bool(outcome.changed_files) or outcome.overrun_s > GRACE_S or "crashed" in outcome.statuses)


if __name__ == "__main__":
    raise SystemExit(main())
