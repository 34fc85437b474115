"""Dev questions before and after: what each stage of a run answered, and what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evaluation.sql_diff import as_plain
from rl.report.record import NAMES, STAGES
from rl.view.databases import Databases
from rl.view.files import Problems, number, read_json
from rl.view.rollouts import LONGEST_TEXT, Question, is_right, question_of
from rl.view.runs import Place
from rl.view.steps import Missing


def dev_page(place: Place, databases: Databases) -> dict[str, Any]:
    """A row per dev question: its kind, and whether each stage is right."""
    problems: Problems = []
    asked = _asked(place.path, problems)
    known = databases.known(place.path, "dev")
    rows = []
    for place_in_dev, (question, stages) in enumerate(asked):
        example = known.get(question.id)
        rows.append(
            {
                "number": place_in_dev,
                **question.shown(example),
                "stages": {stage: _outcome(row) for stage, row in stages.items()},
            }
        )
    return {"rows": rows, "problems": problems, "opening": databases.opening(place.path, "dev")}


def dev_question(place: Place, number_in_dev: int, databases: Databases) -> dict[str, Any]:
    """One dev question, with the greedy answer of each stage in the place of samples."""
    question, stages = asked_of(place, number_in_dev)
    example = databases.known(place.path, "dev").get(question.id)
    answers = [_answer(question.gold, stage, row) for stage, row in stages.items()]
    return {
        "number": number_in_dev,
        **question.shown(example),
        "dev": True,
        "groups": len(_asked(place.path, [])),
        "group": number_in_dev,
        "answers": answers,
        "left_out": 0,
        "prompt": "",
    }


def asked_of(place: Place, number_in_dev: int) -> tuple[Question, dict[str, dict[str, Any]]]:
    asked = _asked(place.path, [])
    if not 0 <= number_in_dev < len(asked):
        raise Missing(f"{place.name} has no dev question {number_in_dev}")
    return asked[number_in_dev]


def _asked(path: Path, problems: Problems) -> list[tuple[Question, dict[str, dict[str, Any]]]]:
    """Each dev question with the row of every stage that was asked it."""
    found: dict[tuple[str, str], tuple[Question, dict[str, dict[str, Any]]]] = {}
    for stage in STAGES:
        rows = read_json(path / "evaluations" / f"{stage}.json", problems).get("per_question")
        for row in rows if isinstance(rows, list) else []:
            if not isinstance(row, dict):
                continue
            name, db_id, text, gold = (str(row.get(key, "")) for key in ("id", "db_id", "question", "gold"))
            found.setdefault((name, gold), (question_of(name, db_id, text, gold), {}))[1][stage] = row
    return list(found.values())


def _outcome(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "right": bool(row.get("correct")),
        "status": str(row.get("status", "")),
        "sampled": number(row.get("sampled_correct_rate")),
    }


def _answer(gold: str, stage: str, row: dict[str, Any]) -> dict[str, Any]:
    sql, status = str(row.get("sql", "")), str(row.get("status", ""))
    return {
        "sql": sql[:LONGEST_TEXT],
        "diff": as_plain(gold, sql),
        "count": 1,
        "stage": NAMES.get(stage, stage),
        "verdict": status,
        "right": bool(row.get("correct", is_right(status))),
        "error": str(row.get("error", ""))[:LONGEST_TEXT],
        "sampled": number(row.get("sampled_correct_rate")),
        "parts": {},
        "tokens": [],
    }
