"""What a user did wrong, and how a command says so.

    ValueError
    ├── evaluation.errors.UserError     bad data, bad file, bad option      ┐
    ├── graph.schema.SchemaError        a database that cannot be described ├─ one screen on stderr, exit code 2
    └── cluster.errors.ClusterError     resources that are not there        ┘

An OSError (a file that may not be read, a full disk, a host that does not answer) is said in the same way. Any other
exception is a bug of ours and keeps its traceback. A UserError says what must hold, what was given, where, and what to
do.
"""

from __future__ import annotations

import errno
import functools
import os
import shlex
import sys
from collections.abc import Callable
from importlib import import_module
from typing import ParamSpec

P = ParamSpec("P")
USER_ERROR_EXIT = 2
INTERRUPTED_EXIT = 130
PIPE_EXIT = 141
_OTHER_USER_ERRORS = (("graph.schema", "SchemaError"), ("cluster.errors", "ClusterError"))
_DISK_FULL = (
    "The disk must have room for what a command writes: free some, or name another disk (run.dir=…, --out). Results "
    "and checkpoints that were there are whole, and the same line again goes on from them."
)
_MAX_LINES, _MAX_COLUMNS = 30, 400


class UserError(ValueError):
    """Something only the user can put right; its text is shown without a traceback."""


def exit_on_user_error(main: Callable[P, int]) -> Callable[P, int]:
    """Make a command's `main` print user errors to stderr and return 2; Ctrl-C returns 130."""

    @functools.wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return main(*args, **kwargs)
        except KeyboardInterrupt:
            print(f"interrupted; start again with: {shlex.join(sys.orig_argv)}", file=sys.stderr)
            return INTERRUPTED_EXIT
        except BrokenPipeError:  # the reader of our output has left, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return PIPE_EXIT
        except Exception as error:
            if not isinstance(error, (*_user_error_types(), OSError)):
                raise
            text = f"{error}\n{_DISK_FULL}" if is_disk_full(error) else _said(error)
            print(f"error: {one_screen(text)}", file=sys.stderr)
            return USER_ERROR_EXIT

    return wrapped


def _said(error: Exception) -> str:
    """An OSError of the system in its words, the file first: config.toml: Permission denied."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error) or type(error).__name__
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return ": ".join([" → ".join(names), error.strerror] if names else [error.strerror])


def is_disk_full(error: BaseException) -> bool:
    """No space left, a quota used up, or a disk that is read-only."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def one_screen(text: str) -> str:
    """At most 30 lines of 400 characters, saying what was cut."""
    lines = [line if len(line) <= _MAX_COLUMNS else line[:_MAX_COLUMNS] + " …" for line in text.splitlines()]
    if len(lines) > _MAX_LINES:
        lines = [*lines[: _MAX_LINES - 1], f"… and {len(lines) - _MAX_LINES + 1} more lines"]
    return "\n".join(lines)


def _user_error_types() -> tuple[type[Exception], ...]:
    """Looked up when an error happens, so that importing this module stays free of the other folders."""
    others = (getattr(import_module(module), name) for module, name in _OTHER_USER_ERRORS)
    return (UserError, *others)
