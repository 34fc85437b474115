"""Whether a long run's memory stays flat: the resident memory of every process of it, and Ray's object store, by step.

python -m tests.bench.memory [--steps 500] [--out DIR] [key.sub=value …]

A warm-up and a run of rl/configs/tiny.toml with small steps. After each step the driver, the actors, their children and
Ray's daemons are measured from outside, whatever they are at. Growth is the least of the last fifty steps over that of
steps 50 to 99, minus one: what a step takes for a while is gone in some of them, and what leaks is not. A process that
starts after that is reported, not compared. DIR gets memory.png and memory.json, with every value.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import psutil

ROOT = Path(__file__).resolve().parents[2]
SETTLED, WINDOW = 50, 50  # steps
MIB = 2**20
ACTORS = "driver", "learner", "engine", "reward"
SMALL = (
    "rollout.questions=8", "rollout.samples=4", "evaluation.limit=8", "evaluation.samples=2", "evaluation.base=false",
    "checkpoint.every=10", "learner.warmup_steps=3", "learner.learning_rate=1e-4", "engine.kv_cache_gib=0.1",
)  # fmt: skip
Sizes = dict[str, dict[int, float]]
"""MiB by process and step."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.memory", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--out", type=Path, help="where runs and picture go; default: a new temporary directory")
    parser.add_argument("settings", nargs="*", metavar="key.sub=value")
    options = parser.parse_args(argv)
    if options.steps < SETTLED + 2 * WINDOW:
        parser.error(f"--steps must be at least {SETTLED + 2 * WINDOW}, got {options.steps}")
    out = (options.out or Path(tempfile.mkdtemp(prefix="rollsql-memory-"))).resolve()
    sizes = measure(out, options.steps, [f"steps={options.steps}", *SMALL, *options.settings])
    last = options.steps - 1
    growths = {name: growth(by_step, last) for name, by_step in sizes.items() if is_lasting(by_step, last)}
    for name, by_step in sorted(sizes.items()):
        told = f"{growths[name]:+.1%}" if name in growths else f"steps {min(by_step)} to {max(by_step)} only"
        print(f"{name:40s} {by_step[max(by_step)]:8.1f} MiB  {told}")
    rows = [json.loads(line) for line in (out / "run" / "metrics.jsonl").read_text().splitlines()]
    store = [row["object_store_mib"] for row in rows]
    draw(sizes, out / "memory.png")
    (out / "memory.json").write_text(json.dumps(sizes))
    result = {
        "steps": options.steps,
        "processes": len(growths),
        "growth_max": round(max(growths.values()), 4),
        "grows_most": max(growths, key=lambda name: growths[name]),
        "growth_of_actors": round(max(growths[name] for name in growths if name.startswith(ACTORS)), 4),
        "object_store_mib": {"median": round(statistics.median(store), 2), "max": round(max(store), 2)},
        "minutes": round(sum(row["seconds"]["step"] for row in rows) / 60, 1),
    }
    print(json.dumps(result))
    return 0


def measure(out: Path, last: int, settings: Sequence[str]) -> Sizes:
    """Runs it; MiB by process and finished step, but for the last step, when all of it ends."""
    common = ["--config", "sft/configs/tiny.toml", f"run.dir={out}", "run.name=warm"]
    subprocess.run([sys.executable, "-m", "sft.train", *common], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    line = [sys.executable, "-m", "rl.train", "--config", "rl/configs/tiny.toml", f"run.dir={out}", "run.name=run"]
    line += [f"init_adapter={out}/warm/adapter", *settings]
    sizes: Sizes = {}
    with (out / "run.log").open("w") as log:
        driver = psutil.Popen(line, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        names: dict[int, str] = {driver.pid: "driver"}
        while driver.poll() is None:
            if (step := steps_done(out / "run" / "metrics.jsonl")) and step < last:
                for process in (driver, *driver.children(recursive=True)):
                    _note(sizes, names, process, step)
            time.sleep(0.2)
    if driver.returncode:
        raise SystemExit(f"the run failed: {(out / 'run.log').read_text()[-2000:]}")
    return sizes


def _note(sizes: Sizes, names: dict[int, str], process: psutil.Process, step: int) -> None:
    try:
        if process.pid not in names:
            names[process.pid] = f"{title(process.cmdline())} ({process.pid})"
        resident = process.memory_info().rss / MIB
    except psutil.Error:  # ended meanwhile
        return
    sizes.setdefault(names[process.pid], {})[step] = resident


def title(command: Sequence[str]) -> str:
    """
    >>> title(["ray::learner.add"]), title(["/x/python", "-I", "-S", "/y/sandbox_child.py"])
    ('learner', 'sandbox_child.py')
    """
    text = " ".join(command).strip()
    if actor := re.match(r"ray::([\w-]+)", text):
        return actor[1]
    scripts = [Path(word).name for word in command if "/" in word and not word.startswith("-")]
    return next((name for name in scripts if not name.startswith("python")), text[:40])


def steps_done(metrics: Path) -> int:
    return metrics.read_text().count("\n") if metrics.exists() else 0


def is_lasting(by_step: dict[int, float], last: int) -> bool:
    """There from before the first window until the end."""
    return min(by_step) <= SETTLED + WINDOW // 2 and max(by_step) >= last - WINDOW // 2


def growth(by_step: dict[int, float], last: int) -> float:
    """Share by which it grew from the first window to the last."""
    early = min(size for step, size in by_step.items() if SETTLED <= step < SETTLED + WINDOW)
    late = min(size for step, size in by_step.items() if step > last - WINDOW)
    return late / early - 1


def draw(sizes: Sizes, target: Path) -> None:
    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    largest = sorted(sizes, key=lambda name: -max(sizes[name].values()))[:10]
    for name in largest:
        axes.plot(list(sizes[name]), list(sizes[name].values()), label=name)
    axes.set(xlabel="step", ylabel="resident memory, MiB", ylim=(0, None), title="The ten largest processes")
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.savefig(target, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    raise SystemExit(main())
