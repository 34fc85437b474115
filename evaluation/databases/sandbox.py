"""Executes SQL that nobody vouches for: batches of statements in, one `Execution` per statement out.

A `Sandbox` owns one child process (`sandbox_child.py`). Each statement gets a connection of its own.

Guarded against
    writes, files, locks, other databases   read-only immutable connection; authorizer that allows reading only
    state left for the next statement       a fresh connection per statement; PRAGMA, ATTACH, temp objects are refused
    endless loops                           progress handler with a deadline; the child's own alarm; the parent's kill
    one function call that never returns    size limits on cells, SQL and LIKE patterns; then the same alarm and kill
    memory and disk                         SQLite heap limit, address-space limit, no file may grow; bytes are counted
                                            row by row as they are fetched
    what the file itself holds              its schema is read under a deadline of its own; its views, generated columns
                                            and virtual tables run under the statement's limits
    crashes of SQLite                       only the child dies; it is replaced and the batch goes on
    statements that read no table           `tables_read` tells base tables from CTEs, views and constants
    text that is not UTF-8                  read as surrogate escapes, so different bytes stay different
Not guarded against
    native code run through a memory error in SQLite: the child has the rights of the user who runs it
    a database file that changes during a batch (immutable connections may then see half of it)
    constants guessed right while some table is also read: only a second database instance shows that
"""

from __future__ import annotations

import marshal
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Literal

from graph.database import DatabaseError, Identity, identity, refuse_unmerged
from graph.guard import NOT_A_QUERY
from graph.process import Process, timed_out

Status = Literal["ok", "error", "refused", "timeout", "too_large", "crashed"]
Request = tuple[str, str]  # database path, SQL
_Key = tuple[Any, str]  # Identity of the file, SQL
CHILD = Path(__file__).with_name("sandbox_child.py")
_PARENT_SLACK_S = 0.1  # the child's own alarm comes first
_MAX_CACHED_SHARE = 16  # one result may take at most this share of the cache


@dataclass(frozen=True)
class Limits:
    """What one statement may take, beside what opening its database takes.

    On a machine with a free core the answer comes within open_s + deadline_s + 2 grace_s, whatever the statement and
    the file; on a busy one, where a statement must wait for its turn, within wall_s.
    """

    deadline_s: float = 1.0  # of processor time, so that a verdict does not hang on what else the machine does
    open_s: float = 1.5  # of processor time to read the owner's schema
    grace_s: float = 0.3  # of processor time to stop orderly; then the child ends itself
    wall_factor: float = 4.0
    max_rows: int = 200_000
    max_bytes: int = 32 * 2**20  # of all rows, serialised, and 8 for each cell
    max_sql_bytes: int = 50_000
    effort: bool = False  # measure what a statement costs (evaluation/databases/effort.py)
    cut: bool = False  # of a result beyond max_rows or max_bytes the first rows are given, and not "too_large"
    max_cell_bytes: int = 1_000_000
    heap_bytes: int = 84 * 2**20  # SQLite's own memory; Spider's hungriest golds need over 80
    memory_bytes: int = 256 * 2**20  # address space of the child, beyond what it starts with
    cache_bytes: int = 64 * 2**20  # of remembered results, serialised; 0 = remember nothing

    @property
    def wall_s(self) -> float:
        """Seconds by the clock on the wall after which a statement is given up, however little it has run."""
        return self.open_s + self.grace_s + self.wall_factor * (self.deadline_s + self.grace_s)

    def of_child(self) -> dict[str, Any]:
        """The settings of the child."""
        return {**asdict(self), "wall_s": self.wall_s, "sqlite_limits": self.of_sqlite()}

    def of_sqlite(self) -> list[tuple[int, int]]:
        """(sqlite3.SQLITE_LIMIT_ number, value) for `Connection.setlimit`, once the owner's schema is read.

        Views are part of a statement when it runs, so what a schema may have, such as 2,000 columns, stays allowed.
        """
        return [
            (0, self.max_cell_bytes),  # LENGTH
            (4, 50),  # COMPOUND_SELECT
            (5, 250_000),  # VDBE_OP
            (7, 0),  # ATTACHED
            (8, 100),  # LIKE_PATTERN_LENGTH
            (10, 0),  # TRIGGER_DEPTH
            (11, 0),  # WORKER_THREADS
        ]


@dataclass(frozen=True)
class Execution:
    """What one statement did. Unless status is "ok", rows is () and error says why.

    rows: cells are None, int, float, str (surrogate escapes for bytes that are not UTF-8) or bytes.
    tables_read: base tables read, as declared, sorted; views are followed, CTEs and sqlite_ tables are not counted.
    seconds: inside the child, from opening the database to the last row.
    volatile: uses a function of time or chance, so that it may answer differently next time.
    truncated: has more rows than these, under `Limits.cut`.
    steps, burden: what it costs, under `Limits.effort` and where it reads a table; else 0.

    >>> Execution("ok", ((1, "a"),), ("id", "name"), ("singer",)).rows[0]
    (1, 'a')
    """

    status: Status
    rows: tuple[tuple[Any, ...], ...] = ()
    columns: tuple[str, ...] = ()
    tables_read: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0
    volatile: bool = False
    truncated: bool = False
    steps: int = 0
    burden: int = 0


