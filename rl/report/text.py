"""The report as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from evaluation.console import time_rows
from rl.report.figures import compare, empty_share, pairs
from rl.report.record import KEYS, RunRecord

EXAMPLES_SHOWN = 8
_LONGEST_SQL = 400


def markdown(run: RunRecord, pictures: Sequence[str]) -> str:
    """The report as text; `pictures` are the names of the PNGs beside it."""
    parts = [f"# {run.path.resolve().name}", setting(run), _headline(run)]
    parts += [f"![{name.removesuffix('.png')}]({name})" for name in pictures if name == "dev_ex.png"]
    parts += [gain_text(run), _statuses(run)]
    parts += [f"![{name.removesuffix('.png')}]({name})" for name in pictures if name != "dev_ex.png"]
    parts += [_examples(run, fixed=True), _examples(run, fixed=False), _times(run)]
    return "\n\n".join(part for part in parts if part) + "\n"


def setting(run: RunRecord) -> str:
    """What was trained, in a line."""
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
        cells = [f"{100 * found[key]:.1f} % | {percent_range(found[f'{key}_ci'])}" for key in KEYS]
        lines.append(f"| {run.names[stage]} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "Wilson's intervals, over the questions."])


def gain_text(run: RunRecord) -> str:
    """What RL changed, in words; "" where it cannot be told."""
    if not {"sft", "rl"} <= set(run.evaluations):
        return ""
    gain = compare(run.evaluations["sft"], run.evaluations["rl"])
    said = [f"{word} {100 * gain[key]:+.1f} points ({percent_range(gain[f'{key}_ci'])})" for key, word in KEYS.items()]
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
    changes = pairs(run.evaluations["sft"], run.evaluations["rl"])
    changed = [(old, new) for old, new in changes if bool(new["correct"]) == fixed and bool(old["correct"]) != fixed]
    title = f"## Questions that RL {'fixed' if fixed else 'broke'} ({len(changed)})"
    if not changed:
        return f"{title}\n\nNone."
    lines = [
        title,
        "",
        f"| database | question | gold | {run.names['sft']} | {run.names['rl']} |",
        "|---|---|---|---|---|",
    ]
    for old, new in spread(changed):
        cells = [_cell(new["db_id"]), _cell(new["question"]), *map(_code, (new["gold"], old["sql"], new["sql"]))]
        lines.append(f"| {' | '.join(cells)} |")
    if len(changed) > EXAMPLES_SHOWN:
        lines += ["", f"{EXAMPLES_SHOWN} of {len(changed)}; all are in `evaluations/`."]
    return "\n".join(lines)


def spread(changed: Sequence[Any]) -> list[Any]:
    """At most EXAMPLES_SHOWN, evenly over the list, so that one database does not fill the table."""
    count = min(EXAMPLES_SHOWN, len(changed))
    return [changed[i * len(changed) // count] for i in range(count)]


def _times(run: RunRecord) -> str:
    if not run.seconds:
        return ""
    lines = ["## Time", "", "| part | seconds |", "|---|---:|"]
    lines += [f"| {name} | {value} |" for name, value in time_rows(run.seconds).items()]
    return "\n".join(lines)


def percent_range(interval: Sequence[float]) -> str:
    """
    >>> percent_range((0.5, 0.625))
    '50.0 … 62.5'
    """
    return f"{100 * interval[0]:.1f} … {100 * interval[1]:.1f}"


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _code(sql: str) -> str:
    """SQL as inline code in a table cell: one line, pipes escaped, backticks inside allowed, cut when very long."""
    sql = _cell(sql)
    sql = sql if len(sql) <= _LONGEST_SQL else sql[:_LONGEST_SQL] + " …"
    return f"`` {sql} ``" if "`" in sql else f"`{sql}`" if sql else "(none)"
