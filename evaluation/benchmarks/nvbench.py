"""nvBench: questions for charts on Spider's databases. Its SQL part is taken, the kind of the chart is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from evaluation.benchmarks.layout import Example, Layout, Source, Unreadable, check_db_id
from evaluation.errors import UserError
from evaluation.text_files import Fault, Record, read_text


def records(path: Path) -> Iterator[Record | Fault]:
    """The file is one object, from the number of a chart to the chart."""
    try:
        charts = json.loads(read_text(path))
    except ValueError as error:
        raise UserError(f"{path} must be NVBench.json, a JSON object: {error}") from None
    if not isinstance(charts, dict):
        raise UserError(f"{path} must be NVBench.json, an object from numbers to charts, got a {type(charts).__name__}")
    for name, chart in charts.items():
        where = f"{path}, chart {name}"
        yield {**chart, "name": name} if isinstance(chart, dict) else Fault(where, f"must be an object, got {chart!r}")


def read(record: Record, number: str, source: Source) -> list[Example]:
    """One question per way to ask for the chart."""
    try:
        sql, asked = record["vis_query"]["data_part"]["sql_part"], record["nl_queries"]
    except (KeyError, TypeError):
        raise Unreadable(f"must have vis_query.data_part.sql_part and nl_queries, it has {', '.join(record)}") from None
    if not isinstance(sql, str) or not isinstance(asked, list):
        raise Unreadable(f"sql_part must be a text and nl_queries a list, got {sql!r:.60} and {asked!r:.60}")
    db_id, level = check_db_id(record.get("db_id")), str(record.get("hardness") or "")
    questions = enumerate(question for question in asked if isinstance(question, str) and question.strip())
    return [Example(f"{record['name']}-{place}", db_id, q, "", sql.strip(), "", level) for place, q in questions]


LAYOUT = Layout(
    "nvBench: questions for charts on Spider's databases",
    splits={"train": ("NVBench.json|nvBench.json",)},
    read=read,
    records=records,
    databases=("database/{db_id}/{db_id}.sqlite", "databases/database/{db_id}/{db_id}.sqlite"),
    licence="MIT",
    source="https://github.com/TsinghuaDatabaseGroup/nvBench",
)
