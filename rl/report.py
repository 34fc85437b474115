"""What a run achieved, as numbers, pictures and examples.

    python -m rl.report runs/rl                        (re)write runs/rl/report/
    python -m rl.report --runs runs/a runs/b runs/c    means over seeds with 95 % intervals, as Markdown; a
                                                               table of its own for each setting
    python -m rl.report --control reward=runs/a shuffled=runs/b --out control.png

Accuracy is `ex_strict`: the answer's rows equal the gold's as a bag (in order where the question asks for one).
"greedy" is the most likely answer; "sampled" the mean over K samples at temperature 1. Intervals are Wilson's over
questions, the t-distribution's over seeds, and the normal ones of paired differences for gains.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluation.command import CommandLine, check_output, folder
from evaluation.console import time_rows
from evaluation.errors import UserError, exit_on_user_error
from evaluation.lineage import GIVEN, then, trained
from evaluation.metrics import Z_95

STAGES = ("base", "sft", "rl")
KEYS = {"ex_strict": "greedy", "ex_strict_sampled": "sampled"}
NAMES = {"base": "base", "sft": "SFT", "rl": "SFT + RL"}
"""Of the stages of a run that begins with SFT."""
DIFFER_AMONG_SEEDS = re.compile(
    r"(run|engine|checkpoint|alarm|evaluation)\.|init_adapter$|sft_metrics$|.*\.(workers|ranks)$"
)
"""Settings that say nothing of what is learned; how a run was evaluated is in its evaluations."""
EXAMPLES_SHOWN = 8
_LONGEST_SQL = 400
# 97.5 % quantiles of Student's t by degrees of freedom 1, 2, …
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)


@dataclass(frozen=True)
class RunRecord:
    """The files of a run directory that a report is made of; what a run does not have is empty."""

    path: Path
    config: dict[str, Any] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)  # a row per RL step
    sft: list[dict[str, Any]] = field(default_factory=list)  # rows with step and loss
    dev: list[dict[str, Any]] = field(default_factory=list)  # dev accuracy while training, on part of dev
    evaluations: dict[str, dict[str, Any]] = field(default_factory=dict)  # stage -> figures and per_question
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, str]:
        """What the stages are called: the policy that RL starts from need not come from SFT."""
        start = self.evaluations.get("sft", {}).get("trained") or trained(self.config.get("init_adapter", GIVEN))
        start = NAMES["sft"] if start == GIVEN and (self.sft or "init_adapter" not in self.config) else start
        return {**NAMES, "sft": start, "rl": then(start, "RL")}


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    about = (__doc__ or "").splitlines()[0]
    parser = CommandLine("rl.report", about)
    parser.add_argument("run", type=folder, nargs="?", help="run: write its report/")
    parser.add_argument("--runs", type=folder, nargs="+", metavar="RUN", help="runs of several seeds: their means")
    parser.add_argument("--control", nargs="+", metavar="NAME=RUN", help="runs to draw in one plot")
    parser.add_argument("--out", type=Path, default=Path("control.png"), help="file of the --control plot")
    args = parser.parse_args(argv)
    if not (args.run or args.runs or args.control):
        parser.error("give a run directory, --runs or --control")
    if args.control:
        check_output(args.out)
    if args.run:
        print(write_report(args.run))
    if args.runs:
        print(seeds_table(args.runs))
    if args.control:
        plot_control(dict(_named_run(text) for text in args.control), args.out)
        print(args.out)
    return 0


def write_report(run_dir: Path) -> Path:
    """Write run_dir/report/ (summary.json, report.md, PNGs) from what the run left behind; returns that directory.

    UserError when the directory holds nothing to report. Parts that a run lacks are left out.
    """
    run = read_run(run_dir)
    if not run.evaluations and not run.steps and not run.sft:
        raise UserError(f"{run_dir} must hold metrics.jsonl or evaluations/*.json of a run; train first")
    report = run_dir / "report"
    report.mkdir(exist_ok=True)
    pictures = _draw(run, report)
    _write(report / "summary.json", json.dumps(summarise(run), indent=2) + "\n")
    _write(report / "report.md", markdown(run, pictures))
    return report


def read_run(run_dir: Path) -> RunRecord:
    """Read a run directory. UserError when it is not there or a file is malformed, with the line."""
    if not run_dir.is_dir():
        raise UserError(f"the run directory {run_dir} does not exist")
    found = {stage: run_dir / "evaluations" / f"{stage}.json" for stage in STAGES}
    return RunRecord(
        path=run_dir,
        config=_read_json(run_dir / "config.json"),
        steps=_read_lines(run_dir / "metrics.jsonl", ("step", "reward")),
        sft=[row for row in _read_lines(run_dir / "sft_metrics.jsonl", ("step", "loss")) if "reward" not in row],
        dev=_read_lines(run_dir / "dev.jsonl", ("step", "ex_strict_sampled")),
        evaluations={stage: _read_json(path) for stage, path in found.items() if path.is_file()},
        seconds=_read_json(run_dir / "seconds.json"),
    )


def summarise(run: RunRecord) -> dict[str, Any]:
    """The figures of summary.json; shares are in 0..1, times in seconds.

    "gain" compares RL with SFT question by question; its interval is of the paired differences.
    """
    kept = ("ex_strict", "ex_strict_sampled", "ex_strict_ci", "ex_strict_sampled_ci", "n")
    summary: dict[str, Any] = {
        stage: {key: evaluation[key] for key in kept} | {"empty_both": empty_share(evaluation["per_question"])}
        for stage, evaluation in run.evaluations.items()
    }
    if {"sft", "rl"} <= set(run.evaluations):
        summary["gain"] = compare(run.evaluations["sft"], run.evaluations["rl"])
    if run.steps:
        summary["rl_steps"] = len(run.steps)
    return {**summary, "stages": run.names, "seconds": run.seconds}


def empty_share(rows: Sequence[Mapping[str, Any]]) -> float:
    """Of right greedy answers, the share where gold too returned no row: these say little about the policy."""
    right = [row.get("status") == "empty_both" for row in rows if row["correct"]]
    return statistics.fmean(right) if right else 0.0


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Paired comparison of two evaluations of the same questions: gains with 95 % intervals, McNemar's exact test."""
    pairs = _pairs(before, after)
    greedy = [float(new["correct"]) - float(old["correct"]) for old, new in pairs]
    sampled = [new["sampled_correct_rate"] - old["sampled_correct_rate"] for old, new in pairs]
    fixed, broke = greedy.count(1.0), greedy.count(-1.0)
    return {
        "ex_strict": statistics.fmean(greedy),
        "ex_strict_ci": _normal_interval(greedy),
        "ex_strict_sampled": statistics.fmean(sampled),
        "ex_strict_sampled_ci": _normal_interval(sampled),
        "fixed": fixed,
        "broke": broke,
        "mcnemar_p": mcnemar_p(fixed, broke),
    }


