"""Databases as users have them: good ones give rows, what cannot be read whole is refused, nothing holds a child."""

import json
import os
import runpy
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from evaluation.databases.sandbox import Execution, Limits, Sandbox
from tests.bench.fuzz import child_memory_mb

DOCUMENTS = """
    CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO note VALUES (1, 'running dogs'), (2, 'a cat');
    CREATE VIRTUAL TABLE box USING rtree(id, x0, x1); INSERT INTO box VALUES (7, 1, 2);
    CREATE VIRTUAL TABLE box_i USING rtree_i32(id, x0, x1); INSERT INTO box_i VALUES (8, 1, 2);
    CREATE TABLE j(id INTEGER PRIMARY KEY, p TEXT CHECK (json_valid(p)), city AS (json_extract(p, '$.city')));
    CREATE INDEX j_city ON j(json_extract(p, '$.city')) WHERE json_type(p) = 'object';
    INSERT INTO j(p) VALUES ('{"city": "Rome", "tags": ["a", "b"]}');
    CREATE VIEW tag AS SELECT j.id, value FROM j, json_each(p, '$.tags');
    CREATE VIEW spy AS SELECT * FROM pragma_database_list;
"""
THREE = "CREATE TABLE t(n); INSERT INTO t VALUES (3);"
TOKENIZERS = [("fts4", name) for name in ("simple", "porter", "unicode61")] + [
    ("fts5", name) for name in ("ascii", "porter", "unicode61", "trigram")
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> str:
    full_text = "".join(
        f"CREATE VIRTUAL TABLE {module}_{name} USING {module}(body, tokenize={name});"
        f"INSERT INTO {module}_{name} SELECT body FROM note;"
        for module, name in TOKENIZERS
    )
    return make(tmp_path_factory.mktemp("documents") / "d.sqlite", DOCUMENTS + full_text)


def make(path: Path, script: str) -> str:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
        connection.commit()
    return str(path)


def run(sandbox: Sandbox, database: str, sql: str) -> Execution:
    return sandbox.execute([(database, sql)])[0]


@pytest.mark.parametrize(
    ("sql", "rows", "tables"),
    [
        ("SELECT id FROM box WHERE x0 > 0", ((7,),), ("box",)),
        ("SELECT id FROM box_i WHERE x1 < 3", ((8,),), ("box_i",)),
        ("SELECT city FROM j", (("Rome",),), ("j",)),
        ("SELECT id FROM j WHERE json_extract(p, '$.city') = 'Rome'", ((1,),), ("j",)),
        ("SELECT value FROM tag", (("a",), ("b",)), ("j",)),
        ("SELECT n.id, e.value FROM note n, json_each('[5]') e", ((1, 5), (2, 5)), ("note",)),
        ("SELECT count(*) FROM j, json_tree(j.p)", ((5,),), ("j",)),
    ],
)
def test_virtual_tables_and_json_give_rows(
    sandbox: Sandbox, documents: str, sql: str, rows: tuple[tuple[object, ...], ...], tables: tuple[str, ...]
) -> None:
    result = run(sandbox, documents, sql)
    assert (result.status, result.rows, result.tables_read, result.error) == ("ok", rows, tables, "")


@pytest.mark.parametrize(("module", "tokenizer"), TOKENIZERS)
def test_full_text_tables_are_searched_with_each_tokenizer(
    sandbox: Sandbox, documents: str, module: str, tokenizer: str
) -> None:
    table, rank = f"{module}_{tokenizer}", " ORDER BY rank" if module == "fts5" else ""
    result = run(sandbox, documents, f"SELECT body FROM {table} WHERE {table} MATCH 'dogs'{rank}")
    assert (result.rows, result.tables_read, result.error) == ((("running dogs",),), (table,), "")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM spy",
        "SELECT * FROM dbstat",
        "SELECT * FROM sqlite_stmt",
        "SELECT * FROM pragma_data_version",
        "PRAGMA data_version",
        "WITH s AS (SELECT 1) INSERT INTO box_node SELECT 1, x'00' FROM s",
        "INSERT INTO fts5_porter(fts5_porter) VALUES ('optimize')",
        "DELETE FROM fts4_porter",
        "SELECT fts3_tokenizer('simple') FROM fts4_simple",
        "CREATE VIRTUAL TABLE temp.z USING fts5(a)",
    ],
)
def test_what_virtual_tables_may_do_no_statement_may(sandbox: Sandbox, documents: str, sql: str) -> None:
    before = Path(documents).read_bytes()
    assert run(sandbox, documents, sql).status == "refused"
    assert Path(documents).read_bytes() == before


def test_rows_made_of_the_statement_alone_are_no_answer(sandbox: Sandbox, documents: str) -> None:
    assert run(sandbox, documents, "SELECT value FROM json_each('[1,2,3]')").status == "refused"


