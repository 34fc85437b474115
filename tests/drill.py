"""Kills parts of a running job at random moments and demands the very adapter of a run that was left alone.

python -m tests.drill --config rl/configs/tiny.toml [--seed N] [--drills 20] [--kinds engine …] [--work DIR] [k=v …]

One kind of loss per drill, in turns: a reward child, a reward actor, the engine, a learner rank, the driver (started
again by the same line; once more with one or two batches sampled ahead), a Ray node of three, a checkpoint file cut or
flipped after the driver was killed. Each drill must finish, with a bit-identical adapter, all steps in its metrics
once, no process left behind, and no step longer than --bound-s. The warm-up and the undisturbed runs are made once in
--work and kept. The last line is one JSON object; the exit code is 1 if a drill failed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from tests.cluster.head import free_port

ROOT = Path(__file__).resolve().parent.parent
SMALL = (
    "steps=4", "rollout.questions=16", "rollout.samples=4", "evaluation.limit=8", "evaluation.samples=2",
    "evaluation.base=false", "checkpoint.every=1", "checkpoint.keep=3", "engine.kv_cache_gib=0.1",
)  # fmt: skip
LEFT_ALONE_S = 150.0  # Ray notices the loss of its driver in its own time
RUN_S = 900.0
START_ATTEMPTS = 3


@dataclass
class Job:
    """A driver at work. log: its output; names: what its processes are called, in `ps`."""

    process: subprocess.Popen[bytes]
    directory: Path
    log: Path
    seen: set[psutil.Process] = field(default_factory=set)

    def children(self) -> list[psutil.Process]:
        try:
            found = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            found = []
        self.seen |= set(found)
        return found

    def named(self, title: str) -> list[psutil.Process]:
        """Live processes of this job whose command line holds `title`."""
        return [one for one in self.candidates() if title in " ".join(_command_line(one))]

    def candidates(self) -> list[psutil.Process]:
        return self.children()


class ClusterJob(Job):
    """A driver that joined a cluster: its actors are not its children."""

    nodes: Sequence[psutil.Process] = ()

    def candidates(self) -> list[psutil.Process]:
        return [child for node in self.nodes if node.is_running() for child in node.children(recursive=True)]


@dataclass(frozen=True)
class Setting:
    """Where the drills work and what they run. alone: the name of the undisturbed run with these settings."""

    config: Path
    work: Path
    settings: tuple[str, ...]
    bound_s: float
    alone: str = "undisturbed"

    def line(self, name: str) -> list[str]:
        adapter = f"init_adapter={self.work}/warm/adapter"
        names = f"run.dir={self.work}", f"run.name={name}"
        return [sys.executable, "-m", "rl.train", "--config", str(self.config), *names, adapter, *self.settings]

    def start(self, name: str, env: dict[str, str] | None = None, kind: type[Job] = Job) -> Job:
        log = self.work / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                self.line(name), cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=os.environ | (env or {})
            )
        return kind(process, self.work / name, log)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, required=True, help="of the RL run, e.g. rl/configs/tiny.toml")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--drills", type=int, default=20)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--work", type=Path, help="where runs go and stay; default: a new temporary directory")
    parser.add_argument("--bound-s", type=float, default=300.0, help="longest step that is not called a hang")
    parser.add_argument("settings", nargs="*", metavar="key.sub=value")
    args = parser.parse_args(argv)
    work = args.work or Path(tempfile.mkdtemp(prefix="rollsql-drill-"))
    setting = Setting(args.config, work.resolve(), (*SMALL, *args.settings), args.bound_s)
    rows = [_drill(setting, args.kinds[n % len(args.kinds)], args.seed, n) for n in range(args.drills)]
    failed = [row for row in rows if row["trouble"]]
    print(json.dumps({"drills": len(rows), "passed": len(rows) - len(failed), "seed": args.seed, "rows": rows}))
    return 1 if failed else 0


def _undisturbed(setting: Setting) -> bytes:
    """The adapter of a run that nobody touches; made once."""
    if not (setting.work / "warm" / "adapter").is_dir():
        line = [sys.executable, "-m", "sft.train", "--config", "sft/configs/tiny.toml"]
        subprocess.run([*line, f"run.dir={setting.work}", "run.name=warm"], cwd=ROOT, check=True)
    if not (setting.work / setting.alone / "adapter").is_dir():
        job = setting.start(setting.alone)
        assert job.process.wait(RUN_S) == 0, job.log.read_text()[-3000:]
    return _adapter(setting.work / setting.alone)


def _drill(setting: Setting, kind: str, seed: int, number: int) -> dict[str, Any]:
    if kind in STALENESS:
        settings = (*setting.settings, f"rollout.staleness={STALENESS[kind]}")
        setting = replace(setting, settings=settings, alone=f"undisturbed-{kind}")
    expected = _undisturbed(setting)
    rng = random.Random(f"{seed}/{number}/{kind}")
    name, began = f"drill-{seed}-{number}-{kind}", time.monotonic()
    shutil.rmtree(setting.work / name, ignore_errors=True)  # of an earlier invocation: it would be resumed
    try:
        what, job = KINDS[kind](setting, name, rng)
        trouble = _trouble(setting, job, expected)
    except (AssertionError, subprocess.TimeoutExpired) as error:
        what, trouble = kind, [str(error)[-2000:]]
    row = {"kind": kind, "what": what, "seconds": round(time.monotonic() - began), "trouble": trouble}
    print(f"drill {number + 1}: {row}", flush=True)
    return row


def _trouble(setting: Setting, job: Job, expected: bytes) -> list[str]:
    """What is not as it must be, after the job has finished."""
    found = []
    rows = _metrics(job.directory)
    if [row["step"] for row in rows] != list(range(1, len(_metrics(setting.work / setting.alone)) + 1)):
        found.append(f"steps {[row['step'] for row in rows]}")
    if _adapter(job.directory) != expected:
        found.append("another adapter than the undisturbed run's")
    if (longest := max(row["seconds"]["step"] for row in rows)) > setting.bound_s:
        found.append(f"a step took {longest:.0f} s")
    _, alive = psutil.wait_procs(list(job.seen), timeout=LEFT_ALONE_S)
    if alive:
        found.append(f"left behind: {[' '.join(_command_line(one))[:80] for one in alive]}")
    return found


def _kill_one(title: str) -> Callable[[Setting, str, random.Random], tuple[str, Job]]:
    """A kind that kills one process with `title` in its command line."""

    def run(setting: Setting, name: str, rng: random.Random) -> tuple[str, Job]:
        job = setting.start(name)
        step = _wait_for_moment(job, rng)
        victim = _victim(job, title, rng)
        victim.kill()
        _finish(job)
        return f"{title} killed after step {step}", job

    return run


def _kill_driver(setting: Setting, name: str, rng: random.Random) -> tuple[str, Job]:
    job = setting.start(name)
    step = _wait_for_moment(job, rng, least=1 if "rollout.staleness" in " ".join(setting.settings) else 0)
    job.children()
    job.process.kill()
    job.process.wait()
    _, alive = psutil.wait_procs(list(job.seen), timeout=LEFT_ALONE_S)
    assert not alive, f"left behind after the driver was killed: {[_command_line(one)[:2] for one in alive]}"
    again = setting.start(name)
    again.seen |= job.seen
    _finish(again)
    return f"driver killed after step {step}", again


def _spoil_checkpoint(setting: Setting, name: str, rng: random.Random) -> tuple[str, Job]:
    job = setting.start(name)
    step = _wait_for_moment(job, rng, least=2)
    job.children()
    job.process.kill()
    job.process.wait()
    newest = max((job.directory / "checkpoints").glob("step_*"))
    victim = rng.choice(sorted(path for path in newest.iterdir() if path.is_file()))
    content = victim.read_bytes()
    place = rng.randrange(len(content))
    cut = rng.random() < 0.5
    victim.write_bytes(content[:place] if cut else content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    psutil.wait_procs(list(job.seen), timeout=LEFT_ALONE_S)
    again = setting.start(name)
    _finish(again)
    told = f"{newest.name}" in again.log.read_text()
    assert told, f"the log must name the damaged checkpoint {newest.name}"
    return f"{newest.name}/{victim.name} {'cut' if cut else 'flipped'} at {place}, driver killed after {step}", again


def _kill_node(setting: Setting, name: str, rng: random.Random) -> tuple[str, Job]:
    """Three raylets on this machine; one that runs an actor, but not the head, is ended with all that it runs."""
    # A run of three actors does not fit on one node, and on any two.
    with cluster_of(3, setting.work / f"{name}-ray") as (env, nodes):
        job = setting.start(name, env, ClusterJob)
        assert isinstance(job, ClusterJob)
        job.nodes = nodes
        step = _wait_for_moment(job, rng, least=1)
        held = {node: _actors(node) for node in nodes[1:]}
        victim = rng.choice([node for node in nodes[1:] if held[node]])
        for one in [*victim.children(recursive=True), victim]:
            one.kill()
        _finish(job)
        return f"node with {', '.join(held[victim])} killed after step {step}", job


def _actors(node: psutil.Process) -> list[str]:
    """Our actors on a node, by the titles of their processes."""
    titles = (" ".join(_command_line(one)).strip() for one in node.children(recursive=True))
    return sorted(
        t.removeprefix("ray::") for t in titles if t.startswith(("ray::learner", "ray::engine", "ray::reward"))
    )


@contextmanager
def cluster_of(nodes: int, directory: Path) -> Iterator[tuple[dict[str, str], list[psutil.Process]]]:
    """(environment of a driver, raylets of the nodes, the head's first), ended at the end. Each node has two slots."""
    port, token = free_port(), "0123456789abcdef" * 4
    env = {"RAY_ADDRESS": f"127.0.0.1:{port}", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    short = tempfile.mkdtemp(prefix="drill-")  # a socket's path may have 107 bytes
    common = ["--num-cpus=2", "--object-store-memory=134217728", "--node-ip-address=127.0.0.1", "--block"]
    ray = str(Path(sys.executable).with_name("ray"))
    lines = (
        [ray, "start", "--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={short}", *common],
        *[[ray, "start", f"--address=127.0.0.1:{port}", *common]] * (nodes - 1),
    )
    settings = os.environ | env | {"RAY_process_group_cleanup_enabled": "true"}
    for name in ("RAY_ADDRESS", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"):  # the second: set where `cluster` was imported
        settings.pop(name, None)
    started: list[psutil.Process] = []
    directory.mkdir(parents=True, exist_ok=True)
    try:
        for number, line in enumerate(lines):
            _start_node(line, directory / f"node-{number}.log", settings, started)
        yield env, [raylet for one in started if (raylet := _raylet(one))]
    finally:
        family = [one for top in started if top.is_running() for one in (*top.children(recursive=True), top)]
        for one in family:
            if one.is_running():
                one.kill()


def _start_node(line: Sequence[str], log: Path, environment: dict[str, str], started: list[psutil.Process]) -> None:
    """Returns when the node is part of the cluster. On a busy machine Ray gives up early: then once more."""
    for _ in range(START_ATTEMPTS):
        with log.open("wb") as output:
            process = psutil.Popen(line, stdout=output, stderr=subprocess.STDOUT, env=environment)
        started.append(process)
        deadline = time.monotonic() + RUN_S
        while process.poll() is None and time.monotonic() < deadline:
            if "block forever" in log.read_text():
                return
            time.sleep(0.1)
    raise AssertionError(f"{log} did not start: {log.read_text()[-2000:]}")


STALENESS = {"staleness-1": 1, "staleness-2": 2}
KINDS: dict[str, Callable[[Setting, str, random.Random], tuple[str, Job]]] = {
    "reward-child": _kill_one("sandbox_child.py"),
    "reward-actor": _kill_one("ray::reward"),
    "engine": _kill_one("ray::engine"),
    "learner": _kill_one("ray::learner"),
    "driver": _kill_driver,
    "node": _kill_node,
    "checkpoint": _spoil_checkpoint,
    **dict.fromkeys(STALENESS, _kill_driver),
}


def _wait_for_moment(job: Job, rng: random.Random, least: int = 0) -> int:
    """Waits for a random step but the last, and a random while more; returns the step. 0 is the start."""
    step = rng.randint(least, 3)
    _wait_for(
        lambda: len(_metrics(job.directory)) >= step or job.process.poll() is not None,
        RUN_S,
        f"step {step} of {job.log}",
    )
    time.sleep(rng.uniform(0.0, 2.0 if step else 15.0))
    assert job.process.poll() is None, f"the run ended early: {job.log.read_text()[-2000:]}"
    return step


def _victim(job: Job, title: str, rng: random.Random) -> psutil.Process:
    _wait_for(lambda: job.named(title), 60, f"a process named {title}")
    return rng.choice(job.named(title))


def _finish(job: Job) -> None:
    """Waits for the end, and meanwhile remembers the processes."""
    deadline = time.monotonic() + RUN_S
    while job.process.poll() is None:
        assert time.monotonic() < deadline, f"not finished in {RUN_S:.0f} s: {job.log.read_text()[-2000:]}"
        job.children()
        time.sleep(0.5)
    assert job.process.returncode == 0, job.log.read_text()[-3000:]


def _wait_for(condition: Callable[[], Any], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.05)


def _raylet(top: psutil.Process) -> psutil.Process | None:
    return next((one for one in top.children(recursive=True) if "raylet/raylet" in " ".join(_command_line(one))), None)


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def _metrics(run: Path) -> list[dict[str, Any]]:
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def _adapter(run: Path) -> bytes:
    return (run / "adapter" / "adapter_model.safetensors").read_bytes()


if __name__ == "__main__":
    raise SystemExit(main())
