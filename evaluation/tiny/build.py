"""Build the tiny benchmark from its domains: `python -m evaluation.tiny.build [--check]`.

Writes `databases/<db_id>.sql`, `train.jsonl` and `dev.jsonl` beside this file, the same bytes every time; `--check`
builds in memory and exits with 1 when that differs from the files. Every question has one query, every query runs and
finds something, and a query is either in train or in dev, with all its questions: which, its own digest decides.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from evaluation.command import CommandLine
from evaluation.errors import exit_on_user_error
from evaluation.tiny.domain import Domain
from evaluation.tiny.domains import DOMAINS
from evaluation.tiny.grammar import Question, questions
from evaluation.tiny.rows import Rows, make_rows, to_sql

FOLDER = Path(__file__).parent
SIZES = {"train": 3200, "dev": 480}
DEV_SHARE = 0.15  # of the queries
DRAWS = 2500  # questions drawn per domain, to choose from
PARAPHRASES = 2  # questions kept per query
# shares of the kinds in each split; a kind that a domain cannot fill leaves its place to the others
KINDS = {
    "select": 0.05, "filter": 0.25, "count": 0.11, "aggregate": 0.11, "distinct": 0.05, "order": 0.05, "limit": 0.05,
    "superlative": 0.11, "group": 0.08, "having": 0.05, "nested": 0.06, "set": 0.03,
}  # fmt: skip


def normalised(text: str) -> str:
    """A question or query without regard to case, blanks and the mark at its end.

    >>> normalised("SELECT  name FROM Artist ;"), normalised("How many?")
    ('select name from artist', 'how many')
    """
    return re.sub(r"\s+", " ", text.lower()).strip(" ;?.")


def dev_questions_and_queries() -> tuple[set[str], set[str]]:
    """The dev questions and the dev queries, `normalised`: what no training text may hold."""
    rows = [json.loads(line) for line in (FOLDER / "dev.jsonl").read_text(encoding="utf-8").splitlines()]
    return {normalised(row["question"]) for row in rows}, {normalised(row["sql"]) for row in rows}


def build() -> dict[str, str]:
    """Path below the folder -> text, for every file of the benchmark."""
    files: dict[str, str] = {}
    splits: dict[str, list[tuple[str, Question]]] = {"train": [], "dev": []}
    for place, domain in enumerate(DOMAINS):
        rows = make_rows(domain, random.Random(f"rows of {domain.name}"))
        files[f"databases/{domain.name}.sql"] = to_sql(domain, rows)
        kept = _answered(files[f"databases/{domain.name}.sql"], drawn(domain, rows))
        for split, size in SIZES.items():
            share = (size * (place + 1)) // len(DOMAINS) - (size * place) // len(DOMAINS)
            own = [q for q in kept if (split == "dev") == is_dev(q.sql)]
            splits[split] += [(domain.name, q) for q in balanced(own, share)]
    seen = {normalised(q.question) for _, q in splits["train"]}
    splits["dev"] = [(db_id, q) for db_id, q in splits["dev"] if normalised(q.question) not in seen]
    for split, chosen in splits.items():
        files[f"{split}.jsonl"] = "".join(_line(split, i, *item) for i, item in enumerate(chosen, start=1))
    return files


def is_dev(sql: str) -> bool:
    """Whether this query belongs to dev: a digest of the query itself decides, whatever the database."""
    return int(hashlib.sha256(normalised(sql).encode()).hexdigest()[:8], 16) < DEV_SHARE * 2**32


def drawn(domain: Domain, rows: Rows, draws: int = DRAWS) -> list[Question]:
    """Questions of the domain without duplicates, without those that stand for two different queries."""
    found = list(islice(questions(domain, rows, random.Random(f"questions of {domain.name}")), draws))
    queries: dict[str, set[str]] = {}
    for q in found:
        queries.setdefault(normalised(q.question), set()).add(normalised(q.sql))
    first = {normalised(q.question): q for q in reversed(found) if len(queries[normalised(q.question)]) == 1}
    return list(reversed(first.values()))


def _answered(script: str, drawn: Iterable[Question]) -> list[Question]:
    """Those whose query finds something: a row that is not all NULL or 0."""
    with sqlite3.connect(":memory:") as database:
        database.executescript(script)
        kept = [q for q in drawn if any(value for row in database.execute(q.sql) for value in row)]
    database.close()
    return kept


def balanced(candidates: Sequence[Question], size: int) -> list[Question]:
    """`size` of the candidates in their order, each kind at its share, as far as there are enough."""
    room = {kind: round(share * size) for kind, share in KINDS.items()}
    chosen: dict[int, Question] = {}
    asked: Counter[str] = Counter()
    for strict in (True, False):
        for i, q in enumerate(candidates):
            if len(chosen) == size or i in chosen or asked[q.sql] == PARAPHRASES or (strict and not room[q.kind]):
                continue
            chosen[i] = q
            asked[q.sql] += 1
            room[q.kind] -= 1
    return [chosen[i] for i in sorted(chosen)]


def _line(split: str, number: int, db_id: str, q: Question) -> str:
    fields = {"id": f"tiny-{split}-{number:05d}", "db_id": db_id, "question": q.question, "sql": q.sql}
    return json.dumps(fields | {"tables": q.tables, "kind": q.kind}) + "\n"


def differences(files: dict[str, str], folder: Path = FOLDER) -> list[str]:
    """Names of the files that are missing, other than `files` says, or too many."""
    there = {p.relative_to(folder).as_posix() for p in (*folder.glob("*.jsonl"), *folder.glob("databases/*.sql"))}
    same = {name for name in there & set(files) if (folder / name).read_bytes() == files[name].encode()}
    return sorted((there | set(files)) - same)


def write(files: dict[str, str], folder: Path = FOLDER) -> None:
    """Replace the files one by one, each whole or not at all, and remove databases that are no longer built."""
    (folder / "databases").mkdir(exist_ok=True)
    for name, text in files.items():
        temporary = folder / f"{name}.new"
        temporary.write_bytes(text.encode())
        os.replace(temporary, folder / name)
    for old in folder.glob("databases/*.sql"):
        if f"databases/{old.name}" not in files:
            old.unlink()


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine("evaluation.tiny.build", (__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare with the files")
    options = parser.parse_args(argv)
    files = build()
    if options.check:
        different = differences(files)
        print(f"different: {', '.join(different)}" if different else f"{len(files)} files as built", file=sys.stderr)
        return 1 if different else 0
    write(files)
    for split in SIZES:
        print(f"{split}: {files[f'{split}.jsonl'].count(chr(10))} questions")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
