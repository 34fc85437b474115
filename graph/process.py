"""A program in a process of its own, that may be killed at any moment: `graph.confined` is its other side.

It is started as a fresh interpreter, never forked, so that it may be the child of a process that holds threads, a GPU
or Ray.
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
from pathlib import Path
from time import monotonic
from typing import Any

START_TIMEOUT_S = 30.0
START_ATTEMPTS = 3


class Process:
    """One process and its pipes. RuntimeError when none starts, whoever ends them.

    ended: whether its pipe is closed. alive: until it is killed.
    """

    _fd: int
    _buffer: bytearray
    _poll: select.poll

    def __init__(self, program: Path, settings: dict[str, Any]) -> None:
        for _ in range(START_ATTEMPTS - 1):
            with contextlib.suppress(_EndedEarly):
                return self._start(program, settings)
        self._start(program, settings)

    def send(self, value: Any) -> None:
        """A dead process shows as the end of its answers, not here."""
        payload = memoryview(marshal.dumps(value, 2))
        with contextlib.suppress(BrokenPipeError):
            for part in (memoryview(struct.pack("<I", len(payload))), payload):
                while part:
                    part = part[self._process.stdin.write(part) or 0 :]  # type: ignore[union-attr]

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

    def post_mortem(self) -> int | None:
        """Kills what still runs. Its exit code, None if it had none yet: then nothing but this killed it."""
        if self.ended:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(START_TIMEOUT_S)
        code = self._process.poll()
        self.kill()
        return code

    def kill(self) -> None:
        self.alive = False
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]

    def _start(self, program: Path, settings: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            env={name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
            start_new_session=True,
            bufsize=0,
        )
        self.pid, self.alive, self.ended = self._process.pid, True, False
        self._fd, self._buffer = self._process.stdout.fileno(), bytearray()  # type: ignore[union-attr]
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN | select.POLLHUP)
        self.send(settings)
        if self.read(START_TIMEOUT_S) is None:
            self.kill()
            if self.ended:
                raise _EndedEarly(f"{program.name} ended with code {self._process.returncode} before it was ready")
            raise RuntimeError(f"{program.name} did not start within {START_TIMEOUT_S} s ({sys.executable} {program})")

    def _take(self) -> bytes | None:
        if len(self._buffer) < 4:
            return None
        end = 4 + struct.unpack_from("<I", self._buffer)[0]
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[4:end])
        del self._buffer[:end]
        return payload


class _EndedEarly(RuntimeError):
    """The process was over before it was ready."""


def timed_out(code: int | None) -> bool:
    """Whether a process with this exit code was still running, or was ended by its own alarm."""
    return code in (None, -signal.SIGALRM, -signal.SIGPROF)
