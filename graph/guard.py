"""What a statement over a user's database may do: read tables and call functions, until its deadline.

The authorizer asks after each statement that SQLite compiles, those of the file's own views and those that virtual
tables run for themselves included; the rules hold for all of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Container
from time import thread_time

READ, SELECT, FUNCTION, RECURSIVE = 20, 21, 31, 33  # authorizer actions, sqlite3.h
ALLOWED = frozenset((READ, SELECT, FUNCTION, RECURSIVE))
PRAGMA, UPDATE = 19, 23
ACTION_NAMES = {9: "delete from", 18: "insert into", 19: "pragma", 22: "transaction", 23: "update", 24: "attach"}
NOT_A_QUERY = "a statement that does not only read: "
# fts3_tokenizer registers a pointer taken from the statement; blobs serve only to fill memory; the rest reach files.
DENIED_FUNCTIONS = frozenset(
    ["load_extension", "fts3_tokenizer", "writefile", "readfile", "edit", "zeroblob", "randomblob"]
)
VOLATILE_FUNCTIONS = frozenset(
    ["random", "randomblob", "current_date", "current_time", "current_timestamp", "date", "time", "datetime"]
    + ["julianday", "unixepoch", "strftime", "timediff"]
)
SERIES = frozenset(["json_each", "json_tree", "generate_series"])  # tables made of the statement's own arguments
STOP_AT = 0.99  # of the deadline, so that the answer is there by the deadline itself


def engine_tables() -> frozenset[str]:
    """Tables that are there without standing in any file, such as dbstat, and show more than the file does."""
    connection = sqlite3.connect(":memory:")
    names = frozenset(name for (name,) in connection.execute("SELECT name FROM pragma_module_list"))
    connection.close()
    return (names | {"dbstat", "sqlite_stmt", "sqlite_dbpage"}) - SERIES


ENGINE_TABLES = engine_tables()


class Clock:
    """A progress handler with a deadline of processor time, so that no verdict hangs on what else the machine does.

    looks: how often it was asked.
    """

    def __init__(self, deadline_s: float) -> None:
        self.ends_at = thread_time() + STOP_AT * deadline_s
        self.expired, self.looks = False, 0

    def __call__(self) -> bool:
        """Whether the time is over."""
        self.looks += 1
        self.expired = thread_time() > self.ends_at
        return self.expired


class Guard:
    """Authorizer of one statement, and what it saw.

    own: lower-case names of the file's tables and views.
    """

    def __init__(self, own: Container[str]) -> None:
        self._own = own
        self.reads: set[tuple[str, bool]] = set()  # (table, whether a column of it is named)
        self.denied = ""
        self.volatile = False
        self.selects = False
        self.made_rows = ""  # a table of SERIES that it reads

    def authorize(self, action: int, first: str | None, second: str | None, _db: str | None, _via: str | None) -> int:
        if action == READ:
            self.reads.add((first or "", bool(second)))
            return self.read((first or "").lower())
        if action == FUNCTION:
            name = (second or "").lower()
            self.volatile = self.volatile or name in VOLATILE_FUNCTIONS
            if name in DENIED_FUNCTIONS or name.startswith("sqlite_"):
                return self.deny(f"the function {name}")
        elif action == SELECT:
            self.selects = True
        elif action not in ALLOWED and not (self.selects and of_virtual_table(action, first, second)):
            return self.deny(f"{NOT_A_QUERY}{ACTION_NAMES.get(action, action)} {first or ''}".strip())
        return sqlite3.SQLITE_OK

    def read(self, name: str) -> int:
        if (name in ENGINE_TABLES or name.startswith("pragma_")) and name not in self._own:
            return self.deny(f"the table {name}")
        if name in SERIES and name not in self._own:
            self.made_rows = name
        return sqlite3.SQLITE_OK

    def deny(self, what: str) -> int:
        self.denied = self.denied or what
        return sqlite3.SQLITE_DENY


def of_virtual_table(action: int, first: str | None, second: str | None) -> bool:
    """What a virtual table does inside a query that reads it: SQLite declares its columns, FTS5 looks for changes.

    As statements of their own, the first is an error whoever runs it, and the second comes before any SELECT.
    """
    return (action, first) == (UPDATE, "sqlite_master") or (action, first, second) == (PRAGMA, "data_version", None)