class Sandbox:
    """One child process and a cache of its answers; not for use by several threads at once."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._child: Process | None = None
        self._cache = _Cache(self.limits.cache_bytes)

    def execute(self, requests: Sequence[Request]) -> list[Execution]:
        """One Execution per (database path, SQL), in order; equal requests run once.

        Never raises for what a statement or a database file does. RuntimeError when no child can be started.
        """
        answers: dict[Request, Execution] = {}
        waiting: list[Request] = []
        files = {path: _identity(path) for path in dict.fromkeys(path for path, _ in requests)}
        for request in dict.fromkeys(requests):
            if known := self._known(files[request[0]], request[1]):
                answers[request] = known
            else:
                waiting.append(request)
        for request, (execution, size) in zip(waiting, self._run(waiting), strict=True):
            answers[request] = execution
            if execution.status not in ("timeout", "crashed") and not execution.volatile:
                self._cache.put((files[request[0]], request[1]), execution, size)
        return [answers[request] for request in requests]

    def _known(self, file: Identity | Execution, sql: str) -> Execution | None:
        """The execution of a statement that need not run."""
        if isinstance(file, Execution):
            return file
        return self._cache.get((file, sql)) or unsendable(sql, self.limits)

    @property
    def child_pid(self) -> int | None:
        """The process that runs statements; None before the first batch."""
        return self._child.pid if self._child else None

    def close(self) -> None:
        """End the child. The sandbox may be used again: it starts another."""
        if self._child:
            self._child.kill()
            self._child = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _run(self, requests: Sequence[Request]) -> Iterator[tuple[Execution, int]]:
        """(execution, serialised bytes) of each request; a child that died is replaced and given what is left.

        A statement whose child died of something else than the deadline is run once more: only at the second death it
        counts as crashed, for the first may have come from outside (an out-of-memory killer, an operator).
        """
        done, crashed = 0, -1
        while done < len(requests):
            if self._child is None:
                self._child = Process(CHILD, self.limits.of_child())
            for answer in self._answers(self._child, requests[done:]):
                if answer[0].status == "crashed" and crashed != done:
                    crashed = done
                    break
                yield answer
                done += 1
            if not self._child.alive:
                self.close()

    def _answers(self, child: Process, requests: Sequence[Request]) -> Iterator[tuple[Execution, int]]:
        """Answers in order; ends early, with the verdict on the statement that did it, when the child dies."""
        child.send(list(requests))
        patience_s = self.limits.wall_s + _PARENT_SLACK_S
        for _ in requests:
            sent = monotonic()
            payload = child.read(patience_s)
            if payload is None:
                yield self._post_mortem(child, monotonic() - sent), 0
                return
            yield decode(payload), len(payload)

    def _post_mortem(self, child: Process, seconds: float) -> Execution:
        code = child.post_mortem()
        if timed_out(code):
            error = f"ran longer than the deadline of {self.limits.deadline_s} s and was killed"
            return Execution("timeout", error=error, seconds=seconds)
        return Execution("crashed", error=f"the process that ran it ended with code {code}", seconds=seconds)


def _identity(path: str) -> Identity | Execution:
    """What tells this state of the file from others; an error when there is nothing to open."""
    try:
        found = identity(path)
        refuse_unmerged(path)
        return found
    except DatabaseError as error:
        return Execution("error", error=f"the database {path} cannot be read: {error}")


class _Cache:
    """Executions by (database file, SQL); least recently used go first."""

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity, self._used = capacity_bytes, 0
        self._entries: OrderedDict[_Key, tuple[Execution, int]] = OrderedDict()

    def get(self, key: _Key) -> Execution | None:
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def put(self, key: _Key, execution: Execution, size: int) -> None:
        size += len(key[1]) + 200
        if size > self._capacity // _MAX_CACHED_SHARE:
            return
        self._entries[key] = (execution, size)
        self._used += size
        while self._used > self._capacity:
            self._used -= self._entries.popitem(last=False)[1][1]


def unsendable(sql: str, limits: Limits) -> Execution | None:
    """The verdict on SQL that need not reach SQLite; None for all others."""
    size = len(sql)
    try:
        size = size if size > limits.max_sql_bytes else len(sql.encode())
    except UnicodeEncodeError:
        return Execution("error", error="the SQL holds lone surrogates, which no UTF-8 text can")
    if size > limits.max_sql_bytes:
        return Execution("refused", error=f"the SQL is {size} bytes long; at most {limits.max_sql_bytes} are run")
    return None


def decode(payload: bytes) -> Execution:
    """An Execution from the child's answer."""
    status, columns, rows, truncated, tables, volatile, error, seconds, effort = marshal.loads(payload)
    cells = marshal.loads(rows) if rows else ()
    return Execution(status, cells, columns, tables, error, seconds, volatile, truncated, *effort)


def is_no_query(execution: Execution) -> bool:
    """Whether it was refused because it would do more than read, such as INSERT, ATTACH or PRAGMA."""
    return execution.status == "refused" and NOT_A_QUERY in execution.error


def executable(execution: Execution) -> bool:
    """Whether a prediction ran and read a base table: `SELECT 1` and comments are not executable in this sense."""
    return execution.status == "ok" and bool(execution.tables_read)
