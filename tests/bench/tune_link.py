"""The weights of graph/link_weights.py, fitted on training questions alone: two logistic regressions.

python -m tests.bench.tune_link --data SPIDER [--benchmark spider] [--out graph/link_weights.py]

The tables' comes first; the columns' uses its probabilities. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from sqlglot.errors import SqlglotError

from evaluation.benchmarks import load_examples
from evaluation.gold import Gold, gold_parts
from graph import link, link_weights
from graph.schema import fold
from tests.bench.graph import Database, database

RIDGE = 1e-3
Labelled = tuple[tuple[float, ...], bool]
Question = tuple[Database, str, Gold]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tune_link", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--benchmark", default="spider")
    parser.add_argument("--out", type=Path, default=Path(link_weights.__file__))
    args = parser.parse_args(argv)
    examples = load_examples(args.benchmark, "train", args.data)
    questions: list[Question] = []
    for example in examples:
        with suppress(SqlglotError):
            described = database(example.database)
            questions.append((described, example.question, gold_parts(example.gold_sql, described.schema)))
    losses = {}
    for name, rows_of, weights in (
        ("tables", _table_rows, link.TABLE_WEIGHTS),
        ("columns", _column_rows, link.COLUMN_WEIGHTS),
    ):
        labelled = [pair for question in questions for pair in rows_of(*question)]
        rows, truth = np.array([row for row, _ in labelled]), np.array([float(is_gold) for _, is_gold in labelled])
        fitted, losses[name] = fit(rows, truth)
        weights.update(zip(weights, map(float, fitted), strict=True))
    args.out.write_text(_module())
    print(json.dumps({"questions": len(questions), "log_loss": losses}))


def _table_rows(described: Database, question: str, gold: Gold) -> Iterator[Labelled]:
    for name, row in described.linker.features(question)[0].items():
        yield row, fold(name) in gold.tables


def _column_rows(described: Database, question: str, gold: Gold) -> Iterator[Labelled]:
    for (table, column), row in described.linker.features(question)[1].items():
        yield row, (fold(table), fold(column)) in gold.columns


def fit(rows: np.ndarray, truth: np.ndarray, rounds: int = 30) -> tuple[np.ndarray, float]:
    """Newton's method; the weights and the mean log loss in nats."""
    weights = np.zeros(rows.shape[1])
    for _ in range(rounds):
        guess = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (guess - truth) / len(rows) + RIDGE * weights
        bend = (rows * (guess * (1 - guess))[:, None]).T @ rows / len(rows) + RIDGE * np.eye(rows.shape[1])
        weights -= np.linalg.solve(bend, slope)
    guess = 1 / (1 + np.exp(-rows @ weights))
    return weights, float(-np.mean(truth * np.log(guess) + (1 - truth) * np.log(1 - guess)))


def _module() -> str:
    lines = ['"""Weights of `graph.link`, in the order of its features, as `tests.bench.tune_link` writes them."""', ""]
    for name, weights in (("TABLE_WEIGHTS", link.TABLE_WEIGHTS), ("COLUMN_WEIGHTS", link.COLUMN_WEIGHTS)):
        lines += [f"{name} = {{", *(f'    "{key}": {value:.3f},' for key, value in weights.items()), "}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
