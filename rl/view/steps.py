"""The pages of a step, of a group of samples, and of one question over all steps."""

from __future__ import annotations

from collections import Counter
from typing import Any

from evaluation.benchmarks import Example
from evaluation.differing import shortened, side_by_side
from evaluation.sql_diff import as_plain
from graph.schema import SchemaError
from rl.picture import picture, uses
from rl.view import tokens
from rl.view.databases import Databases, writer
from rl.view.rollouts import LONGEST_TEXT, Damaged, GroupFigures, Index, Question, is_right, parts_of, read, step_files
from rl.view.runs import Place

MOST_ANSWERS, MOST_TOKENS = 64, 4_000  # different answers of a group, tokens of one, that are shown
MOST_ROWS, MOST_COLUMNS, LONGEST_CELL = 200, 40, 300
SKIPPED = ("timeout", "too_large", "crashed")  # what is not executed again, because it would only wait


class Missing(Exception):
    """There is no such step, group, question or answer; the text says which."""


def step_page(place: Place, index: Index, step: int, databases: Databases) -> dict[str, Any]:
    if step in index.damaged:
        raise Damaged(index.damaged[step])
    if step not in index.steps:
        raise Missing(f"{place.name} has no samples of step {step}")
    known = databases.known(place.path, "train")
    steps = sorted(index.steps)
    return {
        "step": step,
        "opening": databases.opening(place.path, "train"),
        "before": max((one for one in steps if one < step), default=None),
        "after": min((one for one in steps if one > step), default=None),
        "groups": [_group_row(index, number, group, known.get(index.questions[group.question].id))
                   for number, group in enumerate(index.steps[step])],
    }  # fmt: skip


def _group_row(index: Index, number: int, group: GroupFigures, example: Example | None) -> dict[str, Any]:
    return _question(index, group.question, example) | {
        "group": number,
        "count": group.count,
        "right": group.right,
        "reward": group.reward,
        "signal": group.signal,
        "verdicts": group.verdicts,
        "history": [[one.step, one.right / one.count] for one in index.history(group.question)],
    }


def _question(index: Index, number: int, example: Example | None) -> dict[str, Any]:
    """first: the step and group at which it was asked first, which name it in addresses."""
    question, first = index.questions[number], index.history(number)[0]
    return {
        "first": [first.step, first.number],
        **question.shown(example),
    }


def luck_page(place: Place, index: Index, step: int, databases: Databases) -> dict[str, Any]:
    """Of each group with right answers, how many of them are wrong on an instance of its database: same schema, other
    rows. {"why_not"} where the databases are not at hand."""
    groups = index.steps.get(step, [])
    if not groups:
        raise Missing(f"{place.name} has no samples of step {step}")
    known = databases.known(place.path, "train", wait=True)
    asked: list[tuple[int, Example, str, int]] = []
    for number, group in enumerate(groups):
        question = index.questions[group.question]
        example = known.get(question.id)
        if group.right and example is not None and example.gold_sql[:LONGEST_TEXT] == question.gold:
            columns = read(step_files(place.path)[step], ("sql", "verdict"), group.first, group.count)
            answers = zip(columns["sql"], columns["verdict"], strict=True)
            counted = Counter(sql for sql, verdict in answers if is_right(verdict))
            asked += [(number, example, sql, count) for sql, count in counted.items()]
    if not asked:
        return {"why_not": databases.why_not(place.path, "train") if not known else "no answer of this step is right"}
    lucky: dict[int, int] = {number: 0 for number, *_ in asked}
    shown = databases.lucky([(example, sql) for _, example, sql, _ in asked])
    for (number, _, _, count), wrong in zip(asked, shown, strict=True):
        lucky[number] += count * wrong
    return {"lucky": list(lucky.items())}


