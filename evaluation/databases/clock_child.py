"""Which queries depend on the day or on chance, told by SQLite itself. A child process: see `clock.py`.

Date functions are replaced by ones that ask SQLite whether it calls their arguments deterministic, as it does for a
generated column: `date("now")` and `strftime('%Y')` are not, `date(born)` is. CURRENT_DATE and random() are seen by the
authorizer, in views too. Run by path with `python -I -S`: a JSON list of [database path, SQL, seconds] on stdin, and a
JSON list of "time", "chance", both or "" on stdout. A query that takes longer depends on time, for all that is known.
"""

from __future__ import annotations

import json
import resource
import sqlite3
import sys
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from graph.database import DatabaseError, open_database  # noqa: E402
from graph.guard import Clock  # noqa: E402

DATES = ("date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff")
CURRENT = ("current_date", "current_time", "current_timestamp")
CHANCE = ("random", "randomblob")
MEMORY_BYTES = 768 * 2**20


class Watch:
    """What one query was seen to depend on."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def authorize(self, action: int, _first: str | None, name: str | None, *_rest: str | None) -> int:
        if action == 31 and name and name.lower() in CURRENT:  # SQLITE_FUNCTION
            self.found.add("time")
        if action == 31 and name and name.lower() in CHANCE:
            self.found.add("chance")
        return sqlite3.SQLITE_OK


def depends(path: str, sql: str, seconds: float) -> str:
    """ "time", "chance", both with a blank between, or "" for a query that reads only."""
    watch, clock = Watch(), Clock(seconds)
    try:
        connection, _ = open_database(path, clock)
        with closing(connection):
            replace_dates(connection, watch)
            connection.text_factory = bytes
            connection.set_authorizer(watch.authorize)
            for _ in connection.execute(sql):
                pass
    except (sqlite3.Error, DatabaseError, MemoryError):  # of text that is no UTF-8, too, which no function is given
        if clock.expired or "now" in sql.lower():
            watch.found.add("time")
    return " ".join(sorted(watch.found))


def replace_dates(connection: sqlite3.Connection, watch: Watch) -> None:
    oracle = sqlite3.connect(":memory:")

    def make(name: str) -> Any:
        @lru_cache(maxsize=100_000, typed=True)
        def ask(*values: Any) -> tuple[bool, Any]:
            marks = ", ".join("?" * len(values))
            return pure(oracle, name, values), oracle.execute(f"SELECT {name}({marks})", values).fetchone()[0]

        def function(*values: Any) -> Any:
            settled, value = ask(*values)
            if not settled:
                watch.found.add("time")
            return value

        return function

    known = {name for (name,) in oracle.execute("SELECT DISTINCT name FROM pragma_function_list")}
    for name in known.intersection(DATES):
        connection.create_function(name, -1, make(name), deterministic=True)


def pure(oracle: sqlite3.Connection, name: str, values: tuple[Any, ...]) -> bool:
    """Whether SQLite would let the call stand in a generated column."""
    columns = [f"a{place}" for place in range(len(values))]
    oracle.execute("DROP TABLE IF EXISTS probe")
    oracle.execute(f"CREATE TABLE probe({', '.join(['x', *columns])}, v AS ({name}({', '.join(columns)})))")
    try:
        marks = ", ".join("?" * (1 + len(values)))
        oracle.execute(f"INSERT INTO probe({', '.join(['x', *columns])}) VALUES ({marks})", (1, *values))
        oracle.execute("SELECT v FROM probe").fetchall()
    except sqlite3.OperationalError:
        return False
    return True


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    print(json.dumps([depends(*request) for request in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
