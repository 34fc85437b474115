"""Prediction files, in the forms that benchmarks and their evaluators publish.

    SELECT …                       a query per line, in the order of the split
    SELECT …⇥concert_singer        the same with the database behind a tab: Spider
    {"0": "SELECT …⇥----- bird -----⇥db"}      one object, by question id or place: BIRD
    {"id": "q7", "sql": "SELECT …"}            an object per question, as lines or as a list, in any order
    ["SELECT …", …]                a list of texts, in the order of the split

Where a file names the database of a query it must be that of the question: a shifted file would score in silence.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.benchmarks import Split
from evaluation.errors import UserError
from evaluation.text_files import holds_json, parse_json, read_text

IDS = ("id", "question_id", "qid", "instance_id", "example_id")
# Names of the prediction come first: an object may hold the question's own fields, with its gold, too.
_PREDICTED = ("predicted_sql", "pred_sql", "predict_sql", "prediction", "predict", "pred", "generated_sql")
QUERIES = (*_PREDICTED, "sql", "SQL", "query")
_BIRD = re.compile(r"\s*-{3,}\s*bird\s*-{3,}\s*")


@dataclass(frozen=True)
class _Prediction:
    """sql: as the file has it; key: the question that it names, None where its place says so; where: for messages."""

    sql: str
    key: str | None
    where: str


def read_predictions(path: Path, split: Split) -> list[str]:
    """The predicted SQL of each example of the split, in order; "" where the file says so.

    Each question must have one, whether those without a database are in the file or not. UserError names the place.
    """
    text = read_text(path)
    if path.suffix in (".json", ".jsonl") or holds_json(text):
        given = _json_predictions(text, path)
    else:
        given = _lines(text, path, split)
    named = {prediction.key is not None for prediction in given}
    if len(named) > 1:
        raise UserError(f"{path}: either every prediction or none must name its question; {_some_unnamed(given)}")
    placed = _by_key(given, path, split) if True in named else _by_place(given, path, split)
    databases = {db_id for _, db_id in split.questions}
    columns = _has_columns(given, databases)
    return [
        _without_database(prediction, example.db_id, databases if columns else set())
        for prediction, example in zip(placed, split.examples, strict=True)
    ]


def _lines(text: str, path: Path, split: Split) -> list[_Prediction]:
    """An empty line is an empty prediction, but for those that the split has no questions for."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if lines[-1] == "":
        lines.pop()
    numbered = list(enumerate(lines, 1))
    counts = (len(split.examples), split.total)
    if len(numbered) not in counts and sum(bool(line.strip()) for line in lines) in counts:
        numbered = [(number, line) for number, line in numbered if line.strip()]
    return [_Prediction(line, None, f"{path}, line {number}") for number, line in numbered]


def _json_predictions(text: str, path: Path) -> list[_Prediction]:
    values = parse_json(text, path)
    if len(values) == 1 and isinstance(values[0], dict) and not values[0].keys() & {*IDS, *QUERIES}:
        return _mapping(json.loads(text, object_pairs_hook=list), path)
    return [_row(value, f"{path}, prediction {place}") for place, value in enumerate(values, 1)]


def _mapping(pairs: Sequence[tuple[str, Any]], path: Path) -> list[_Prediction]:
    """BIRD's form, where a question without an answer has a number or null instead of a text."""
    for key, value in pairs:
        if not isinstance(value, str | int | None):
            raise UserError(f"{path}: the prediction of {key!r} must be a text, got {json.dumps(value)[:100]}")
    return [_Prediction(value if isinstance(value, str) else "", key, f"{path}, {key!r}") for key, value in pairs]


def _row(value: Any, where: str) -> _Prediction:
    if isinstance(value, str | None):
        return _Prediction(value or "", None, where)
    row = value if isinstance(value, dict) else {}
    name = next((name for name in QUERIES if name in row and isinstance(row[name], str | None)), None)
    if name is None:
        hint = '; write "sql": "" for no prediction' if row and "sql" not in row else ""
        raise UserError(f'{where}: must be an object {{"id": …, "sql": "…"}}, got {json.dumps(value)[:100]}{hint}')
    key = next((str(value[name]) for name in IDS if value.get(name) is not None), None)
    return _Prediction(value[name] or "", key, where)


def _by_place(given: Sequence[_Prediction], path: Path, split: Split) -> list[_Prediction]:
    if len(given) == len(split.examples):
        return list(given)
    if len(given) == split.total:
        return [given[position] for position in split.positions]
    what = "predictions" if path.suffix in (".json", ".jsonl") else "lines"
    expected = f"{len(split.examples)} {what}, one per question in split order"
    if split.dropped:
        expected += f" (or {split.total}, with the {split.dropped} questions that have no database)"
    hint = "" if path.suffix in (".json", ".jsonl") else ". SQL with newlines needs the .jsonl form"
    raise UserError(f"{path} must have {expected}; it has {len(given)}{hint}")


def _by_key(given: Sequence[_Prediction], path: Path, split: Split) -> list[_Prediction]:
    """By id; where the keys are not the ids but the numbers 0 … n − 1, by place."""
    keys = [str(prediction.key) for prediction in given]
    twice = [name for name, count in Counter(keys).items() if count > 1]
    if twice:
        raise UserError(f"{path}: each question may be predicted once; more than once: {_some(twice)}")
    ids = [name for name, _ in split.questions]
    if not set(keys) <= set(ids) and len(keys) in (len(split.examples), split.total):
        places = {str(place): place for place in range(len(keys))}
        if places.keys() == set(keys):
            return _by_place(sorted(given, key=lambda prediction: places[str(prediction.key)]), path, split)
    predicted = dict(zip(keys, given, strict=True))
    unknown = [name for name in keys if name not in set(ids)]
    if unknown:
        raise UserError(f"{path}: these ids are not in the split (its first is {ids[0]!r}): {_some(unknown)}")
    missing = [example.id for example in split.examples if example.id not in predicted]
    if missing:
        wanted = len(split.examples)
        raise UserError(f"{path}: {len(missing)} of {wanted} questions have no prediction: {_some(missing)}")
    return [predicted[example.id] for example in split.examples]


def _has_columns(given: Sequence[_Prediction], databases: set[str]) -> bool:
    """Whether the file has Spider's second column: most of its queries end with a tab and a database of the split."""
    filled = [prediction.sql for prediction in given if prediction.sql.strip()]
    return 2 * sum(sql.rstrip().rpartition("\t")[2] in databases and "\t" in sql for sql in filled) > len(filled)


def _without_database(prediction: _Prediction, expected: str, databases: set[str]) -> str:
    """The SQL alone. UserError when the database behind it is not the question's."""
    *queries, database = _BIRD.split(prediction.sql)
    sql = " ".join(queries)
    if not queries:
        sql, tab, database = prediction.sql.rstrip().rpartition("\t")
        if not tab or database.strip() not in databases:
            return prediction.sql
    if database.strip() != expected:
        raise UserError(
            f"{prediction.where}: the query is for the database {database.strip()!r}, the question for {expected!r}: "
            "predictions must be those of this split, in its order"
        )
    return sql.strip()


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f", … ({len(names)} in all)" if len(names) > 5 else "")


def _some_unnamed(given: Sequence[_Prediction]) -> str:
    return "the first without a name: " + next(p.where for p in given if p.key is None)
