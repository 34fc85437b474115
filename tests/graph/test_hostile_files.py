"""Files that were made to hold or bloat whoever describes them: an answer or one line, in time."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from graph.introspect import schema_from_sqlite
from graph.reader import DEADLINE_S, check_database
from graph.schema import Schema, SchemaError
from graph.values import sample_values

FOREVER = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r)"
DOUBLED = "".join(f"CREATE VIEW v{i + 1} AS SELECT a FROM v{i} UNION ALL SELECT a FROM v{i};" for i in range(40))

TWENTY_THOUSAND_TABLES = """
    CREATE TABLE t(a, b); PRAGMA writable_schema = 1;
    WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 20000)
    INSERT INTO sqlite_master SELECT 'table', 't' || n, 't' || n, 2, 'CREATE TABLE t' || n || '(a, b)' FROM r
"""


def make(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
        connection.commit()
    return path


def processor_s() -> float:
    """Of this process and its reader."""
    spent = [psutil.Process().cpu_times(), *(child.cpu_times() for child in psutil.Process().children())]
    dead = os.times()
    return sum(times.user + times.system for times in spent) + dead.children_user + dead.children_system


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "says"),
    [
        (TWENTY_THOUSAND_TABLES, "1000 tables"),
        ("CREATE TABLE t(a); CREATE VIEW v0 AS SELECT a FROM t;" + DOUBLED, "too long"),
        (f'CREATE TABLE t(a, "{"n" * 900_000}")', "1000 characters"),
        ("".join(f"CREATE TABLE t{i}({','.join(f'c{j}' for j in range(2000))});" for i in range(9)), "16000 columns"),
    ],
)
def test_a_schema_beyond_bounds_is_refused_in_one_line_and_the_next_file_is_read(
    tmp_path: Path, script: str, says: str
) -> None:
    path = make(tmp_path / "d.sqlite", script)
    before = processor_s()
    with pytest.raises(SchemaError, match=says) as error:
        schema_from_sqlite(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert processor_s() - before < DEADLINE_S + 1
    assert schema_from_sqlite(make(tmp_path / "next.sqlite", "CREATE TABLE good(a)")).tables[0].name == "good"


@pytest.mark.slow
def test_the_hostile_cases_are_answered_in_time(cases_dir: Path) -> None:
    before = processor_s()
    with pytest.raises(SchemaError, match="too long"):
        schema_from_sqlite(cases_dir / "databases" / "expo_schema.sqlite")
    path = cases_dir / "databases" / "view_fn.sqlite"
    sample_values(path, schema_from_sqlite(path))
    assert processor_s() - before < 5


@pytest.mark.slow
@pytest.mark.parametrize(
    "view",
    [
        f"{FOREVER} SELECT group_concat(n) AS c FROM r",
        f"{FOREVER} SELECT count(*) AS c FROM r",
        "SELECT instr(printf('%.*c', 6000000, 'a'), printf('%.*c', 3000000, 'a') || 'b') AS c",
        "SELECT printf('%.*c', 900000000, 'a') AS c",
    ],
)
def test_a_view_that_never_ends_costs_its_own_cells_only(tmp_path: Path, view: str) -> None:
    path = make(tmp_path / "d.sqlite", f"CREATE TABLE t(a); INSERT INTO t VALUES ('x'); CREATE VIEW v AS {view}")
    before = processor_s()
    values = sample_values(path, schema_from_sqlite(path))
    assert values == {("t", "a"): ("x",), ("v", "c"): ()}
    assert processor_s() - before < 2 * DEADLINE_S + 1


def test_what_no_query_can_read_is_not_described(tmp_path: Path) -> None:
    path = make(
        tmp_path / "d.sqlite",
        """CREATE TABLE t(a); CREATE VIEW good AS SELECT a FROM t; CREATE VIEW gone AS SELECT b FROM nowhere;
        CREATE VIEW odd AS SELECT no_such_function(a) AS f FROM t;
        CREATE VIEW spy AS SELECT * FROM pragma_database_list;
        CREATE VIEW pages AS SELECT * FROM dbstat; CREATE VIRTUAL TABLE box USING rtree(id, x0, x1);
        CREATE VIRTUAL TABLE text4 USING fts4(body); CREATE VIRTUAL TABLE text5 USING fts5(body);
        PRAGMA writable_schema = 1;
        INSERT INTO sqlite_master
        VALUES ('table', 'absent', 'absent', 0, 'CREATE VIRTUAL TABLE absent USING missing(a)');
        """,
    )
    assert [table.name for table in schema_from_sqlite(path).tables] == ["t", "good", "box", "text4", "text5"]


def test_files_that_are_none_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "noise").write_bytes(os.urandom(5000))
    (tmp_path / "log.sqlite-wal").write_bytes(bytes(4152))
    make(tmp_path / "log.sqlite", "CREATE TABLE t(a)")
    (tmp_path / "log.sqlite-wal").write_bytes(bytes(4152))
    with (tmp_path / "zeros").open("wb") as file:
        file.truncate(5 * 2**30)
    started = time.monotonic()
    for name in ("pipe", "noise", "zeros", "log.sqlite", "."):
        with pytest.raises(ValueError, match="must be a SQLite database that can be read whole"):
            check_database(tmp_path / name)
    assert time.monotonic() - started < 3


def test_the_description_of_a_file_is_the_same_twice(tmp_path: Path) -> None:
    path = make(tmp_path / "d.sqlite", "CREATE TABLE t(a); INSERT INTO t VALUES (1), (2)")
    schema = schema_from_sqlite(path)
    assert isinstance(schema, Schema) and schema == schema_from_sqlite(path)
    assert sample_values(path, schema) == {("t", "a"): ("1", "2")}
