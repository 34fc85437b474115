"""Each test attacks one property of the sandbox."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from evaluation.databases.sandbox import Execution, Limits, Sandbox, Status
from tests.bench.fuzz import fingerprint, make_victim

FOREVER = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"
SLACK_S = 3.0  # a child may have to start, and the machine may be busy
QUICK = Limits(deadline_s=0.3)


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_victim(tmp_path_factory.mktemp("victim") / "victim.sqlite")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(QUICK) as sandbox:
        yield sandbox


def alive(pid: int) -> bool:
    """Whether the process still runs; one that ended and waits to be reaped does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def run(sandbox: Sandbox, database: str, sql: str) -> Execution:
    return sandbox.execute([(database, sql)])[0]


def test_a_query_reports_rows_columns_and_the_tables_it_read(sandbox: Sandbox, victim: str) -> None:
    result = run(sandbox, victim, "SELECT T.name AS who, v FROM t AS T JOIN u ON t_id = T.id WHERE T.id = 1 ORDER BY v")
    assert result.status == "ok"
    assert result.rows == (("name1", 0.5), ("name1", 1000.5))
    assert result.columns == ("who", "v")
    assert result.tables_read == ("t", "u")


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT count(*) FROM T", ("t",)),
        ("SELECT * FROM w LIMIT 1", ("t",)),
        ("SELECT 1", ()),
        ("-- nothing", ()),
        ("VALUES (1)", ()),
        ("WITH t AS (SELECT 1) SELECT count(*) FROM t", ()),
        ("WITH c AS (SELECT * FROM u) SELECT count(*) FROM c", ("u",)),
        ("WITH c AS (SELECT 1) SELECT count(*) FROM t", ("t",)),
        ("SELECT name FROM sqlite_master", ()),
        ("EXPLAIN SELECT * FROM t", ()),
    ],
)
def test_only_base_tables_count_as_read(sandbox: Sandbox, victim: str, sql: str, tables: tuple[str, ...]) -> None:
    result = run(sandbox, victim, sql)
    assert (result.status, result.tables_read) == ("ok", tables)


@pytest.mark.parametrize(
    ("sql", "status"),
    [
        ("DELETE FROM t", "refused"),
        ("WITH x AS (SELECT 1) DELETE FROM t WHERE id IN (SELECT * FROM x)", "refused"),
        ("DROP TABLE t", "refused"),
        ("CREATE TEMP TABLE t AS SELECT 1", "refused"),
        ("ATTACH DATABASE 'new.sqlite' AS e", "refused"),
        ("VACUUM INTO 'copy.sqlite'", "refused"),
        ("PRAGMA query_only=0", "refused"),
        ("PRAGMA hard_heap_limit=1000", "refused"),
        ("SELECT load_extension('/tmp/x.so')", "refused"),
        ("SELECT fts3_tokenizer('simple')", "refused"),
        ("SELECT file FROM pragma_database_list", "refused"),
        ("SELECT 1; SELECT 2", "refused"),
        ("SELECT nope FROM t", "error"),
        ("SELECT ?1", "error"),
        ("SELECT 1\0", "error"),
        ("SELECT '\ud800'", "error"),
        ("SELECT " + "1," * 30_000 + "1", "refused"),
        ("SELECT " + ", ".join(["1"] * 3000), "error"),
        ("SELECT a.id FROM t a, u b, u c", "too_large"),
        ("SELECT a.name || b.name || c.name FROM t a, t b, t c ORDER BY 1", "too_large"),
        ("SELECT 1 FROM t WHERE printf('%.*c', 99000, 'a') LIKE '%' || printf('%.*c', 24000, 'a') || 'b'", "error"),
        (FOREVER, "timeout"),
    ],
)
def test_what_may_not_run_gets_a_status_in_time_and_the_next_query_runs(
    sandbox: Sandbox, victim: str, sql: str, status: Status
) -> None:
    generous = Sandbox(Limits(deadline_s=20.0)) if status == "too_large" else sandbox
    started = time.monotonic()
    results = generous.execute([(victim, sql), (victim, "SELECT count(*) FROM t")])
    assert time.monotonic() - started < generous.limits.deadline_s + 0.5 + SLACK_S
    assert (results[0].status, results[0].rows) == (status, ())
    assert results[0].error
    assert results[1].rows == ((2001,),)
    if generous is not sandbox:
        generous.close()


