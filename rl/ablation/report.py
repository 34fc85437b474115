"""The results of an ablation: accuracy by subset of questions, and paired tests against the baseline.

Intervals are 95 % intervals with the question as unit, and each question counts with its mean over the seeds:
Wilson's, see `evaluation.metrics.mean_interval`. They say how far other questions like these would move a figure; how
far other seeds would is seen in the figures of each seed, in brackets. p is of McNemar's exact test on the greedy
answers, seed by seed, not corrected for the number of comparisons.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlglot.errors import SqlglotError

from evaluation.benchmarks import Example
from evaluation.gold import gold_parts
from evaluation.metrics import mean_interval
from evaluation.score import write_whole
from graph.schema import Schema
from rl.report.figures import compare
from rl.report.record import NAMES

SUBSETS = ("all", "multi-table", "bridge-table")
ANSWERS = {"greedy": "correct", "sampled": "sampled_correct_rate"}
WIDTH = 160  # of tables that go to a file, characters
COMPARED = {"greedy": "ex_strict", "sampled": "ex_strict_sampled"}


@dataclass(frozen=True)
class Questions:
    """The ids of each subset. unparsed: golds that cannot be read; they count in "all" alone."""

    ids: Mapping[str, frozenset[str]]
    unparsed: int


@dataclass(frozen=True)
class Row:
    """One line of the table: seed -> what rl.train wrote to evaluations/<stage>.json."""

    variant: str
    stage: str  # "sft" | "rl"
    seeds: Mapping[int, Mapping[str, Any]]

    @property
    def label(self) -> str:
        return f"{self.variant}, {NAMES[self.stage]}"


def subsets(examples: Iterable[Example], schema_of: Callable[[Example], Schema]) -> Questions:
    """Multi-table: the gold names two tables or more. Bridge-table: it needs a table only to join two others."""
    ids: dict[str, set[str]] = {name: set() for name in SUBSETS}
    unparsed = 0
    for example in examples:
        ids["all"].add(example.id)
        try:
            gold = gold_parts(example.gold_sql, schema_of(example))
        except SqlglotError:
            unparsed += 1
            continue
        if len(gold.tables) >= 2:
            ids["multi-table"].add(example.id)
        if gold.bridges:
            ids["bridge-table"].add(example.id)
    return Questions({name: frozenset(found) for name, found in ids.items()}, unparsed)


def scores(row: Row, ids: frozenset[str]) -> dict[str, Any]:
    """{"n", "greedy": {"mean", "ci95", "seeds"}, "sampled": …} on these questions; only n where there are none."""
    mean = _mean_over_seeds(row, row.seeds, ids)["per_question"]
    if not mean:
        return {"n": 0}
    return {"n": len(mean)} | {
        name: {
            "mean": fmean(one[key] for one in mean),
            "ci95": list(mean_interval([one[key] for one in mean])),
            "seeds": {seed: fmean(one[key] for one in _of(found, ids)) for seed, found in row.seeds.items()},
        }
        for name, key in ANSWERS.items()
    }


def paired(reference: Row, row: Row, ids: frozenset[str]) -> dict[str, Any]:
    """Row minus reference on the seeds that both have, question by question.

    {"n", "greedy": {"difference", "ci95", "seeds", "p_mcnemar"}, "sampled": {the same without p}}; n is 0 without a
    common seed or question.
    """
    common = [seed for seed in reference.seeds if seed in row.seeds]
    before, after = _mean_over_seeds(reference, common, ids), _mean_over_seeds(row, common, ids)
    if not before["per_question"]:
        return {"n": 0}
    whole = compare(before, after)
    each = {
        seed: compare(_mean_over_seeds(reference, [seed], ids), _mean_over_seeds(row, [seed], ids))
        for seed in common
    }
    result: dict[str, Any] = {"n": len(before["per_question"])}
    for name, key in COMPARED.items():
        differences = {seed: found[key] for seed, found in each.items()}
        result[name] = {"difference": whole[key], "ci95": whole[f"{key}_ci"], "seeds": differences}
    result["greedy"]["p_mcnemar"] = {seed: found["mcnemar_p"] for seed, found in each.items()}
    return result


def _mean_over_seeds(row: Row, seeds: Iterable[int], ids: frozenset[str]) -> dict[str, Any]:
    """An evaluation whose every question has its mean over the seeds."""
    found = [{one["id"]: one for one in _of(row.seeds[seed], ids)} for seed in seeds]
    names = list(found[0]) if found else []
    means = [{"id": name} | {k: fmean(s[name][k] for s in found) for k in ANSWERS.values()} for name in names]
    return {"per_question": means}


def _of(evaluation: Mapping[str, Any], ids: frozenset[str]) -> list[dict[str, Any]]:
    return [one for one in evaluation["per_question"] if one["id"] in ids]


def summarise(
    rows: Sequence[Row],
    questions: Questions,
    variants: Mapping[str, Mapping[str, Any]] | None = None,
    failures: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The content of ablation.json. variants: what else is known of each; failures: title of a stage -> reason.

    Each row is compared with the first, and with the first of its own stage where that is another one.
    """
    rows = [row for row in rows if row.seeds]
    asked = {one["id"] for row in rows[:1] for found in row.seeds.values() for one in found["per_question"]}
    ids = {name: found & asked for name, found in questions.ids.items()}
    compared = [(reference, row) for row in rows for reference in _references(rows, row)]
    return {
        "questions": {name: len(found) for name, found in ids.items()},
        "gold_not_parsed": questions.unparsed,
        "rows": [
            {"variant": row.variant, "stage": row.stage, "subsets": {name: scores(row, ids[name]) for name in ids}}
            for row in rows
        ],
        "paired": [
            {
                "row": row.label,
                "against": reference.label,
                "subsets": {name: paired(reference, row, ids[name]) for name in ids},
            }
            for reference, row in compared
        ],
        "variants": dict(variants or {}),
        "failures": dict(failures or {}),
    }


