"""The tiny benchmark: what its files hold, and that the grammar's words, queries and rows agree."""

from __future__ import annotations

import json
import random
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import pytest

from evaluation.tiny.build import FOLDER, build, dev_questions_and_queries, differences, is_dev, main, normalised, write
from evaluation.tiny.domain import Bridge, Column, Domain, Link, Table
from evaluation.tiny.domains import DOMAINS
from evaluation.tiny.grammar import KINDS, questions
from evaluation.tiny.grammar.subject import draw_subject
from evaluation.tiny.grammar.world import World
from evaluation.tiny.rows import make_rows, to_sql

FILES = {p.relative_to(FOLDER).as_posix(): p.read_text() for p in (*FOLDER.glob("*.jsonl"), *FOLDER.glob("*/*.sql"))}
SPLITS = {split: [json.loads(line) for line in FILES[f"{split}.jsonl"].splitlines()] for split in ("train", "dev")}
ALL = SPLITS["train"] + SPLITS["dev"]


@pytest.fixture(scope="module")
def databases() -> Iterator[dict[str, sqlite3.Connection]]:
    opened = {domain.name: sqlite3.connect(":memory:") for domain in DOMAINS}
    for name, database in opened.items():
        database.executescript("PRAGMA foreign_keys = ON;\n" + FILES[f"databases/{name}.sql"])
    yield opened
    for database in opened.values():
        database.close()


@pytest.mark.slow
def test_the_committed_files_are_what_the_build_makes() -> None:
    assert differences(build()) == []


def test_a_changed_file_and_a_file_too_many_are_told(tmp_path) -> None:
    write(FILES, tmp_path)
    assert differences(FILES, tmp_path) == []
    (tmp_path / "dev.jsonl").write_text("{}\n")
    (tmp_path / "databases" / "old.sql").write_text("")
    assert differences(FILES, tmp_path) == ["databases/old.sql", "dev.jsonl"]


def test_check_compares_and_says_so(capsys, monkeypatch) -> None:
    monkeypatch.setattr("evaluation.tiny.build.build", lambda: FILES | {"dev.jsonl": ""})
    assert main(["--check"]) == 1
    assert "dev.jsonl" in capsys.readouterr().err


def test_there_are_enough_databases_and_questions() -> None:
    assert len({row["db_id"] for row in SPLITS["train"]}) >= 8
    assert {row["db_id"] for row in SPLITS["train"]} == {row["db_id"] for row in SPLITS["dev"]}
    assert len(SPLITS["train"]) >= 1500 and len(SPLITS["dev"]) >= 400
    assert len({row["id"] for row in ALL}) == len(ALL)


def test_more_than_a_third_of_each_split_joins_tables_and_some_cross_a_bridge() -> None:
    bridges = {t.name for domain in DOMAINS for t in domain.tables if t.bridge}
    for rows in SPLITS.values():
        assert sum(row["tables"] >= 2 for row in rows) / len(rows) >= 0.4
        assert {row["tables"] for row in rows} == {1, 2, 3, 4}
        assert sum(any(f" {name} " in row["sql"] for name in bridges) for row in rows) / len(rows) >= 0.08


def test_the_tables_of_a_question_are_those_its_query_reads(databases) -> None:
    for row in ALL:
        names = set(re.findall(r"(?:FROM|JOIN) (\w+)", row["sql"]))
        assert len(names) == row["tables"], row


def test_every_kind_has_its_share() -> None:
    for rows in SPLITS.values():
        counts = Counter(row["kind"] for row in rows)
        assert set(counts) == set(KINDS)
        assert min(counts.values()) / len(rows) >= 0.02 and max(counts.values()) / len(rows) <= 0.35


def test_no_dev_query_and_no_dev_question_is_in_train() -> None:
    dev_questions, dev_queries = ({normalised(row[key]) for row in SPLITS["dev"]} for key in ("question", "sql"))
    assert not dev_queries & {normalised(row["sql"]) for row in SPLITS["train"]}
    assert not dev_questions & {normalised(row["question"]) for row in SPLITS["train"]}
    assert dev_questions_and_queries() == (dev_questions, dev_queries)
    assert all(is_dev(row["sql"]) for row in SPLITS["dev"])


def test_a_question_is_asked_once_per_database() -> None:
    assert len({(row["db_id"], normalised(row["question"])) for row in ALL}) == len(ALL)


def test_every_gold_query_runs_and_under_three_percent_find_nothing(databases) -> None:
    empty = [row for row in ALL if not databases[row["db_id"]].execute(row["sql"]).fetchall()]
    assert len(empty) / len(ALL) < 0.03