def test_keywords_in_literals_names_and_comments_are_allowed(sandbox: Sandbox, victim: str) -> None:
    for sql in (
        "SELECT count(*) FROM t WHERE name = 'DROP TABLE t; --'",
        'SELECT "n" AS "delete" FROM t WHERE id = 1',
        "-- count\nSELECT count(*) FROM t",
        "SELECT replace(name, 'n', 'm') FROM t WHERE id = 1; -- DROP TABLE t",
    ):
        assert run(sandbox, victim, sql).status == "ok", sql


def test_bytes_that_are_not_utf8_stay_readable_and_different(sandbox: Sandbox, victim: str) -> None:
    result = run(sandbox, victim, "SELECT name FROM t WHERE id = 3000 UNION ALL SELECT CAST(X'61fe62' AS TEXT)")
    assert result.rows == (("a\udcffb",), ("a\udcfeb",))


def test_hostile_statements_leave_the_folder_as_it_was(tmp_path: Path) -> None:
    database = make_victim(tmp_path / "victim.sqlite")
    before = fingerprint(tmp_path)
    statements = ["DELETE FROM t", "ATTACH 'x.sqlite' AS x", "VACUUM", "PRAGMA journal_mode=WAL", "ANALYZE", "REINDEX",
                  f"VACUUM INTO '{tmp_path}/copy'", "SELECT * FROM t a, t b, u c ORDER BY random()"]  # fmt: skip
    with Sandbox(QUICK) as sandbox:
        sandbox.execute([(database, sql) for sql in statements])
    assert fingerprint(tmp_path) == before


def test_a_child_that_dies_is_replaced_and_the_batch_goes_on(victim: str) -> None:
    with Sandbox(QUICK) as sandbox:
        run(sandbox, victim, "SELECT 1")
        pid = sandbox.child_pid
        assert pid
        os.kill(pid, signal.SIGSEGV)
        time.sleep(0.05)
        results = sandbox.execute([(victim, "SELECT 2"), (victim, "SELECT 3")])
        assert [result.status for result in results] == ["ok", "ok"]
        assert sandbox.child_pid != pid


def test_a_child_that_is_killed_while_it_starts_is_started_again(victim: str) -> None:
    def kill_first() -> None:
        while not (born := psutil.Process().children()):
            time.sleep(0.001)
        born[0].kill()

    killer = threading.Thread(target=kill_first)
    with Sandbox(QUICK) as sandbox:
        killer.start()
        assert sandbox.execute([(victim, "SELECT 2")])[0].status == "ok"
        killer.join()


def test_a_statement_whose_child_dies_twice_is_crashed_and_the_batch_goes_on(victim: str) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with Sandbox(Limits(deadline_s=20)) as sandbox:
        run(sandbox, victim, "SELECT 1")
        killed: set[int] = set()

        def kill_two() -> None:
            while len(killed) < 2:
                pid = sandbox.child_pid
                if pid and pid not in killed:
                    time.sleep(0.3)  # it has begun the statement
                    killed.add(pid)
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.01)

        killer = threading.Thread(target=kill_two)
        killer.start()
        results = sandbox.execute([(victim, endless), (victim, "SELECT 3")])
        killer.join()
        assert [result.status for result in results] == ["crashed", "ok"]


