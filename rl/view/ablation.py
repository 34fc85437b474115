"""An ablation's table with intervals and paired tests, and the same as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rl.report.record import NAMES
from rl.view.files import read_json
from rl.view.runs import Place


def ablation_page(place: Place) -> dict[str, Any]:
    problems: list[str] = []
    summary = read_json(place.path / "report" / "ablation.json", problems)
    found: dict[str, Any] = {"name": place.name, "problems": problems, "about": "", "blocks": []}
    if not summary:
        return found
    from rl.ablation import report

    about = " ".join(str(report.__doc__).split("\n\n", 1)[1].split()).replace("`", "")
    try:
        blocks = [*_dots(summary), *(_table(*one) for one in report.tables(summary))]
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        problems.append(f"ablation.json is not as rl.ablate writes it: {type(error).__name__} {error}")
        return found
    return found | {"about": about, "blocks": blocks}


def _table(title: str, head: list[str], lines: list[list[str]]) -> dict[str, Any]:
    return {"kind": "table", "caption": title, "head": head, "rows": lines}


def _dots(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A picture per subset of questions: greedy accuracy by variant and stage; then the differences."""
    blocks = []
    for subset, n in summary["questions"].items():
        known = [row for row in summary["rows"] if row["subsets"][subset]["n"]]
        rows = [
            _dot(f"{row['variant']}, {NAMES[row['stage']]}", row["stage"], row["subsets"][subset]["greedy"], "mean")
            for row in known
        ]
        blocks += _picture(f"{subset}: greedy accuracy, %", f"{n} questions; means over seeds, 95 % intervals.", rows)
    for subset in summary["questions"]:
        rows = [
            _dot(f"{one['row']} − {one['against']}", "paired", one["subsets"][subset]["greedy"], "difference")
            for one in summary["paired"]
            if one["subsets"][subset]["n"]
        ]
        blocks += _picture(
            f"{subset}: differences, points", "Paired; an interval over nought tells nothing.", rows, True
        )
    return blocks


def _dot(label: str, group: str, found: Mapping[str, Any], key: str) -> dict[str, Any]:
    low, high = found["ci95"]
    place = {"sft": 1, "rl": 0}.get(group, 2)
    return {"label": label, "group": group, "place": place, "mean": found[key], "low": low, "high": high}


def _picture(title: str, says: str, rows: list[dict[str, Any]], zero: bool = False) -> list[dict[str, Any]]:
    return [{"kind": "dots", "title": title, "says": says, "rows": rows, "zero": zero}] if rows else []