def test_the_cases_of_good_databases_give_rows(sandbox: Sandbox, cases_dir: Path, tmp_path: Path) -> None:
    folder = cases_dir / "databases"
    tables = make(tmp_path / "virtual.sqlite", (folder / "virtual_tables.sql").read_text())
    for line in (folder / "virtual_tables.jsonl").read_text().splitlines():
        case = json.loads(line)
        assert [list(row) for row in run(sandbox, tables, case["sql"]).rows] == case["rows"], case["id"]
    in_schema = make(tmp_path / "json.sqlite", (folder / "json_in_schema.sql").read_text())
    assert run(sandbox, in_schema, "SELECT id FROM other").rows == ((7,),)
    assert run(sandbox, in_schema, "SELECT city FROM e").rows == (("Rome",),)


@pytest.mark.parametrize(
    ("script", "sql", "cells"),
    [
        ("CREATE TABLE w(" + ",".join(f"v{i} INTEGER" for i in range(2000)) + "); INSERT INTO w(v1999) VALUES (3)",
         "SELECT * FROM w", 2000),
        (THREE + "CREATE VIEW u AS " + " UNION ALL ".join(["SELECT n FROM t"] * 499),
         "SELECT count(*) FROM u WHERE n = 3", 1),
        (THREE + "CREATE VIEW l AS SELECT n FROM t WHERE n IN ("
         + ",".join(map(str, range(30_000))) + ")", "SELECT n FROM l", 1),
        (THREE + "CREATE VIEW d AS SELECT " + "+".join(["n"] * 900) + " AS m FROM t",
         "SELECT m FROM d", 1),
    ],
)  # fmt: skip
def test_an_owners_large_schema_is_no_refusal(
    sandbox: Sandbox, tmp_path: Path, script: str, sql: str, cells: int
) -> None:
    result = run(sandbox, make(tmp_path / "large.sqlite", script), sql)
    assert (result.status, result.error) == ("ok", "")
    assert len(result.rows[0]) == cells


def test_what_stands_in_another_file_is_refused_in_one_line(
    sandbox: Sandbox, cases_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["write_ahead_log.py", str(tmp_path)])
    runpy.run_path(str(cases_dir / "databases" / "write_ahead_log.py"))
    live = str(tmp_path / "live.sqlite")
    (tmp_path / "link.sqlite").symlink_to(live)
    half = make(tmp_path / "half.sqlite", "CREATE TABLE t(a)")
    Path(half + "-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504))
    for path, word in ((live, "write-ahead log"), (str(tmp_path / "link.sqlite"), "log"), (half, "unfinished")):
        result = run(sandbox, path, "SELECT 1")
        assert result.status == "error" and word in result.error and "\n" not in result.error
    Path(half + "-journal").write_bytes(bytes(512))  # of a transaction that ended
    assert run(sandbox, half, "SELECT count(*) FROM t").status == "ok"


def test_a_file_that_is_none_is_refused_without_opening_it(sandbox: Sandbox, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with open(make(tmp_path / "sparse.sqlite", "CREATE TABLE t(a); INSERT INTO t VALUES (4)"), "r+b") as file:
        file.truncate(5 * 2**30)
    started = time.monotonic()
    assert "not a file" in run(sandbox, str(tmp_path / "pipe"), "SELECT 1").error
    assert "not a file" in run(sandbox, str(tmp_path), "SELECT 1").error
    assert "not a file" in run(sandbox, "/dev/zero", "SELECT 1").error
    assert run(sandbox, str(tmp_path / "sparse.sqlite"), "SELECT a FROM t").rows == ((4,),)
    assert time.monotonic() - started < 1


def test_a_schema_that_never_ends_is_refused_once(sandbox: Sandbox, cases_dir: Path) -> None:
    path = str(cases_dir / "databases" / "expo_schema.sqlite")
    started = time.process_time()
    first, second = sandbox.execute([(path, "SELECT 1"), (path, "SELECT 2")])
    assert first.error == second.error == "its schema takes too long to read"
    assert first.seconds > 1 and second.seconds < 0.1
    assert time.process_time() - started < 0.5  # of the caller


BIG = "printf('%.*c', 900000, 'a')"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + ",".join([BIG] * 60) + " FROM t a, t b",
        "SELECT " + ",".join([f"{BIG} || char(128512) || {i}" for i in range(80)]) + " FROM t",
        f"SELECT {BIG} || a.n FROM t a, t b, t c, t d, t e, t f",
        "SELECT group_concat(x) OVER (ORDER BY n) FROM (SELECT a.n, printf('%.*c', 9000, 'b') x FROM t a, t b, t c)",
        "WITH RECURSIVE r(x) AS (SELECT 'a' UNION ALL SELECT x || x FROM r WHERE length(x) < 9e5) SELECT * FROM r, t",
        "SELECT " + ",".join(["NULL"] * 2000) + " FROM t a, t b, t c, t d, t e, t f",
    ],
)
def test_no_statement_takes_a_child_above_300_mb(tmp_path: Path, sql: str) -> None:
    rows = "),(".join(map(str, range(8)))
    database = make(tmp_path / "t.sqlite", f"CREATE TABLE t(n); INSERT INTO t VALUES ({rows})")
    with Sandbox(Limits(deadline_s=5)) as sandbox:
        run(sandbox, database, "SELECT 1")
        before = sandbox.child_pid
        result = run(sandbox, database, sql)
        assert result.status == "ok" or result.status == "too_large", result.error
        assert 0 < child_memory_mb(sandbox) < 300e6 / 2**20
        assert sandbox.child_pid == before
