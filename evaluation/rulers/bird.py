"""ex_bird and soft_f1: BIRD's execution accuracy and the mini-dev's Soft-F1, as the official evaluators give them.

Rows are a set and columns stand in gold's order. Text that is not UTF-8 is an error there, so it is one here. Where
the official tools would let a prediction write to the database before gold runs, the verdict here is 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from evaluation.databases.sandbox import Execution
from evaluation.rulers.ruler import Ruler

Row = tuple[Any, ...]
_ESCAPED = re.compile("[\udc80-\udcff]")


def ex_bird(gold: Execution, prediction: Execution) -> bool:
    """Equal sets of rows; two empty results are equal, whatever their columns."""
    return _ran(gold) and _ran(prediction) and set(gold.rows) == set(prediction.rows)


def soft_f1(gold: Execution, prediction: Execution) -> float:
    """0..1: how many cells agree, row by row in the order of first appearance, after duplicates are dropped.

    A right answer in another order scores low: that is the official measure. 0 when either did not run.
    """
    if not (_ran(gold) and _ran(prediction)):
        return 0.0
    if not gold.rows and not prediction.rows:
        return 1.0
    found, missed, extra = row_counts(list(dict.fromkeys(gold.rows)), list(dict.fromkeys(prediction.rows)))
    precision = found / (found + extra) if found + extra else 0.0
    recall = found / (found + missed) if found + missed else 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def row_counts(gold: Sequence[Row], prediction: Sequence[Row]) -> tuple[float, float, float]:
    """Cells found, missed and extra, in rows of gold's width; a row without partner is missed or extra as a whole."""
    found = 0.0
    missed, extra = float(max(0, len(gold) - len(prediction))), float(max(0, len(prediction) - len(gold)))
    for wanted, got in zip(gold, prediction, strict=False):
        width = len(wanted)
        found += sum(cell in wanted for cell in got) / width
        extra += sum(cell not in wanted for cell in got) / width
        missed += sum(cell not in got for cell in wanted) / width
    return found, missed, extra


def _ran(execution: Execution) -> bool:
    if execution.status != "ok":
        return False
    texts = (cell for row in execution.rows for cell in row if isinstance(cell, str) and not cell.isascii())
    return not any(_ESCAPED.search(text) for text in texts)


RULERS = (
    Ruler("ex_bird", lambda judged: ex_bird(judged.gold, judged.execution)),
    Ruler("soft_f1", lambda judged: soft_f1(judged.gold, judged.execution), share=False),
)
