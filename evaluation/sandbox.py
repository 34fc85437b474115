"""Executes SQL that nobody vouches for: batches of statements in, one `Execution` per statement out.

A `Sandbox` owns one child process (`sandbox_child.py`, started as a fresh interpreter, never forked, so that it may
live in a process that holds threads, a GPU or Ray). Each statement gets a connection of its own.

Guarded against
    writes, files, locks, other databases   read-only immutable connection; authorizer that allows reading only
    state left for the next statement       a fresh connection per statement; PRAGMA, ATTACH, temp objects are refused
    endless loops                           progress handler with a deadline; the child's own alarm; the parent's kill
    one function call that never returns    size limits on cells, SQL and LIKE patterns; then the same alarm and kill
    memory and disk                         SQLite heap limit, address-space limit, no file may grow, row and byte caps
    crashes of SQLite                       only the child dies; it is replaced and the batch goes on
    statements that read no table           `tables_read` tells base tables from CTEs, views and constants
    text that is not UTF-8                  read as surrogate escapes, so different bytes stay different
Not guarded against
    native code run through a memory error in SQLite: the child has the rights of the user who runs it
    a database file that changes during a batch (immutable connections may then see half of it)
    constants guessed right while some table is also read: only a second database instance shows that
"""

from __future__ import annotations

import contextlib
import marshal
import os
import select
import signal
import struct
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Literal

from evaluation.sandbox_child import NOT_A_QUERY

Status = Literal["ok", "error", "refused", "timeout", "too_large", "crashed"]
Request = tuple[str, str]  # database path, SQL
CHILD = Path(__file__).with_name("sandbox_child.py")
START_TIMEOUT_S = 30.0
START_ATTEMPTS = 3
_PARENT_SLACK_S = 0.1  # the child's own alarm comes first
_MAX_CACHED_SHARE = 16  # one result may take at most this share of the cache


@dataclass(frozen=True)
class Limits:
    """What one statement may take.

    On a machine with a free core the answer comes within deadline_s + grace_s, whatever the statement; on a busy one,
    where a statement must wait for its turn, within wall_factor times that.
    """

    deadline_s: float = 1.0  # of processor time, so that a verdict does not hang on what else the machine does
    grace_s: float = 0.3  # of processor time to stop orderly; then the child ends itself
    wall_factor: float = 4.0
    max_rows: int = 200_000
    max_bytes: int = 32 * 2**20  # of all rows, serialised
    max_sql_bytes: int = 50_000
    max_cell_bytes: int = 1_000_000
    heap_bytes: int = 84 * 2**20  # SQLite's own memory; Spider's hungriest golds need over 80
    memory_bytes: int = 768 * 2**20  # address space of the child
    cache_bytes: int = 64 * 2**20  # of remembered results, serialised; 0 = remember nothing

    @property
    def wall_s(self) -> float:
        """Seconds by the clock on the wall after which a statement is given up, however little it has run."""
        return self.wall_factor * (self.deadline_s + self.grace_s)

    def of_sqlite(self) -> list[tuple[int, int]]:
        """(sqlite3.SQLITE_LIMIT_ number, value) for `Connection.setlimit`."""
        return [
            (0, self.max_cell_bytes),  # LENGTH
            (1, self.max_sql_bytes),  # SQL_LENGTH
            (2, 512),  # COLUMN
            (3, 200),  # EXPR_DEPTH
            (4, 50),  # COMPOUND_SELECT
            (5, 50_000),  # VDBE_OP
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


class Sandbox:
    """One child process and a cache of its answers; not for use by several threads at once."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._child: _Child | None = None
        self._cache = _Cache(self.limits.cache_bytes)
        self._contents = _Contents()

    def execute(self, requests: Sequence[Request]) -> list[Execution]:
        """One Execution per (database path, SQL), in order; equal requests run once.

        Never raises for what a statement or a database file does. RuntimeError when no child can be started.
        """
        answers: dict[Request, Execution] = {}
        waiting: list[Request] = []
        contents = {path: self._contents.digest(path) for path in dict.fromkeys(path for path, _ in requests)}
        for request in dict.fromkeys(requests):
            path, sql = request
            known = self._cache.get((contents[path], sql)) or unsendable(sql, self.limits)
            if not (known or contents[path] or os.path.isfile(path)):
                known = Execution("error", error=f"no database file {path}")
            if known:
                answers[request] = known
            else:
                waiting.append(request)
        for request, (execution, size) in zip(waiting, self._run(waiting), strict=True):
            answers[request] = execution
            if execution.status not in ("timeout", "crashed") and not execution.volatile:
                self._cache.put((contents[request[0]], request[1]), execution, size)
        return [answers[request] for request in requests]

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
                self._child = _start_child(self.limits)
            for answer in self._child.answers(requests[done:]):
                if answer[0].status == "crashed" and crashed != done:
                    crashed = done
                    break
                yield answer
                done += 1
            if not self._child.alive:
                self.close()


def _start_child(limits: Limits) -> _Child:
    """RuntimeError when none starts, whoever ends them."""
    for _ in range(START_ATTEMPTS - 1):
        with contextlib.suppress(_EndedEarly):
            return _Child(limits)
    return _Child(limits)


class _EndedEarly(RuntimeError):
    """The child's process was over before it was ready."""


class _Child:
    """The process and its pipes."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            env={name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
            start_new_session=True,
            bufsize=0,
        )
        self.pid = self._process.pid
        self.alive = True
        self._frames = _Frames(self._process.stdout.fileno())  # type: ignore[union-attr]
        self._send({**asdict(limits), "wall_s": limits.wall_s, "sqlite_limits": limits.of_sqlite()})
        if self._frames.read(START_TIMEOUT_S) is None:
            self.kill()
            what = f"the SQL sandbox ({sys.executable} {CHILD})"
            if self._frames.ended:
                raise _EndedEarly(f"{what} ended with code {self._process.returncode} before it was ready")
            raise RuntimeError(f"{what} did not start within {START_TIMEOUT_S} s")

    def answers(self, requests: Sequence[Request]) -> Iterator[tuple[Execution, int]]:
        """Answers in order; ends early, with the verdict on the statement that did it, when the child dies."""
        self._send(list(requests))
        patience_s = self._limits.wall_s + _PARENT_SLACK_S
        for _ in requests:
            sent = monotonic()
            payload = self._frames.read(patience_s)
            if payload is None:
                yield self._post_mortem(monotonic() - sent), 0
                return
            yield decode(payload), len(payload)

    def kill(self) -> None:
        self.alive = False
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]

    def _send(self, value: Any) -> None:
        payload = memoryview(marshal.dumps(value, 2))
        parts = [memoryview(struct.pack("<I", len(payload))), payload]
        with contextlib.suppress(BrokenPipeError):  # a dead child shows as the end of its answers
            for part in parts:
                while part:
                    part = part[self._process.stdin.write(part) or 0 :]  # type: ignore[union-attr]

    def _post_mortem(self, seconds: float) -> Execution:
        if self._frames.ended:  # the child is dead or dying: its exit code says of what
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(START_TIMEOUT_S)
        code = self._process.poll()
        self.kill()
        if code in (None, -signal.SIGALRM, -signal.SIGPROF):  # still running, or ended by its own alarm
            error = f"ran longer than the deadline of {self._limits.deadline_s} s and was killed"
            return Execution("timeout", error=error, seconds=seconds)
        return Execution("crashed", error=f"the process that ran it ended with code {code}", seconds=seconds)


class _Frames:
    """Length-prefixed values from a pipe, with a time limit."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN | select.POLLHUP)
        self._buffer = bytearray()
        self.ended = False

    def read(self, timeout_s: float) -> bytes | None:
        """The next payload; None at the end of the pipe or after timeout_s without a whole one."""
        ends_at = monotonic() + timeout_s
        while (payload := self._take()) is None:
            left_s = ends_at - monotonic()
            if left_s <= 0 or not self._poll.poll(max(1, int(left_s * 1000))):
                return None
            data = os.read(self._fd, 1 << 20)
            if not data:
                self.ended = True
                return None
            self._buffer += data
        return payload

    def _take(self) -> bytes | None:
        if len(self._buffer) < 4:
            return None
        end = 4 + struct.unpack_from("<I", self._buffer)[0]
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[4:end])
        del self._buffer[:end]
        return payload


