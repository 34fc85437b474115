"""The stages of an ablation as subprocesses: a few at once, a crash ends its own chain only, Ctrl-C ends them all.

A finished stage leaves <stage>.json with its seconds in the folder of its seed; its output is in <stage>.log there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import psutil

POLL_S = 0.2
GRACE_S = 30.0  # to put actors and half-written files away
KILLED_S = 5.0  # until the killed are gone
LONGEST_REASON = 300


@dataclass(frozen=True)
class Stage:
    """One command of one variant and seed; `kind` is sft, rl, or score (evaluation of the SFT adapter alone)."""

    variant: str
    seed: int
    kind: str
    folder: Path
    command: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"{self.variant} · seed {self.seed} · {self.kind}"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.kind}.log"

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it is not finished."""
        mark = self.folder / f"{self.kind}.json"
        return float(json.loads(mark.read_text())["seconds"]) if mark.exists() else None

    def finish(self, seconds: float) -> None:
        mark = self.folder / f"{self.kind}.json"
        partial = mark.with_suffix(".partial")
        partial.write_text(json.dumps({"seconds": round(seconds, 2)}) + "\n")
        os.replace(partial, mark)


Chain = tuple[Stage, ...]  # one after the other
Say = Callable[[str], None]


@dataclass
class Running:
    """A stage in a process of its own, out of reach of the terminal's Ctrl-C: that is passed on once, by us."""

    stage: Stage
    rest: Chain
    environment: Mapping[str, str]
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.stage.folder.mkdir(parents=True, exist_ok=True)
        with self.stage.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.stage.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began


def run_chains(chains: Sequence[Chain], jobs: int, environment: Mapping[str, str], say: Say) -> dict[Stage, str]:
    """Runs what is not finished, `jobs` at a time, in order. Returns why stages failed; the rest of their chain is
    left out. On KeyboardInterrupt the processes are ended first."""
    waiting = [left for chain in chains if (left := tuple(stage for stage in chain if stage.seconds is None))]
    running: list[Running] = []
    failures: dict[Stage, str] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_begin(waiting.pop(0), environment, say))
            for one in [one for one in running if one.process.poll() is not None]:
                running.remove(one)
                reason = _end(one)
                if reason:
                    failures[one.stage] = reason
                elif one.rest:
                    waiting.insert(0, one.rest)
                places = [(other.stage, other.elapsed, other.rest) for other in running]
                say(_end_line(one, reason, time_left(waiting, places, _known_seconds(chains), jobs)))
            time.sleep(POLL_S)
    finally:
        stop([one.process for one in running])
    return failures


def _begin(chain: Chain, environment: Mapping[str, str], say: Say) -> Running:
    say(f"start  {chain[0].title}  (log: {chain[0].log})")
    return Running(chain[0], chain[1:], environment)


def _end(one: Running) -> str:
    """Marks the stage as finished, or says why it failed."""
    if one.process.returncode == 0:
        one.stage.finish(one.elapsed)
        return ""
    return f"exit status {one.process.returncode}: {last_line(one.stage.log)}"


def _end_line(one: Running, reason: str, left: float | None) -> str:
    what = f"failed {one.stage.title}: {reason}" if reason else f"done   {one.stage.title}"
    then = "time left not known yet" if left is None else f"about {clock(left)} left" if left else "nothing left"
    return f"{what}  {clock(one.elapsed)}, {then}"


def last_line(log: Path) -> str:
    """The last line that says something: of a traceback, the exception."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:LONGEST_REASON] if lines else "its log is empty"


def time_left(
    waiting: Sequence[Chain],
    running: Sequence[tuple[Stage, float, Chain]],
    known: Mapping[str, float],
    jobs: int,
) -> float | None:
    """Seconds until all is done, from the mean seconds of each kind of stage; None while a kind is not known.

    running: (stage, seconds so far, the stages after it).
    """
    kinds = [stage.kind for chain in waiting for stage in chain] + [s.kind for _, _, rest in running for s in rest]
    if not {*kinds, *(stage.kind for stage, _, _ in running)} <= set(known):
        return None
    rest = sum(max(0.0, known[stage.kind] - elapsed) for stage, elapsed, _ in running)
    return (sum(known[kind] for kind in kinds) + rest) / jobs


def _known_seconds(chains: Sequence[Chain]) -> dict[str, float]:
    done = [(stage.kind, seconds) for chain in chains for stage in chain if (seconds := stage.seconds) is not None]
    return {kind: fmean(s for k, s in done if k == kind) for kind, _ in done}


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ctrl-C for each, so that the commands put their actors away (Ray dies of SIGTERM at once, its daemons later);
    what is left after GRACE_S, or at a second Ctrl-C, is killed with all its children."""
    trees: list[psutil.Process] = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            trees += [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        process.send_signal(signal.SIGINT)
    with suppress(KeyboardInterrupt):
        psutil.wait_procs(trees, timeout=GRACE_S)
    for member in trees:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(trees, timeout=KILLED_S)
    for process in processes:
        process.wait()


def clock(seconds: float) -> str:
    """
    >>> clock(75.2), clock(4000)
    ('1:15', '1:06:40')
    """
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02}" if hours else f"{minutes}:{whole:02}"
