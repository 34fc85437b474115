"""The report as a page of blocks: accuracy and where it comes from, curves, errors, examples, time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from evaluation.console import time_rows
from evaluation.metrics import share
from evaluation.sql_diff import as_plain, tables_named
from evaluation.taxonomy import first_difference, message_class
from rl.report.charts import rl_charts
from rl.report.figures import pairs
from rl.report.record import KEYS, RunRecord
from rl.report.text import EXAMPLES_SHOWN, gain_text, percent_range, setting, spread
from sft.page.charts import Block, sft_charts

MOST_LINES = 40  # of a breakdown


def blocks(run: RunRecord, kinds: Mapping[str, str]) -> list[Block]:
    """kinds: id of a dev question -> its hardness or kind, where that is known."""
    curves, warm_up = rl_charts(run.steps, run.dev, _ends(run), _watched(run)), sft_charts(run.sft, ())
    return [
        {"kind": "text", "text": setting(run)},
        *_accuracy(run),
        *([_heading("Curves"), *curves] if curves else []),
        *([_heading("Curves of the warm-up"), *warm_up] if warm_up else []),
        *_breakdowns(run, kinds),
        *_errors(run),
        *_examples(run, kinds, fixed=True),
        *_examples(run, kinds, fixed=False),
        *_time(run),
    ]


def _heading(text: str) -> Block:
    return {"kind": "heading", "text": text}


def _accuracy(run: RunRecord) -> list[Block]:
    if not run.evaluations:
        return []
    rows = [
        [
            run.names[stage],
            *(cell for key in KEYS for cell in (_percent(found[key]), percent_range(found[f"{key}_ci"]))),
        ]
        for stage, found in run.evaluations.items()
    ]
    head = ["policy", "greedy", "95 % interval", "sampled", "95 % interval"]
    n = next(iter(run.evaluations.values()))["n"]
    table = {
        "kind": "table",
        "caption": f"ex_strict on {n} dev questions",
        "head": head,
        "rows": rows,
        "numbers": [1, 3],
    }
    gain = gain_text(run)
    return [_heading("Dev execution accuracy"), table, *([{"kind": "text", "text": gain}] if gain else [])]


def _ends(run: RunRecord) -> list[dict[str, Any]]:
    last = run.steps[-1]["step"] if run.steps else 0
    return [{**run.evaluations[s], "step": at} for s, at in (("sft", 0), ("rl", last)) if s in run.evaluations]


def _watched(run: RunRecord) -> int:
    return int(run.config.get("evaluation", {}).get("watched", 0))


def _breakdowns(run: RunRecord, kinds: Mapping[str, str]) -> list[Block]:
    by: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "hardness or kind": lambda row: kinds.get(row["id"], ""),
        "tables in gold": lambda row: str(len(tables_named(row["gold"])) or ""),
        "database": lambda row: str(row["db_id"]),
    }
    tables = [_breakdown(run, name, key) for name, key in by.items()]
    found = [table for table in tables if table["rows"]]
    return [_heading("Where the right answers are"), *found] if found else []


def _breakdown(run: RunRecord, name: str, key: Callable[[Mapping[str, Any]], str]) -> Block:
    """Greedy accuracy of each stage by a property of the question."""
    stages = list(run.evaluations)
    groups: dict[str, dict[str, list[bool]]] = {}
    for stage, found in run.evaluations.items():
        for row in found["per_question"]:
            if group := key(row):
                groups.setdefault(group, {}).setdefault(stage, []).append(bool(row["correct"]))
    rows = []
    for group, flags in sorted(groups.items()):
        counts = [share(flags.get(stage, [])) for stage in stages]
        cells = [cell for one in counts for cell in (_percent(one["value"]), percent_range(one["ci95"]))]
        rows.append([group, str(max(one["n"] for one in counts)), *cells])
    head = [name, "questions", *(cell for stage in stages for cell in (run.names[stage], "95 % interval"))]
    numbers = [1, *range(2, len(head), 2)]
    return {"kind": "table", "caption": f"Right by {name}", "head": head, "rows": rows[:MOST_LINES], "numbers": numbers}


def _errors(run: RunRecord) -> list[Block]:
    counts = {
        stage: Counter(_error(row) for row in found["per_question"] if not row["correct"])
        for stage, found in run.evaluations.items()
    }
    names = [name for name, _ in sum(counts.values(), Counter[str]()).most_common()]
    if not names:
        return []
    rows = [[name, *(str(counted[name]) for counted in counts.values())] for name in names]
    head = ["class", *(run.names[stage] for stage in counts)]
    numbers = list(range(1, len(head)))
    caption = "Answers that are not right, by the first thing that is wrong"
    table = {"kind": "table", "caption": caption, "head": head, "rows": rows, "numbers": numbers}
    return [_heading("Errors by class, before and after"), table]


def _error(row: Mapping[str, Any]) -> str:
    """As `evaluation.taxonomy.error_class`, from what an evaluation keeps."""
    if row.get("status") == "error":
        return message_class(row.get("error", ""))
    return (
        first_difference(row["gold"], row["sql"]) if row.get("status") == "wrong" else str(row.get("status", "wrong"))
    )


def _examples(run: RunRecord, kinds: Mapping[str, str], fixed: bool) -> list[Block]:
    if not {"sft", "rl"} <= set(run.evaluations):
        return []
    changed = [
        (old, new)
        for old, new in pairs(run.evaluations["sft"], run.evaluations["rl"])
        if bool(new["correct"]) == fixed and bool(old["correct"]) != fixed
    ]
    title = (
        f"Questions that RL {'fixed' if fixed else 'broke'}: {len(changed)}, {min(len(changed), EXAMPLES_SHOWN)} shown"
    )
    items = [
        {
            "question": new["question"],
            "said": " · ".join(filter(None, (new["db_id"], kinds.get(new["id"], "")))),
            "diffs": [
                [f"{run.names[stage]}: {row.get('status', '')}", as_plain(new["gold"], row["sql"])]
                for stage, row in (("sft", old), ("rl", new))
            ],
        }
        for old, new in spread(changed)
    ]
    return [_heading(title), {"kind": "diffs", "items": items}]


def _time(run: RunRecord) -> list[Block]:
    if not run.seconds:
        return []
    rows = [[name, str(value)] for name, value in time_rows(run.seconds).items()]
    return [_heading("Time"), {"kind": "table", "head": ["part", "seconds"], "rows": rows, "numbers": [1]}]


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
