"""The child's side of `graph.process`: frames on stdin and stdout, and less of everything for the process.

A frame is a length (4 bytes, little endian) and a marshalled value. The first one from the parent holds the settings,
answered by "ready". Light parts of the standard library only: the child starts in milliseconds, without site-packages.
"""

from __future__ import annotations

import gc
import marshal
import os
import resource
import signal
import sqlite3
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

Settings = dict[str, Any]


def serve(work: Callable[[Any, Settings, Callable[[Any], None]], None]) -> None:
    """Calls work(request, settings, answer) for each request, until the parent is gone."""
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    settings = read_frame(stdin)
    restrict(settings["heap_bytes"], settings["memory_bytes"], settings.get("file_bytes", 0))
    try:
        write_frame(stdout, "ready")
        while (request := read_frame(stdin)) is not None:
            work(request, settings, lambda value: write_frame(stdout, value))
            end_after(0, 0)
            gc.collect()
    except BrokenPipeError:  # the parent is gone
        os._exit(0)


def restrict(heap_bytes: int, memory_bytes: int, file_bytes: int = 0) -> None:
    """No more memory, file or core than reading needs; the heap limit holds for every connection.

    memory_bytes: address space beyond what the interpreter has taken by now. file_bytes: of one file that is written.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    gc.disable()  # rows are plain tuples; cycles are collected after each request
    gc.freeze()  # what is there already stays
    for name, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, 32),
        (resource.RLIMIT_AS, address_space() + memory_bytes),
    ):
        resource.setrlimit(name, (value, value))
    connection = sqlite3.connect(":memory:")
    connection.execute(f"PRAGMA hard_heap_limit={heap_bytes}")
    connection.close()


def address_space() -> int:
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGESIZE")
    except OSError:  # not Linux
        return 64 * 2**20


def end_after(processor_s: float, wall_s: float) -> None:
    """The process ends when it has used so much of the processor, or of the time; 0 takes the alarm back."""
    signal.setitimer(signal.ITIMER_PROF, processor_s)
    signal.setitimer(signal.ITIMER_REAL, wall_s)


def read_frame(stream: BinaryIO) -> Any:
    """The next value, or None when the parent is gone."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    return marshal.loads(stream.read(struct.unpack("<I", head)[0]))


def write_frame(stream: BinaryIO, value: Any) -> None:
    payload = marshal.dumps(value, 2)
    stream.write(struct.pack("<I", len(payload)))
    stream.write(payload)
    stream.flush()
