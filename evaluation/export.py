"""Questions in the forms that other projects train on, and predictions in those that official evaluators read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from evaluation.benchmarks import Example, Split
from graph.introspect import schema_of
from graph.linearize import ddl
from graph.prompt import messages_from_text

NO_QUERY = "SELECT NULL"
USING = "-- Using valid SQLite, answer the following questions for the tables provided above."


def as_messages(example: Example) -> dict[str, Any]:
    """{"messages": [user, assistant]}, with the schema as CREATE TABLE statements."""
    turns, shots = ([(turn.question, turn.sql) for turn in part] for part in (example.history, example.shots))
    asked = messages_from_text(_schema(example), example.question, example.evidence, turns, shots)
    return {"messages": [*asked, {"role": "assistant", "content": example.gold_sql}]}


def as_dbgpt_hub(example: Example) -> dict[str, Any]:
    """What `evaluation.benchmarks.dbgpt_hub` reads."""
    hint = f"\n-- {' '.join(example.evidence.split())}" * bool(example.evidence.strip())
    return {
        "db_id": example.db_id,
        "instruction": f"{_schema(example)}{hint}\n\n{USING}\n\n-- {' '.join(example.question.split())}\n",
        "input": "",
        "output": example.gold_sql,
        "history": [[turn.question, turn.sql] for turn in example.history],
    }


def as_spider(split: Split, predictions: Sequence[str]) -> str:
    """A query per line, in the order of the file, as Spider's evaluators read them; they skip an empty line."""
    return "".join(f"{' '.join(sql.split()) or NO_QUERY}\n" for sql in _of_all(split, predictions))


def as_bird(split: Split, predictions: Sequence[str]) -> str:
    """One object from the place of a question to its query and database, as BIRD's evaluators read it."""
    rows = enumerate(zip(_of_all(split, predictions), split.questions, strict=True))
    return json.dumps({str(place): f"{sql}\t----- bird -----\t{db_id}" for place, (sql, (_, db_id)) in rows}, indent=4)


def _of_all(split: Split, predictions: Sequence[str]) -> list[str]:
    """With "" for the questions of the file that have no database here."""
    given = dict(zip(split.positions, predictions, strict=True))
    return [given.get(place, "") for place in range(split.total)]


def _schema(example: Example) -> str:
    return ddl(schema_of(example.database))


QUESTIONS = {"messages": as_messages, "dbgpt-hub": as_dbgpt_hub}
PREDICTIONS = {"spider": as_spider, "bird": as_bird}
