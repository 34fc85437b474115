"""Ctrl-C and SIGTERM end a run at any moment: at once, in one line that says what is kept and how to go on.

Nothing is unwound. An exception in the middle of an import, a callback or a thread's lock is lost or turned into
another as often as not, and whatever a run writes is whole or absent at every moment, since it may be killed at any.
So a thread of its own, which hears of the signal even while the main one computes, ends all child processes, says the
line and leaves.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from evaluation import console

SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
OVERWRITE = "run.overwrite=true"
_NOTHING = ("nothing was written", "start again with")
_note = _NOTHING


def keeps(what: str, again: str = "go on with") -> None:
    """What a run that is stopped now leaves behind, and what the same line does then, as the last line says it."""
    global _note
    _note = (what, again)


@contextmanager
def stoppable() -> Iterator[None]:
    """In the block SIGINT and SIGTERM end this process and its children, with exit status 128 + the signal's number."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    keeps(*_NOTHING)
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    before = {number: signal.signal(number, _noted) for number in SIGNALS}
    woken = signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(ours,), name="stop", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(theirs)


@contextmanager
def shielded() -> Iterator[None]:
    """Processes started in the block do not hear Ctrl-C on the terminal: whoever started them ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def same_line(arguments: Sequence[str]) -> str:
    """The command line as a shell takes it, without the word that would start a run anew.

    >>> same_line(["python", "-m", "rl.train", "model.path=my models/x", "run.overwrite=true"])
    "python -m rl.train 'model.path=my models/x'"
    """
    return shlex.join(word for word in arguments if word.replace(" ", "") != OVERWRITE)


def _noted(number: int, frame: Any) -> None:
    """The watching thread acts."""


def _watch(pipe: int) -> None:
    while heard := os.read(pipe, 1):
        if heard[0] in SIGNALS:
            _leave(signal.Signals(heard[0]))
    os.close(pipe)


def _leave(number: signal.Signals) -> None:
    (kept, again), words = _note, sys.orig_argv
    line = f"{SIGNALS[number]}: {kept}; {again}: {shlex.join(words) if _note == _NOTHING else same_line(words)}"
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # what dies with the children may complain, and so may whoever waits for them
        with suppress(OSError):
            os.dup2(nowhere, stream)
    _end_children()
    console.log_line(line)
    with suppress(OSError):
        over_the_echo = "\r" if os.isatty(terminal) else ""  # a terminal has just shown ^C
        os.write(terminal, f"{over_the_echo}{line}\n".encode())
    os._exit(128 + number)


def _end_children() -> None:
    """All processes below this one, those that they start meanwhile included."""
    for _ in range(5):
        children = psutil.Process().children(recursive=True)
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        if not psutil.wait_procs(children, timeout=1)[1] and not children:
            return
