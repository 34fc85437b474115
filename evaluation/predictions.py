"""Prediction files: .jsonl with {"id", "sql"} per line, or text with one query per line in split order."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from evaluation.benchmarks import Split, read_text
from evaluation.errors import UserError


def read_predictions(path: Path, split: Split) -> list[str]:
    """The predicted SQL of each example of the split, in order; "" where the file says so.

    .jsonl may come in any order and hold tabs and newlines inside SQL; every question must have one line. Text must
    have a line per question, either of the whole file of questions or of those with a database; an empty line is an
    empty prediction. UserError names the line.
    """
    text = read_text(path)
    if path.suffix == ".jsonl":
        return _by_id(text, path, split)
    lines = text.split("\n")
    lines = [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]
    return _by_line(lines, path, split)


def _by_line(lines: Sequence[str], path: Path, split: Split) -> list[str]:
    if len(lines) == len(split.examples):
        return list(lines)
    if len(lines) == split.total:
        return [lines[position] for position in split.positions]
    expected = f"{len(split.examples)} lines, one per question in split order"
    if split.dropped:
        expected += f" (or {split.total}, with the {split.dropped} questions that have no database)"
    raise UserError(f"{path} must have {expected}; it has {len(lines)}. SQL with newlines needs the .jsonl form")


def _by_id(text: str, path: Path, split: Split) -> list[str]:
    rows = [_row(line, f"{path}, line {number}") for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    twice = [name for name, count in Counter(name for name, _ in rows).items() if count > 1]
    if twice:
        raise UserError(f"{path}: each question may be predicted once; more than once: {_some(twice)}")
    predicted = dict(rows)
    wanted = [example.id for example in split.examples]
    unknown = [name for name in predicted if name not in set(wanted)]
    if unknown:
        raise UserError(f"{path}: these ids are not in the split (its first is {wanted[0]!r}): {_some(unknown)}")
    missing = [name for name in wanted if name not in predicted]
    if missing:
        raise UserError(f"{path}: {len(missing)} of {len(wanted)} questions have no prediction: {_some(missing)}")
    return [predicted[name] for name in wanted]


def _row(line: str, where: str) -> tuple[str, str]:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{where}: malformed JSON ({error})") from None
    if not isinstance(row, dict) or "id" not in row or not isinstance(row.get("sql"), (str, type(None))):
        raise UserError(f'{where}: must be an object {{"id": …, "sql": "…"}}, got {line[:100]}')
    if "sql" not in row:
        raise UserError(f'{where}: "sql" is missing; write "" for no prediction')
    return str(row["id"]), row["sql"] or ""


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f", … ({len(names)} in all)" if len(names) > 5 else "")
