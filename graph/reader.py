"""Reads what prompts need of a user's database, in a child process that a hostile or broken file may take with it.

One child serves the whole process and is started again after a file that killed it. Whatever the file, an answer or a
refusal in one line comes within DEADLINE_S of processor time.
"""

from __future__ import annotations

import atexit
import marshal
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from graph.database import DatabaseError, identity
from graph.process import Process, timed_out

CHILD = Path(__file__).with_name("reader_child.py")
DEADLINE_S = 1.5
AT_ONCE = 500  # schemas that are checked within one deadline
_SETTINGS = {
    "deadline_s": DEADLINE_S,
    "grace_s": 0.2,
    "wall_s": 12.0,
    "heap_bytes": 128 * 2**20,
    "memory_bytes": 320 * 2**20,
    "most_steps_compiled": 250_000,
    "most_tables": 1000,
    "most_columns": 16_000,
    "most_characters": 500_000,
    "longest_name": 1000,
    "longest_cell": 8_000_000,
    "steps": 40_000_000,
    "steps_per_column": 5_000_000,
    "characters": 20_000_000,
}
_lock = Lock()
_children: dict[int, Process] = {}  # by the process that started it: a forked one needs its own


def check_database(path: Path) -> None:
    """DatabaseError, one line with the path, unless the file can be read whole and its schema loads."""
    _ask("check", path, None, 1)


def read_tables(path: Path) -> list[tuple[Any, ...]]:
    """As `graph.reader_child.tables`. DatabaseError when the file cannot be read whole, or in time."""
    return [table for answer in _ask("tables", path, None, 1) for table in answer]


def declared_tables(statements: str) -> list[tuple[Any, ...]]:
    """As `read_tables`, of the tables that these CREATE TABLE statements declare."""
    return [table for answer in _ask("declared", Path("CREATE TABLE"), statements, 1) for table in answer]


def declared_faults(schemas: Sequence[str]) -> list[str]:
    """Of each, why its statements declare no table, "" where they do."""
    found = []
    for start in range(0, len(schemas), AT_ONCE):
        part = schemas[start : start + AT_ONCE]
        try:
            found += [str(why) for why in _ask("faults", Path("CREATE TABLE"), list(part), 1)[0]]
        except DatabaseError:  # one of them takes too long, and the others wait for it
            found += [_declared_fault(schema) for schema in part]
    return found


def _declared_fault(schema: str) -> str:
    try:
        return str(_ask("faults", Path("CREATE TABLE"), [schema], 1)[0][0])
    except DatabaseError as error:
        return str(error)


def read_cells(path: Path, ends: Sequence[tuple[str, str]], per_column: int) -> list[list[str]]:
    """Up to `per_column` distinct cells of each (table, column), as text; of the first columns only, or of none, when
    the file takes too long or cannot be read."""
    return _ask("cells", path, (list(ends), per_column), len(ends), strict=False)


def _ask(kind: str, path: Path, argument: Any, answers: int, strict: bool = True) -> list[Any]:
    """The child's answers; where it is not strict, those that came before something went wrong."""
    found: list[Any] = []
    request = (kind, os.path.abspath(path), argument)
    try:
        if kind not in ("declared", "faults"):
            identity(path)
        with _lock:
            try:
                _talk(request, answers, found)
            except ChildProcessError:  # ended from outside, perhaps long ago
                found.clear()
                _talk(request, answers, found)
    except (DatabaseError, ChildProcessError) as error:
        if strict:
            raise DatabaseError(f"{path} must be a SQLite database that can be read whole: {error}") from None
    return found


def _talk(request: tuple[str, str, Any], answers: int, found: list[Any]) -> None:
    """Fills `found`. ChildProcessError when the child dies of anything but its deadline."""
    child = _child()
    child.send(request)
    while len(found) < answers:
        payload = child.read(_SETTINGS["wall_s"] + 1)
        if payload is None:
            code = child.post_mortem()
            if timed_out(code):
                raise DatabaseError("reading it takes too long")
            raise ChildProcessError(f"the process that read it ended with code {code}")
        value, error = marshal.loads(payload)
        if error:
            raise DatabaseError(error)
        found.append(value)


def _child() -> Process:
    child = _children.get(os.getpid())
    if child is None or not child.alive:
        child = _children[os.getpid()] = Process(CHILD, _SETTINGS)
    return child


@atexit.register
def _close() -> None:
    if child := _children.pop(os.getpid(), None):
        child.kill()