def mcnemar_p(fixed: int, broke: int) -> float:
    """Exact two-sided p: how often would a fair coin split fixed + broke changes at least this unevenly?

    >>> mcnemar_p(5, 0), mcnemar_p(3, 3)
    (0.0625, 1.0)
    """
    n = fixed + broke
    tail = sum(math.comb(n, k) for k in range(min(fixed, broke) + 1))
    return min(1.0, float(2 * tail / 2**n)) if n else 1.0


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the mean of a few independent runs (Student's t). (-inf, inf) for a single one.

    >>> [round(bound, 3) for bound in t_interval([0.1, 0.2, 0.3])]
    [-0.048, 0.448]
    """
    if len(values) < 2:
        return -math.inf, math.inf
    quantile = _T[len(values) - 2] if len(values) - 2 < len(_T) else Z_95 + 2.5 / (len(values) - 1)
    half = quantile * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.fmean(values) - half, statistics.fmean(values) + half


def seeds_table(run_dirs: Sequence[Path]) -> str:
    """Markdown: base, SFT, RL and the gain RL - SFT, means over the runs with 95 % t-intervals, greedy and sampled.

    Only runs that differ in nothing but their seed are averaged: others get a table of their own, under what is
    different. UserError when a run is not finished, or given twice.
    """
    if len({path.resolve() for path in run_dirs}) < len(run_dirs):
        raise UserError("--runs must name each run once: a run is no second seed of itself")
    runs = [read_run(path) for path in run_dirs]
    for run in runs:
        missing = [stage for stage in STAGES if stage not in run.evaluations]
        if missing:
            raise UserError(f"{run.path} must hold evaluations/{missing[0]}.json: let the run finish")
    alike: dict[str, list[RunRecord]] = {}
    for run in runs:
        alike.setdefault(json.dumps(_settings(run), sort_keys=True), []).append(run)
    if len(alike) == 1:
        return _means(runs)
    settings = [json.loads(key) for key in alike]
    tables = [
        f"{_different(one, settings)}\n\n{_means(group)}" for one, group in zip(settings, alike.values(), strict=True)
    ]
    return "\n\n".join(tables)


def _means(runs: Sequence[RunRecord]) -> str:
    seeds = f"mean of {len(runs)} seeds, 95 % t-intervals" if len(runs) > 1 else "one seed"
    lines = [f"| dev ex_strict, {seeds} | greedy | each | sampled | each |", "|---|---:|---|---:|---|"]
    for stage in STAGES:
        values = {key: [run.evaluations[stage][key] for run in runs] for key in KEYS}
        lines.append(_seeds_row(runs[0].names[stage], values, "{:.1f}", lowest=0.0))
    gains = {key: [run.evaluations["rl"][key] - run.evaluations["sft"][key] for run in runs] for key in KEYS}
    lines.append(_seeds_row("**gain of RL**", gains, "{:+.1f}", lowest=-1.0))
    return "\n".join(lines)


def _settings(run: RunRecord) -> dict[str, Any]:
    """What must be the same in runs that are averaged, by dotted key: settings, questions, and what RL started from."""
    rl, sft = run.evaluations["rl"], run.evaluations["sft"]
    asked = sorted((row["id"], row.get("db_id"), row.get("gold")) for row in rl.get("per_question", []))
    facts = {
        "dev questions": rl["n"],
        "samples": rl.get("samples"),
        "dev set": hashlib.sha256(repr(asked).encode()).hexdigest()[:12],
        "training data": rl.get("of", {}).get("training data"),
        "start": run.names["sft"],
        "recipe of the start": sft.get("recipe"),
    }
    return facts | {key: value for key, value in _leaves(run.config) if not DIFFER_AMONG_SEEDS.match(key)}


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _different(one: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    """The settings of one table that are not those of all."""
    keys = [key for key in one if len({json.dumps(other.get(key)) for other in others}) > 1]
    return ", ".join(f"{key} = {one[key]}" for key in keys)


def plot_control(runs: Mapping[str, Path], out: Path) -> None:
    """One plot of the correct rate per RL step of several runs, on train and on dev. UserError for a run without."""
    from rl.plots import plot_comparison

    train, dev = {}, {}
    for name, path in runs.items():
        run = read_run(path)
        if not run.steps:
            raise UserError(f"{path} must hold metrics.jsonl with RL steps")
        train[name] = [(row["step"], row["correct"]) for row in run.steps]
        dev[name] = _dev_points(run)
    plot_comparison(train, dev, out)


def markdown(run: RunRecord, pictures: Sequence[str]) -> str:
    """The report as text; `pictures` are the names of the PNGs beside it."""
    parts = [f"# {run.path.resolve().name}", _setting(run), _headline(run)]
    parts += [f"![{name.removesuffix('.png')}]({name})" for name in pictures if name == "dev_ex.png"]
    parts += [_gain_text(run), _statuses(run)]
    parts += [f"![{name.removesuffix('.png')}]({name})" for name in pictures if name != "dev_ex.png"]
    parts += [_examples(run, fixed=True), _examples(run, fixed=False), _times(run)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _draw(run: RunRecord, report: Path) -> list[str]:
    from rl import plots

    drawn = []
    if run.evaluations:
        samples = next(iter(run.evaluations.values())).get("samples", 8)
        plots.plot_dev(run.evaluations, samples, report / "dev_ex.png", run.names)
        drawn.append("dev_ex.png")
    if run.sft:
        plots.plot_loss([(row["step"], row["loss"]) for row in run.sft], report / "sft_loss.png")
        drawn.append("sft_loss.png")
    if run.steps:
        plots.plot_rl_curves(run.steps, report / "rl_curves.png")
        drawn.append("rl_curves.png")
    return drawn


def _setting(run: RunRecord) -> str:
    config = run.config
    said = {
        "model": config.get("model", {}).get("path"),
        "quantization": config.get("model", {}).get("quantization"),
        "benchmark": config.get("data", {}).get("benchmark"),
        "seed": config.get("run", {}).get("seed"),
        "RL steps": len(run.steps) or None,
    }
    return " · ".join(f"{key}: {value}" for key, value in said.items() if value is not None)


def _headline(run: RunRecord) -> str:
    if not run.evaluations:
        return ""
    n = next(iter(run.evaluations.values()))["n"]
    lines = [
        f"## Dev execution accuracy (`ex_strict`, {n} questions)",
        "",
        "| | greedy | 95 % interval | sampled at T = 1 | 95 % interval |",
        "|---|---:|---|---:|---|",
    ]
    for stage, found in run.evaluations.items():
        cells = [f"{100 * found[key]:.1f} % | {_range(found[f'{key}_ci'])}" for key in KEYS]
        lines.append(f"| {run.names[stage]} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "Wilson's intervals, over the questions."])


def _gain_text(run: RunRecord) -> str:
    if not {"sft", "rl"} <= set(run.evaluations):
        return ""
    gain = compare(run.evaluations["sft"], run.evaluations["rl"])
    said = [f"{word} {100 * gain[key]:+.1f} points ({_range(gain[f'{key}_ci'])})" for key, word in KEYS.items()]
    return (
        f"{run.names['rl']} against {run.names['sft']}, question by question: {', '.join(said)}. "
        f"RL fixed {gain['fixed']} greedy answers and broke "
        f"{gain['broke']} (McNemar's exact test: p = {gain['mcnemar_p']:.2g})."
    )


def _statuses(run: RunRecord) -> str:
    counts = {
        stage: Counter(row["status"] for row in found["per_question"] if "status" in row)
        for stage, found in run.evaluations.items()
    }
    names = [name for name, _ in sum(counts.values(), Counter[str]()).most_common()]
    if not names:
        return ""
    lines = ["## What became of the greedy answers", "", f"| | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    lines += [
        f"| {run.names[stage]} | {' | '.join(str(counted[name]) for name in names)} |"
        for stage, counted in counts.items()
    ]
    shares = [
        f"{run.names[stage]} {100 * empty_share(found['per_question']):.1f} %"
        for stage, found in run.evaluations.items()
    ]
    lines += ["", f"Of the right answers, where gold returns no row either (`empty_both`): {', '.join(shares)}."]
    return "\n".join(lines)


def _examples(run: RunRecord, fixed: bool) -> str:
    """Questions that RL answered right and the policy it started from wrong, or the other way round."""
    if not {"sft", "rl"} <= set(run.evaluations):
        return ""
    pairs = _pairs(run.evaluations["sft"], run.evaluations["rl"])
    changed = [(old, new) for old, new in pairs if bool(new["correct"]) == fixed and bool(old["correct"]) != fixed]
    title = f"## Questions that RL {'fixed' if fixed else 'broke'} ({len(changed)})"
    if not changed:
        return f"{title}\n\nNone."
    lines = [
        title,
        "",
        f"| database | question | gold | {run.names['sft']} | {run.names['rl']} |",
        "|---|---|---|---|---|",
    ]
    for old, new in _spread(changed):
        cells = [_cell(new["db_id"]), _cell(new["question"]), *map(_code, (new["gold"], old["sql"], new["sql"]))]
        lines.append(f"| {' | '.join(cells)} |")
    if len(changed) > EXAMPLES_SHOWN:
        lines += ["", f"{EXAMPLES_SHOWN} of {len(changed)}; all are in `evaluations/`."]
    return "\n".join(lines)


def _spread(changed: Sequence[Any]) -> list[Any]:
    """At most EXAMPLES_SHOWN, evenly over the list, so that one database does not fill the table."""
    count = min(EXAMPLES_SHOWN, len(changed))
    return [changed[i * len(changed) // count] for i in range(count)]


def _times(run: RunRecord) -> str:
    if not run.seconds:
        return ""
    lines = ["## Time", "", "| part | seconds |", "|---|---:|"]
    lines += [f"| {name} | {value} |" for name, value in time_rows(run.seconds).items()]
    return "\n".join(lines)


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    old = {row["id"]: row for row in before["per_question"]}
    if set(old) != {row["id"] for row in after["per_question"]}:
        raise UserError("two evaluations can only be compared on the same questions; evaluate both stages again")
    return [(old[row["id"]], row) for row in after["per_question"]]


def _dev_points(run: RunRecord) -> list[tuple[float, float]]:
    """Dev accuracy of samples by step: the full evaluations at both ends when there is no curve of its own."""
    if run.dev:
        return [(row["step"], row["ex_strict_sampled"]) for row in run.dev]
    ends = {"sft": 0, "rl": run.steps[-1]["step"]}
    return [(step, run.evaluations[s]["ex_strict_sampled"]) for s, step in ends.items() if s in run.evaluations]


def _seeds_row(name: str, values: Mapping[str, Sequence[float]], pattern: str, lowest: float) -> str:
    """lowest: of what is averaged; its highest value is 1, and no interval leaves these bounds."""
    cells = []
    for key in KEYS:
        low, high = t_interval(values[key])
        mean = pattern.format(100 * statistics.fmean(values[key]))
        interval = f" ({_range((max(lowest, low), min(1.0, high)))})" if math.isfinite(low) else ""
        cells.append(f"{mean}{interval} | {', '.join(pattern.format(100 * value) for value in values[key])}")
    return f"| {name} | {' | '.join(cells)} |"


def _normal_interval(values: Sequence[float]) -> list[float]:
    """95 % interval of a mean of paired differences, in -1..1."""
    mean = statistics.fmean(values)
    half = Z_95 * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return [max(-1.0, mean - half), min(1.0, mean + half)]


def _range(interval: Sequence[float]) -> str:
    return f"{100 * interval[0]:.1f} … {100 * interval[1]:.1f}"


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _code(sql: str) -> str:
    """SQL as inline code in a table cell: one line, pipes escaped, backticks inside allowed, cut when very long."""
    sql = _cell(sql)
    sql = sql if len(sql) <= _LONGEST_SQL else sql[:_LONGEST_SQL] + " …"
    return f"`` {sql} ``" if "`" in sql else f"`{sql}`" if sql else "(none)"


def _named_run(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise UserError(f"--control takes NAME=RUN, got {text!r}")
    return name, Path(path)


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} must be JSON: {error}") from None


def _read_lines(path: Path, needed: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a .jsonl file that hold the keys `needed`."""
    rows = []
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise UserError(f"{path}, line {number}: must be JSON: {error}") from None
    return [row for row in rows if all(key in row for key in needed)]


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


if __name__ == "__main__":
    raise SystemExit(main())