def _references(rows: Sequence[Row], row: Row) -> list[Row]:
    same_stage = next(other for other in rows if other.stage == row.stage)
    firsts = [rows[0]] if same_stage is rows[0] else [rows[0], same_stage]
    return [first for first in firsts if first is not row]


def write_results(summary: Mapping[str, Any], out: Path, console: Console | None = None) -> Path:
    """ablation.json, ablation.md, ablation.png, after RL cost.png, and the tables on the screen. Returns `out`."""
    from rl.ablation.plot import plot_cost, plot_subsets

    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "ablation.json", json.dumps(summary, indent=2) + "\n")
    if summary["rows"]:
        plot_subsets(summary, out / "ablation.png")
    if any(known.get("rl_minutes") for known in summary["variants"].values()):
        plot_cost(summary, out / "cost.png")
    write_whole(out / "ablation.md", markdown(summary))
    console = console or Console(width=None if sys.stdout.isatty() else WIDTH)
    for title, head, lines in tables(summary):
        table = Table(title=title, title_justify="left")
        for name in head:
            table.add_column(name)
        for line in lines:
            table.add_row(*line)
        console.print(table)
    return out


def markdown(summary: Mapping[str, Any]) -> str:
    """The same tables as on the screen, with how to read them."""
    parts = ["# Ablation", " ".join(str(__doc__).split("\n\n", 1)[1].split())]
    if summary["gold_not_parsed"]:
        parts.append(f"{summary['gold_not_parsed']} gold queries cannot be parsed: they count in all questions only.")
    for title, head, lines in tables(summary):
        table = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in line] for line in lines)]
        parts += [f"## {title}", "\n".join(f"| {' | '.join(line)} |" for line in table)]
    if summary["rows"]:
        parts.append("![accuracy by subset](ablation.png)")
    if any(known.get("rl_minutes") for known in summary["variants"].values()):
        parts.append("![accuracy over minutes of RL](cost.png)")
    return "\n\n".join(parts) + "\n"


Tabular = tuple[str, list[str], list[list[str]]]  # title, head, lines


def tables(summary: Mapping[str, Any]) -> list[Tabular]:
    """Accuracy, differences and what else is known of the variants."""
    heads = [f"{name} (n = {n})" for name, n in summary["questions"].items()]
    lines = [
        [row["variant"] if first else "", NAMES[row["stage"]] if first else "", name, *_cells(row, name, _score)]
        for row in summary["rows"]
        for first, name in zip((True, False), ANSWERS, strict=True)
    ]
    lines += [[title, "", "", f"failed: {why}", "", ""] for title, why in summary["failures"].items()]
    found = [("Accuracy (ex_strict, %)", ["variant", "stage", "answers", *heads], lines)]
    if summary["paired"]:
        lines = [
            [one["row"] if first else "", one["against"] if first else "", name, *_cells(one, name, _difference)]
            for one in summary["paired"]
            for first, name in zip((True, False), ANSWERS, strict=True)
        ]
        found.append(("Differences, points", ["row", "against", "answers", *heads], lines))
    if summary["variants"]:
        names = list(next(iter(summary["variants"].values())))
        lines = [[v, *(str(known[name]) for name in names)] for v, known in summary["variants"].items()]
        found.append(("Variants", ["variant", *(name.replace("_", " ") for name in names)], lines))
    return found


def _cells(one: Mapping[str, Any], answers: str, shown: Callable[[Mapping[str, Any]], str]) -> list[str]:
    return [shown(subset[answers]) if subset["n"] else "–" for subset in one["subsets"].values()]


def _score(found: Mapping[str, Any]) -> str:
    low, high = found["ci95"]
    each = ", ".join(f"{100 * value:.1f}" for value in found["seeds"].values())
    return f"{100 * found['mean']:.1f} ({100 * low:.1f} … {100 * high:.1f})" + _brackets(found, each)


def _difference(found: Mapping[str, Any]) -> str:
    low, high = found["ci95"]
    each = ", ".join(f"{100 * value:+.1f}" for value in found["seeds"].values())
    p = ", ".join(f"{value:.2g}" for value in found.get("p_mcnemar", {}).values())
    text = f"{100 * found['difference']:+.1f} ({100 * low:+.1f} … {100 * high:+.1f})" + _brackets(found, each)
    return f"{text} p = {p}" if p else text


def _brackets(found: Mapping[str, Any], each: str) -> str:
    return f" [{each}]" if len(found["seeds"]) > 1 else ""