def group_page(place: Place, index: Index, step: int, number: int, databases: Databases) -> dict[str, Any]:
    """Question, gold, prompt, and the answers, equal ones together."""
    group, question = _group(place, index, step, number)
    path = step_files(place.path)[step]
    names = ("sample", "policy_step", "sql", "verdict", "error", "reward", "advantage", "finish_reason", "prompt_ids",
             "token_ids", "log_probs", "learner_log_probs")  # fmt: skip
    more = parts_of(path)
    columns = read(path, [*names, *[name for name in more if name not in names]], group.first, group.count)
    rows = [{name: values[place] for name, values in columns.items()} for place in range(group.count)]
    parts = [name for name in more if name not in names]
    answers = [_answer(place, question.gold, same, parts) for same in _ranked(rows)]
    return _question(index, group.question, databases.known(place.path, "train").get(question.id)) | {
        "step": step,
        "group": number,
        "groups": len(index.steps[step]),
        "right": group.right,
        "count": group.count,
        "prompt": tokens.text_of(place.path, rows[0]["prompt_ids"])[:LONGEST_TEXT] if rows else "",
        "answers": answers[:MOST_ANSWERS],
        "left_out": max(0, len(answers) - MOST_ANSWERS),
    }


def _ranked(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Rows of one SQL together, the most frequent first, wrong before right among equals."""
    by_sql: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_sql.setdefault(row["sql"], []).append(row)
    return sorted(by_sql.values(), key=lambda same: (-len(same), is_right(same[0]["verdict"])))


def _answer(place: Place, gold: str, same: list[dict[str, Any]], more: list[str]) -> dict[str, Any]:
    first = same[0]
    return {
        "sql": first["sql"][:LONGEST_TEXT],
        "diff": as_plain(gold, first["sql"]),
        "count": len(same),
        "samples": [row["sample"] for row in same],
        "verdict": first["verdict"],
        "right": is_right(first["verdict"]),
        "error": first["error"][:LONGEST_TEXT],
        "reward": sum(row["reward"] for row in same) / len(same),
        "advantage": sum(row["advantage"] for row in same) / len(same),
        "parts": {name: first[name] for name in more if isinstance(first[name], (int, float))},
        "policy_step": first["policy_step"],
        "ended": first["finish_reason"],
        "tokens": _tokens(place, first),
        "before": [str(sql)[:LONGEST_TEXT] for sql in first.get("before") or ()],
    }


def _tokens(place: Place, row: dict[str, Any]) -> list[list[Any]]:
    """[text, log-probability of the engine, of the learner or None]."""
    ids = row["token_ids"][:MOST_TOKENS]
    pad: list[None] = [None] * len(ids)
    engine, learner = ([*(row[name] or []), *pad][: len(ids)] for name in ("log_probs", "learner_log_probs"))
    return [list(one) for one in zip(tokens.pieces(place.path, ids), engine, learner, strict=True)]


def _group(place: Place, index: Index, step: int, number: int) -> tuple[GroupFigures, Question]:
    if step in index.damaged:
        raise Damaged(index.damaged[step])
    groups = index.steps.get(step, [])
    if not 0 <= number < len(groups):
        raise Missing(f"{place.name} has no group {number} at step {step}")
    return groups[number], index.questions[groups[number].question]


def question_page(place: Place, index: Index, step: int, number: int, databases: Databases) -> dict[str, Any]:
    """Every time that the question of this group was asked, with the answers of each."""
    here, question = _group(place, index, step, number)
    files, times = step_files(place.path), []
    for group in index.history(here.question):
        columns = read(files[group.step], ("sql", "verdict"), group.first, group.count)
        counted = Counter(zip(columns["sql"], columns["verdict"], strict=True)).most_common(MOST_ANSWERS)
        answers = [
            {"sql": sql[:2_000], "verdict": verdict, "right": is_right(verdict), "count": count}
            for (sql, verdict), count in counted
        ]
        time = {"step": group.step, "group": group.number, "right": group.right, "count": group.count}
        times.append(time | {"answers": answers})
    return _question(index, here.question, databases.known(place.path, "train").get(question.id)) | {"times": times}


def questions_page(place: Place, index: Index, databases: Databases) -> dict[str, Any]:
    """All questions that were asked, each with its share of right answers over the steps."""
    known = databases.known(place.path, "train")
    rows = []
    for number, question in enumerate(index.questions):
        if not index.history(number):
            continue
        history = [[one.step, round(one.right / one.count, 4)] for one in index.history(number)]
        row = _question(index, number, known.get(question.id)) | {"history": history}
        del row["gold"]  # of thousands of questions; the question's own page has it
        rows.append(row)
    return {"questions": rows, "opening": databases.opening(place.path, "train")}


def answers_of(place: Place, index: Index, step: int, number: int) -> tuple[Question, list[tuple[str, str]]]:
    """The question of a group, and SQL and verdict of each different answer, in the order of the group's page."""
    group, question = _group(place, index, step, number)
    columns = read(step_files(place.path)[step], ("sql", "verdict"), group.first, group.count)
    rows = [{"sql": sql, "verdict": verdict} for sql, verdict in zip(columns["sql"], columns["verdict"], strict=True)]
    return question, [(same[0]["sql"], same[0]["verdict"]) for same in _ranked(rows)]


def rows_page(
    place: Place, split: str, question: Question, sql: str, verdict: str, databases: Databases
) -> dict[str, Any]:
    """Gold's rows and the answer's, executed again; {"why_not"} where that cannot be."""
    example = databases.known(place.path, split, wait=True).get(question.id)
    if example is None or example.gold_sql[:LONGEST_TEXT] != question.gold:
        return {"why_not": databases.why_not(place.path, split)}
    if verdict in SKIPPED:
        return {"why_not": f"not executed again: it ended as {verdict}"}
    gold, judged = databases.judged(example, sql)
    answer = judged.execution
    if gold.execution.status != "ok" or answer is None or answer.status != "ok":
        error = gold.execution.error if gold.execution.status != "ok" else answer.error if answer else "there is no SQL"
        lines = [] if gold.execution.status != "ok" else side_by_side(question.gold, gold.execution.rows, ())
        return {"error": error[:LONGEST_TEXT], "verdict": judged.status} | _tables(gold.execution, None, lines)
    right = judged.status in ("correct", "empty_both", "reordered")
    lines = side_by_side(question.gold, gold.execution.rows, answer.rows)
    return {"error": "", "verdict": judged.status, "right": right} | _tables(gold.execution, answer, lines)


def _tables(gold: Any, answer: Any, lines: list[Any]) -> dict[str, Any]:
    shown = shortened(lines, MOST_ROWS)
    cut = lambda rows, place: [_cell(cell) for cell in rows[place][:MOST_COLUMNS]] if place is not None else None  # noqa: E731
    return {
        "gold_columns": [name[:LONGEST_CELL] for name in gold.columns[:MOST_COLUMNS]],
        "answer_columns": [name[:LONGEST_CELL] for name in answer.columns[:MOST_COLUMNS]] if answer else [],
        "gold_rows": len(gold.rows),
        "answer_rows": len(answer.rows) if answer else 0,
        "differ": sum(not line.same for line in lines),
        "lines": [
            [cut(gold.rows, one.gold), cut(answer.rows, one.answer) if answer else None, one.same] for one in shown
        ],
        "seconds": round(answer.seconds, 4) if answer else None,
    }


def _cell(cell: Any) -> list[Any]:
    """[kind, text]: n NULL, i whole number, f number, t text, b bytes; long ones are cut, and say so."""
    if cell is None:
        return ["n", "NULL"]
    if isinstance(cell, bytes):
        return ["b", _cut("x'" + cell[: LONGEST_CELL // 2].hex() + "'", len(cell) * 2)]
    kind = "i" if isinstance(cell, int) else "f" if isinstance(cell, float) else "t"
    return [kind, _cut(str(cell)[:LONGEST_CELL], len(str(cell)))]


def _cut(text: str, length: int) -> str:
    return text if length <= LONGEST_CELL else f"{text} … {length:,} characters"


def schema_page(
    place: Place, split: str, question: Question, queries: list[str], databases: Databases
) -> dict[str, Any]:
    """The schema graph for this question, and what gold and each query use of it."""
    example = databases.known(place.path, split, wait=True).get(question.id)
    if example is None:
        return {"why_not": databases.why_not(place.path, split)}
    try:
        made = writer(example.database)
    except SchemaError as error:
        return {"why_not": str(error)}
    drawn = picture(made, example.question, example.evidence, [question.gold, *queries[:8]])
    return {
        "picture": {"name": made.schema.name, **drawn},
        "gold": uses(question.gold, made.schema),
        "answers": [uses(sql, made.schema) for sql in queries],
    }