def test_no_limit_cuts_through_a_tie(databases) -> None:
    limited = [row for row in ALL if " LIMIT " in row["sql"]]
    assert len(limited) > 100
    for row in limited:
        match = re.fullmatch(r"SELECT .+? (FROM .+) ORDER BY (\S+) \w+ LIMIT (\d+)", row["sql"])
        assert match, row
        body, key, k = match.groups()
        way = "DESC" if " DESC " in row["sql"] else "ASC"
        ranks = [r[0] for r in databases[row["db_id"]].execute(f"SELECT {key} {body} ORDER BY 1 {way}")]
        assert None not in ranks[: int(k)] and ranks[int(k) - 1 : int(k)] != ranks[int(k) : int(k) + 1], row


def test_text_values_of_a_query_stand_in_its_question() -> None:
    for row in ALL:
        for value in re.findall(r"'([^']+)'", row["sql"]):
            assert value in ("yes", "no") or value.rstrip("%") in row["question"], row


def test_foreign_keys_hold_and_some_parents_have_no_child_and_some_many(databases) -> None:
    for domain in DOMAINS:
        assert not databases[domain.name].execute("PRAGMA foreign_key_check").fetchall()
        for link in domain.links:
            sizes = Counter(r[0] for r in databases[domain.name].execute(f"SELECT {link.fk} FROM {link.child}"))
            (parents,) = databases[domain.name].execute(f"SELECT COUNT(*) FROM {link.parent}").fetchone()
            assert len(sizes) < parents and max(sizes.values()) >= 2, link


def test_the_rows_a_phrase_stands_for_are_those_its_query_finds(databases) -> None:
    """Subjects know their rows from Python predicates; SQLite finds the same, with repeats where they say so."""
    checked = 0
    for domain in DOMAINS:
        world = World(domain, make_rows(domain, random.Random(f"rows of {domain.name}")), random.Random(1))
        for _ in range(400):
            subject = draw_subject(world, world.pick(world.entities), world.pick((1, 2, 3, 4)))
            if subject is None:
                continue
            key = subject.table.columns[0].name
            found = [r[0] for r in databases[domain.name].execute(subject.sql(subject.ref(key)))]
            assert set(found) == set(world.ids(subject.table, subject.rows)), (domain.name, subject.sql("*"))
            assert subject.repeats or len(found) == len(set(found)), (domain.name, subject.sql("*"))
            checked += 1
    assert checked > 1000


SMALL = Domain(
    "pets",
    tables=(
        Table("owner", ("owner",), ("owners",), (
            Column("owner_id", "id"),
            Column("name", "name", ("name",), pool=("Ann", "Bob", "Cleo", "Dan", "Eve", "Finn")),
            Column("age", "number", ("age",), low=18, high=90, more=("older",), less=("younger",)),
        ), rows=6),
        Table("pet", ("pet",), ("pets",), (
            Column("pet_id", "id"),
            Column("owner_id", "fk"),
            Column("name", "name", ("name",), pool=tuple(f"Pet {i}" for i in range(30))),
            Column("species", "category", ("species",), pool=("cat", "dog"), adjective="{}"),
            Column("weight", "number", ("weight",), low=1, high=40, step=0.5, unit="kg", nullable=0.2),
        ), rows=20),
        Table("toy", ("toy",), ("toys",), (
            Column("toy_id", "id"),
            Column("name", "name", ("name",), pool=tuple(f"Toy {i}" for i in range(9))),
        ), rows=9),
        Table("play", ("play",), ("plays",), (Column("pet_id", "fk"), Column("toy_id", "fk")), rows=500, bridge=True),
    ),
    links=(Link("pet", "owner_id", "owner", ("owned by {}",), ("who own {}",)),),
    bridges=(Bridge("play", "pet", "pet_id", "toy", "toy_id", ("that play with {}",), ("used by {}",)),),
)  # fmt: skip


def test_a_small_domain_gives_the_same_varied_questions_for_the_same_seed() -> None:
    rows = make_rows(SMALL, random.Random(0))
    first, second = (list(islice(questions(SMALL, rows, random.Random(7)), 400)) for _ in range(2))
    assert first == second
    assert {q.kind for q in first} == set(KINDS) and {q.tables for q in first} >= {1, 2, 3}
    with sqlite3.connect(":memory:") as database:
        database.executescript(to_sql(SMALL, rows))
        assert sum(not database.execute(q.sql).fetchall() for q in first) < 12


def test_rows_of_a_bridge_are_distinct_pairs_even_when_it_asks_for_more_than_there_are() -> None:
    pairs = make_rows(SMALL, random.Random(0))["play"]
    assert 20 < len(pairs) == len(set(pairs)) <= 20 * 9


def test_a_foreign_key_without_link_is_an_error_that_names_it() -> None:
    broken = Domain("pets", SMALL.tables[:2])
    with pytest.raises(ValueError, match=r"pet\.owner_id"):
        make_rows(broken, random.Random(0))


def test_the_files_lie_where_the_benchmark_is_read() -> None:
    assert sorted(p.stem for p in (FOLDER / "databases").glob("*.sql")) == sorted(d.name for d in DOMAINS)