class _Cache:
    """Executions by (content of the database, SQL); least recently used go first."""

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity, self._used = capacity_bytes, 0
        self._entries: OrderedDict[tuple[str, str], tuple[Execution, int]] = OrderedDict()

    def get(self, key: tuple[str, str]) -> Execution | None:
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def put(self, key: tuple[str, str], execution: Execution, size: int) -> None:
        size += len(key[1]) + 200
        if size > self._capacity // _MAX_CACHED_SHARE or not key[0]:
            return
        self._entries[key] = (execution, size)
        self._used += size
        while self._used > self._capacity:
            self._used -= self._entries.popitem(last=False)[1][1]


class _Contents:
    """Digests of database files, computed again only when a file's size, inode or time changes."""

    def __init__(self) -> None:
        self._digests: dict[tuple[str, int, int, int], str] = {}

    def digest(self, path: str) -> str:
        """ "" for a file that cannot be read."""
        try:
            stat = os.stat(path)
            key = (path, stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if key not in self._digests:
                self._digests[key] = file_digest(path)
            return self._digests[key]
        except (OSError, ValueError):
            return ""


def file_digest(path: str) -> str:
    digest = blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def unsendable(sql: str, limits: Limits) -> Execution | None:
    """The verdict on SQL that need not reach SQLite; None for all others."""
    try:
        size = len(sql.encode())
    except UnicodeEncodeError:
        return Execution("error", error="the SQL holds lone surrogates, which no UTF-8 text can")
    if size > limits.max_sql_bytes:
        return Execution("refused", error=f"the SQL is {size} bytes long; at most {limits.max_sql_bytes} are run")
    return None


def decode(payload: bytes) -> Execution:
    """An Execution from the child's answer."""
    status, columns, chunks, tables, volatile, error, seconds = marshal.loads(payload)
    rows = tuple(row for chunk in chunks for row in marshal.loads(chunk))
    return Execution(status, rows, columns, tables, error, seconds, volatile)


def is_no_query(execution: Execution) -> bool:
    """Whether it was refused because it would do more than read, such as INSERT, ATTACH or PRAGMA."""
    return execution.status == "refused" and NOT_A_QUERY in execution.error


def executable(execution: Execution) -> bool:
    """Whether a prediction ran and read a base table: `SELECT 1` and comments are not executable in this sense."""
    return execution.status == "ok" and bool(execution.tables_read)
