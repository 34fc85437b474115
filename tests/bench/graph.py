"""How much of a schema linking keeps, what it loses, and how fast prompts are; inferred joins against gold joins.

python -m tests.bench.graph --data SPIDER [--benchmark spider] [--split dev] [--style compact]

Gold tables and columns are those that the gold SQL names. Recalls are over all tables, columns and bridge tables of all
questions together. token_share: tokens of the prompts with the linked part over those with the whole schema, words
and punctuation marks counted. Inferred joins: over all databases of the split, those proposed, against the joins of
its golds that no key declares. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from sqlglot.errors import SqlglotError

from evaluation.benchmarks import Example, load_examples
from evaluation.gold import Gold, gold_parts
from graph.build import inferred_keys
from graph.introspect import schema_from_sqlite
from graph.linearize import STYLES, Labels
from graph.link import COLUMN_FLOOR, TABLE_FLOOR, Linked, Linker, subschema
from graph.prompt import messages_from_text
from graph.schema import ForeignKey, Schema, fold
from graph.values import Values, sample_values
from graph.writer import PromptStyle, PromptWriter

_TOKEN = re.compile(r"[^\W_]+|_|[^\w\s]")
End = tuple[str, str]


@dataclass(frozen=True)
class Database:
    schema: Schema
    values: Values
    linker: Linker


@dataclass
class Counts:
    """Found and sought, of tables, columns and bridge tables; tokens with the linked part and with all."""

    found: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("table", "column", "bridge"), 0))
    sought: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("table", "column", "bridge"), 0))
    linked_tokens: int = 0
    all_tokens: int = 0

    def add(self, gold: Gold, linked: Linked) -> None:
        tables = {fold(name) for name in linked.tables}
        columns = {(fold(table), fold(column)) for table, column in linked.columns}
        self._add("table", gold.tables, tables)
        self._add("column", gold.columns, columns)
        self._add("bridge", gold.bridges, tables)

    def _add(self, kind: str, sought: Iterable[object], kept: Iterable[object]) -> None:
        self.sought[kind] += len(set(sought))
        self.found[kind] += len(set(sought) & set(kept))

    def recall(self, kind: str) -> float:
        return self.found[kind] / max(1, self.sought[kind])


@cache
def database(path: str) -> Database:
    schema = schema_from_sqlite(Path(path))
    values = sample_values(Path(path), schema)
    return Database(schema, values, Linker(schema, values))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.graph", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--benchmark", default="spider")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--style", default="compact", choices=tuple(STYLES))
    parser.add_argument("--table-floor", type=float, default=TABLE_FLOOR)
    parser.add_argument("--column-floor", type=float, default=COLUMN_FLOOR)
    parser.add_argument("--misses", type=int, default=0, help="print that many questions that lose something")
    args = parser.parse_args(argv)
    examples = load_examples(args.benchmark, args.split, args.data)
    counts, golds = link_recall(examples, args.style, (args.table_floor, args.column_floor), args.misses)
    print(f"{len(golds)} of {len(examples)} golds read; sought {counts.sought}")
    precision, recall = inferred_joins(golds)
    result = {
        "table_recall": round(counts.recall("table"), 4),
        "column_recall": round(counts.recall("column"), 4),
        "bridge_recall": round(counts.recall("bridge"), 4),
        "token_share": round(counts.linked_tokens / counts.all_tokens, 4),
        "prompts_per_s": round(prompts_per_second(examples, PromptStyle(args.style, graph=True, linked=True))),
        "inferred_precision": precision,
        "inferred_recall": recall,
    }
    print(json.dumps(result))


def link_recall(
    examples: Sequence[Example], style: str, floors: tuple[float, float], misses: int
) -> tuple[Counts, list[tuple[Example, Gold]]]:
    """Golds that cannot be read are left out."""
    counts, golds, write = Counts(), [], STYLES[style]
    for example in examples:
        known = database(example.database)
        try:
            gold = gold_parts(example.gold_sql, known.schema)
        except SqlglotError:
            continue
        golds.append((example, gold))
        linked = known.linker.link(example.question, example.evidence, *floors)
        part = subschema(known.schema, linked.tables, linked.columns)
        counts.add(gold, linked)
        counts.linked_tokens += tokens(write(part, Labels()), example)
        counts.all_tokens += tokens(write(known.schema, Labels()), example)
        misses -= _show_misses(example, gold, linked, misses)
    return counts, golds


def tokens(schema_text: str, example: Example) -> int:
    message = messages_from_text(schema_text, example.question, example.evidence)[0]["content"]
    return len(_TOKEN.findall(message))


def prompts_per_second(examples: Sequence[Example], style: PromptStyle) -> float:
    """Linking, cutting, join paths and writing, with schemas and sampled cells at hand."""
    known = {example.database: database(example.database) for example in examples}
    writers = {path: PromptWriter(found.schema, style, found.values) for path, found in known.items()}
    for example in examples:  # what is done once per database
        writers[example.database].schema_text(example.question, example.evidence)
    began = time.perf_counter()
    for example in examples:
        text = writers[example.database].schema_text(example.question, example.evidence)
        messages_from_text(text, example.question, example.evidence)
    return len(examples) / (time.perf_counter() - began)


def inferred_joins(golds: Sequence[tuple[Example, Gold]]) -> tuple[float, float]:
    """Of the proposed joins those that golds use; of the undeclared joins of golds those proposed."""
    sought: set[tuple[str, frozenset[End]]] = set()
    proposed: set[tuple[str, frozenset[End]]] = set()
    for example, gold in golds:
        known = database(example.database)
        declared = {pair for key in known.schema.foreign_keys for pair in _pairs(key)}
        cells = {end: frozenset(found) for end, found in known.values.items()}
        sought |= {(example.database, pair) for pair in gold.joins if pair not in declared}
        if not any(path == example.database for path, _ in proposed):
            proposed |= {(example.database, p) for key in inferred_keys(known.schema, cells) for p in _pairs(key)}
    right = len(sought & proposed)
    print(f"inferred joins: {len(proposed)} proposed, {len(sought)} in golds and not declared, {right} in both")
    return round(right / max(1, len(proposed)), 4), round(right / max(1, len(sought)), 4)


def _pairs(key: ForeignKey) -> list[frozenset[End]]:
    return [
        frozenset(((fold(key.table), fold(left)), (fold(key.parent), fold(right))))
        for left, right in zip(key.columns, key.parent_columns, strict=True)
    ]


def _show_misses(example: Example, gold: Gold, linked: Linked, left: int) -> int:
    lost = gold.columns - {(fold(table), fold(column)) for table, column in linked.columns}
    if not lost or left <= 0:
        return 0
    print(f"{example.db_id}: {example.question}\n   lost {sorted(lost)}\n   {example.gold_sql}")
    return 1


if __name__ == "__main__":
    main()
