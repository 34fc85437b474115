"""From a SQLite file to a dataset and configs: `rollsql init DIR --database FILE [--pairs FILE …]`.

DIR then holds the database, train.jsonl and dev.jsonl (no query structure is in both), problems.txt, and configs for
SFT and RL that fit them. Each pair is checked by running it. Where there are few, questions are proposed, by templates
over the schema, and marked as synthetic: `--propose 0` proposes none.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluation.benchmarks import Example
from evaluation.benchmarks.own import SUFFIXES
from evaluation.command import CommandLine, at_least, check_room, file, folder
from evaluation.databases.files import SQLITE_MAGIC, check_sqlite
from evaluation.errors import UserError, exit_on_user_error
from evaluation.own.pairs import Pairs, checked_pairs
from evaluation.own.propose import SYNTHETIC, proposed
from evaluation.own.split import split
from evaluation.score import write_whole
from graph.introspect import schema_from_sqlite
from graph.schema import Schema

ROOT = Path(__file__).resolve().parent.parent
ENOUGH = 400  # questions, given and proposed
WRITTEN = ("train.jsonl", "dev.jsonl", "problems.txt", "sft.toml", "rl.toml")
_SHOWN = 10  # problems on the screen


@dataclass(frozen=True)
class Dataset:
    """What is made of a database and its pairs. proposed: questions that nobody asked, in train or dev."""

    schema: Schema
    pairs: Pairs
    train: tuple[Example, ...]
    dev: tuple[Example, ...]

    def counted(self, examples: Sequence[Example]) -> str:
        """ "53 given + 330 synthetic"."""
        synthetic = sum(example.hardness == SYNTHETIC for example in examples)
        return f"{len(examples):,} ({len(examples) - synthetic:,} given, {synthetic:,} synthetic)"


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = CommandLine("rl.init", (__doc__ or "").splitlines()[0])
    parser.add_argument("dir", type=Path, metavar="DIR", help="folder of the dataset; made where it is not there")
    parser.add_argument("--database", type=file, required=True, metavar="FILE", help="SQLite file; it is copied")
    parser.add_argument(
        "--pairs", type=file, nargs="+", action="extend", default=[], metavar="FILE",
        help="questions with SQL: .csv, .tsv, .json, .jsonl or .parquet with columns like question and sql",
    )  # fmt: skip
    parser.add_argument(
        "--propose", type=at_least(0), metavar="N", help=f"questions to propose (default: up to {ENOUGH} in all)"
    )
    parser.add_argument("--model", default="sft/tiny", metavar="M", help="base model (default: the bundled one)")
    parser.add_argument("--adapter", type=folder, metavar="A", help="adapter of it to begin with")
    parser.add_argument("--force", action="store_true", help="write what DIR already holds anew")
    return parser.parse_args(argv)


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    target = options.dir.expanduser().absolute()
    check_target(target, options.database, options.force)
    check_database_file(options.database)
    from rl.starter import configs, measured, start

    begin = start(options.model, options.adapter)
    data = dataset(options.database.absolute(), options.pairs, options.propose)
    print_dataset(data)
    prompts = measured(begin, [*data.train, *data.dev])
    how = f", {prompts.budget} tokens at most" if prompts.budget else ""
    about = "estimated" if prompts.estimated else "measured"
    print(
        f"prompts: {prompts.style}{how}; {prompts.mean:.0f} tokens on average, the longest {prompts.longest} ({about})"
    )
    name = run_name(data.schema.name)
    write(target, options.database, data, configs(name, target, begin, prompts, len(data.train)))
    print(f"wrote {target}: {data.schema.name}, {', '.join(WRITTEN)}\nnext:")
    print("\n".join(f"  {line}" for line in commands(target, name, data, options.model, begin.model)))
    return 0


def check_target(target: Path, database: Path, force: bool) -> None:
    """UserError: it cannot be written to, or holds what would be lost, or what would be read as questions too."""
    if target.exists() and not target.is_dir():
        raise UserError(f"DIR must be a folder, {target} is a file")
    check_room(target, "DIR")
    there = [name for name in WRITTEN if (target / name).exists()]
    if there and not force:
        raise UserError(
            f"{target} already holds {', '.join(there)}: give another folder, or --force to write them anew"
        )
    stems = ("train", "dev", "valid", "validation", "val")
    others = [f"{stem}.{suffix}" for stem in stems for suffix in SUFFIXES if f"{stem}.{suffix}" not in WRITTEN]
    if beside := [name for name in others if (target / name).exists()]:
        raise UserError(
            f"{target} must not hold {', '.join(beside)}, which would be read beside train.jsonl: give another folder, "
            "and these as --pairs"
        )


def check_database_file(database: Path) -> None:
    """UserError: no SQLite file, or one that cannot be read whole."""
    with database.open("rb") as stream:
        head = stream.read(1024)
    if not head:
        raise UserError(f"the database {database} is empty: it must be a SQLite file with tables and rows")
    text = sum(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head) > 0.9 * len(head)
    if not head.startswith(SQLITE_MAGIC) and not text:
        raise UserError(
            f"the database {database} must be a SQLite 3 file, but is encrypted or of another kind (it starts with "
            f"{head[:8]!r}): decrypt or export it, as by sqlcipher_export"
        )
    check_sqlite(database)


def dataset(database: Path, files: Sequence[Path], wanted: int | None) -> Dataset:
    """The questions that are given and those that are proposed, in train and dev. wanted: to propose; None: enough."""
    schema, workers = schema_from_sqlite(database), min(8, os.cpu_count() or 1)
    pairs = checked_pairs(files, schema.name, str(database), workers) if files else Pairs(())
    count = max(0, ENOUGH - len(pairs.kept)) if wanted is None else wanted
    asked = {example.question for example in pairs.kept}
    more = [example for example in proposed(str(database), schema, count, workers) if example.question not in asked]
    train, dev = split([*pairs.kept, *more], schema)
    if not train or not dev:
        raise UserError(
            f"{database} gives {len(train) + len(dev)} questions with {min(1, len(train))} kind of query, too few to "
            "train on some and to evaluate others: give --pairs with more kinds of queries, or rows to ask about"
        )
    return Dataset(schema, pairs, tuple(train), tuple(dev))


def print_dataset(data: Dataset) -> None:
    tables, pairs = data.schema.tables, data.pairs
    columns = sum(len(table.columns) for table in tables)
    print(f"{data.schema.name}: {len(tables)} tables, {columns} columns, {len(data.schema.foreign_keys)} foreign keys")
    if pairs.total:
        weak = f", {len(pairs.weak)} of them with an answer that says little" if pairs.weak else ""
        elsewhere = f"; {pairs.elsewhere:,} more are about other databases" if pairs.elsewhere else ""
        print(f"pairs: {len(pairs.kept):,} of {pairs.total:,} kept{weak}{elsewhere}")
    for fault in (shown := problems(data))[:_SHOWN]:
        print(f"  {fault}")
    if len(shown) > _SHOWN:
        print(f"  … and {len(shown) - _SHOWN} more, in problems.txt")
    print(f"questions: train {data.counted(data.train)}, dev {data.counted(data.dev)}; no query structure is in both")


def problems(data: Dataset) -> list[str]:
    """A line per pair that was left out, or is weak."""
    return [f"{fault} (left out)" for fault in data.pairs.faults] + [f"{fault} (kept)" for fault in data.pairs.weak]


def write(target: Path, database: Path, data: Dataset, texts: dict[str, str]) -> None:
    """All files of the dataset, each whole."""
    target.mkdir(parents=True, exist_ok=True)
    copy = target / f"{data.schema.name}.sqlite"
    if not (copy.exists() and copy.samefile(database)):
        shutil.copyfile(database, partial := copy.with_name(f"{copy.name}.partial"))
        partial.replace(copy)
    texts = texts | {"train.jsonl": lines(data.train), "dev.jsonl": lines(data.dev)}
    texts["problems.txt"] = "".join(f"{line}\n" for line in problems(data))
    for name in WRITTEN:
        write_whole(target / name, texts[name])


def lines(examples: Sequence[Example]) -> str:
    """JSON lines, each with an id of its own."""
    uses = Counter(example.id for example in examples)
    named = [replace(e, id=f"{e.id}-{i}") if uses[e.id] > 1 else e for i, e in enumerate(examples, 1)]
    rows = (
        {"id": e.id, "db_id": e.db_id, "question": e.question, "sql": e.gold_sql, "hardness": e.hardness}
        | ({"evidence": e.evidence} if e.evidence else {})
        for e in named
    )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def run_name(db_id: str) -> str:
    """
    >>> run_name("My shop (2024)"), run_name("Ω")
    ('My-shop-2024', 'own')
    """
    return re.sub(r"[^A-Za-z0-9._]+", "-", db_id).strip("-._")[:80] or "own"


def commands(target: Path, name: str, data: Dataset, model: str, named: str) -> list[str]:
    """What comes next, to be run from any folder."""
    adapter, database = target / "runs" / f"{name}-rl" / "adapter", target / f"{data.schema.name}.sqlite"
    given = next((example for example in (*data.dev, *data.train) if example.hardness != SYNTHETIC), data.dev[0])
    base = [] if model == "sft/tiny" else ["--model", named]
    steps = [
        ["sft.train", "--config", str(target / "sft.toml"), "--data", str(target)],
        ["rl.train", "--config", str(target / "rl.toml"), "--data", str(target)],
        ["rl.ask", "--database", str(database), *base, "--adapter", str(adapter), given.question],
    ]
    return [command(*words) for words in steps]


def command(module: str, *words: str) -> str:
    """A line for the shell: by `rollsql` where that is on the path."""
    if shutil.which("rollsql"):
        short = "sft" if module == "sft.train" else module.rpartition(".")[2]
        return shlex.join(["rollsql", short, *words])
    return f"cd {shlex.quote(str(ROOT))} && {shlex.join([sys.executable, '-m', module, *words])}"


if __name__ == "__main__":
    raise SystemExit(main())
