"""Every ruler on the same predictions: a row of verdicts per question.

The official rulers take the executions as the official tools would have seen them: no prediction is an empty query,
and a statement that would write, which the sandbox refuses, is one that returned no rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evaluation.benchmarks import Example
from evaluation.databases.sandbox import Execution, Limits, is_no_query
from evaluation.judge import Instances, Judge, Verdict
from evaluation.rulers import spider_execution
from evaluation.rulers.efficiency import Stopwatch
from evaluation.rulers.exact_match import MatchSchema, hardness, match_schema, same_as_from_tables_json
from evaluation.rulers.ruler import Judged, Ruler, chosen
from evaluation.taxonomy import error_class
from graph.introspect import schema_from_sqlite
from graph.schema import Schema, SchemaError
from graph.tables_json import entries

Row = dict[str, Any]
Item = tuple[Example, str]
NO_ROWS = Execution("ok")
SHOWN = 20_000  # characters of a predicted query in its verdict


class Rulers:
    """A judge, and the rulers beside it. One per thread."""

    def __init__(
        self,
        limits: Limits | None = None,
        tables: Path | None = None,
        timings: int = 0,
        rulers: Sequence[Ruler] | None = None,
        instances: Instances | None = None,
    ) -> None:
        """tables: a tables.json in Spider's form, for the foreign keys that em_spider goes by; else the databases'.

        timings: how often gold and prediction are timed for r_ves; 0 leaves this ruler out. rulers: else those that
        always measure. instances: of each database, on which answers that are right are judged again.
        """
        self._instances = instances or {}
        self._rulers = chosen() if rulers is None else rulers
        effort = any(ruler.name == "efficiency" for ruler in self._rulers)
        self.judge = Judge(replace(limits or Limits(), effort=effort), "any")
        self._stopwatch = Stopwatch(limits, timings) if timings else None
        self._schemas = MatchSchemas(tables)

    def rows(self, items: Sequence[Item]) -> list[Row]:
        """One verdict row per (example, predicted SQL), in order."""
        verdicts = self.judge.judge(items)
        golds = [gold.execution for gold in self.judge.golds([example for example, _ in items])]
        spider, shown = self.ex_spider(items), self._shown_wrong(items, verdicts)
        return [
            self._row(example, sql, verdict, gold, flag, instance)
            for (example, sql), verdict, gold, flag, instance in zip(items, verdicts, golds, spider, shown, strict=True)
        ]

    def _shown_wrong(self, items: Sequence[Item], verdicts: Sequence[Verdict]) -> list[str]:
        right = [place for place, verdict in enumerate(verdicts) if verdict.ex_strict]
        found = self.judge.shown_wrong([items[place] for place in right], self._instances)
        shown = dict(zip(right, found, strict=True))
        return [shown.get(place, "") for place in range(len(items))]

    def ex_spider(self, items: Sequence[Item]) -> list[bool]:
        """Whether each prediction agrees with gold on every database file of its folder."""
        items = [(example, self._bounded(sql)) for example, sql in items]
        places = [(place, file) for place, (example, _) in enumerate(items) for file in _instances(example)]
        golds = self.judge.run_trusted([(file, spider_execution.rewrite(items[p][0].gold_sql)) for p, file in places])
        found = self.judge.run([(file, spider_execution.rewrite(items[place][1])) for place, file in places])
        flags = [True] * len(items)
        for (place, _), gold, prediction in zip(places, golds, found, strict=True):
            ordered = spider_execution.is_ordered(items[place][0].gold_sql)
            flags[place] = flags[place] and spider_execution.agrees(gold, as_official(prediction), ordered)
        return flags

    def close(self) -> None:
        self.judge.close()
        if self._stopwatch:
            self._stopwatch.close()

    def _row(
        self, example: Example, sql: str, verdict: Verdict, gold: Execution, spider: bool, shown_wrong: str
    ) -> Row:
        schema, short = self._schemas.of(example), self._bounded(sql)
        judged = Judged(example, short, verdict, gold, as_official(verdict.execution), schema, spider, shown_wrong)
        row = {
            "id": example.id,
            "db_id": example.db_id,
            "question": example.question,
            "gold": example.gold_sql,
            "sql": _shown(sql),
            "error": _why(verdict, gold),
            "hardness": example.hardness or hardness(example.gold_sql, schema),
            "tables": len(gold.tables_read),
            "status": verdict.status,
            **{ruler.name: _number(ruler, judged) for ruler in self._rulers},
            "error_class": error_class(example.gold_sql, short, verdict),
        }
        if self._stopwatch:
            row["r_ves"] = round(self._stopwatch.r_ves(example.database, example.gold_sql, sql), 6)
        return row

    def _bounded(self, sql: str) -> str:
        """The SQL, or for one too long to be run, something that no reader spends time on and that never runs."""
        return sql if len(sql) <= self.judge.limits.max_sql_bytes else "(too long)"


class MatchSchemas:
    """What em_spider knows of each database, read once."""

    def __init__(self, tables: Path | None) -> None:
        self._entries = entries(tables) if tables else {}
        self._known: dict[str, MatchSchema] = {}

    def of(self, example: Example) -> MatchSchema:
        if example.database not in self._known:
            self._known[example.database] = self._read(example)
        return self._known[example.database]

    def _read(self, example: Example) -> MatchSchema:
        try:
            schema = match_schema(schema_from_sqlite(Path(example.database)))
        except SchemaError:  # then no query on it can be read, and nothing matches
            return match_schema(Schema(example.db_id, ()))
        entry = self._entries.get(example.db_id)
        return replace(schema, same_as=same_as_from_tables_json(entry)) if entry else schema


def _number(ruler: Ruler, judged: Judged) -> int | float:
    value = ruler.of(judged)
    return int(value) if ruler.share else round(float(value), 6)


def _shown(sql: str) -> str:
    """SQL for a file of verdicts: one of megabytes is cut."""
    return sql if len(sql) <= SHOWN else f"{sql[:SHOWN]} … ({len(sql)} characters)"


def _why(verdict: Verdict, gold: Execution) -> str:
    """What the database, or the sandbox, said against the prediction, or against the gold."""
    if verdict.status == "gold_failed":
        return f"gold: {gold.error}"
    return verdict.execution.error if verdict.execution else ""


def as_official(execution: Execution | None) -> Execution:
    """The execution as the official tools would have seen it."""
    return NO_ROWS if execution is None or is_no_query(execution) else execution


def _instances(example: Example) -> tuple[str, ...]:
    """Several files in the folder of a database are several databases, but only where the folder is its own."""
    path = Path(example.database)
    return spider_execution.instances(example.database) if path.parent.name == example.db_id else (example.database,)