@pytest.mark.slow
def test_a_child_that_stops_answering_is_killed(victim: str) -> None:
    with Sandbox(QUICK) as sandbox:
        run(sandbox, victim, "SELECT 1")
        assert sandbox.child_pid
        os.kill(sandbox.child_pid, signal.SIGSTOP)
        started = time.monotonic()
        results = sandbox.execute([(victim, "SELECT 2"), (victim, "SELECT 3")])
        assert [result.status for result in results] == ["timeout", "ok"]
        assert time.monotonic() - started < QUICK.wall_s + SLACK_S


def test_equal_queries_run_once_and_answers_are_remembered_by_content(tmp_path: Path) -> None:
    database = make_victim(tmp_path / "victim.sqlite")
    request = (database, "SELECT count(*) FROM t")
    with Sandbox(QUICK) as sandbox:
        first, second = sandbox.execute([request, request])
        assert first is second
        assert sandbox.execute([request])[0] is first
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("DELETE FROM t WHERE id < 1000")
            connection.commit()
        assert sandbox.execute([request])[0].rows == ((1001,),)


@pytest.mark.parametrize("sql", ["SELECT random()", "SELECT date('now')", "SELECT current_timestamp", FOREVER])
def test_chance_time_and_timeouts_are_never_remembered(sandbox: Sandbox, victim: str, sql: str) -> None:
    assert run(sandbox, victim, sql) is not run(sandbox, victim, sql)


def test_the_cache_stays_within_its_bytes(victim: str) -> None:
    with Sandbox(Limits(cache_bytes=20_000)) as sandbox:
        for number in range(200):
            run(sandbox, victim, f"SELECT {number}")
        assert sandbox._cache._used <= 20_000
        assert 10 < len(sandbox._cache._entries) < 100


def test_odd_databases_get_a_named_verdict(sandbox: Sandbox, tmp_path: Path) -> None:
    text = tmp_path / "text.sqlite"
    text.write_text("not a database " * 100)
    odd = make_victim(tmp_path / "a?b#c%20.sqlite")
    torn = Path(make_victim(tmp_path / "torn.sqlite"))
    torn.write_bytes(torn.read_bytes()[:5000] + b"\xff" * 20_000)
    query = "SELECT count(*), sum(length(name)) FROM t"
    assert run(sandbox, str(text), query).error == "file is not a database"
    assert run(sandbox, str(torn), query).status == "error"
    assert "does not exist" in run(sandbox, str(tmp_path / "none.sqlite"), query).error
    assert run(sandbox, odd, query).status == "ok"
    assert not (tmp_path / "a").exists()


def test_a_locked_database_is_read_and_an_unmerged_log_is_an_error(sandbox: Sandbox, tmp_path: Path) -> None:
    locked, logged = make_victim(tmp_path / "locked.sqlite"), make_victim(tmp_path / "logged.sqlite")
    with closing(sqlite3.connect(locked, isolation_level=None)) as one, closing(sqlite3.connect(logged)) as two:
        one.execute("BEGIN EXCLUSIVE")
        two.execute("PRAGMA journal_mode=WAL")
        two.execute("DELETE FROM t")
        two.commit()
        assert run(sandbox, locked, "SELECT count(*) FROM t").rows == ((2001,),)
        assert "write-ahead log" in run(sandbox, logged, "SELECT count(*) FROM t").error


def test_a_child_starts_in_little_memory_and_ends_with_its_parent(victim: str) -> None:
    program = (
        "import os, sys; from evaluation.databases.sandbox import Sandbox;"
        "s = Sandbox(); s.execute([(sys.argv[1], 'SELECT 1')]);"
        "pid = s.child_pid; status = open(f'/proc/{pid}/status').read();"
        "print(pid, status.split('VmHWM:')[1].split()[0], flush=True); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", program, victim], capture_output=True, text=True, check=True)
    pid, kilobytes = map(int, done.stdout.split())
    assert kilobytes < 20_000
    for _ in range(50):
        if not alive(pid):
            return
        time.sleep(0.02)
    pytest.fail(f"the child {pid} outlived its parent")
