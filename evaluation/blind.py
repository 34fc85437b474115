"""Answers that say too little to be earned: a query that never looked at the question gives them as well.

No row, or one row of 0 and NULL, is what `SELECT count(*) FROM t WHERE 0` and whatever else finds nothing returns.
"""

from __future__ import annotations

from evaluation.databases.sandbox import Execution


def is_blind(execution: Execution) -> bool:
    """Whether a query that ran returned no row, or one row of nothing but 0 and NULL.

    >>> is_blind(Execution("ok", ((0, None),))), is_blind(Execution("ok", ((0, 1),)))
    (True, False)
    """
    rows = execution.rows
    return execution.status == "ok" and len(rows) < 2 and all(cell is None or cell == 0 for row in rows for cell in row)


def blind_queries(gold: Execution) -> list[str]:
    """Queries of gold's width on a table that it reads, which find nothing whatever is asked; [] without a table."""
    if not gold.tables_read:
        return []
    table = '"' + gold.tables_read[0].replace('"', '""') + '"'
    nulls, zeros, counts = (", ".join([cell] * len(gold.columns)) for cell in ("NULL", "0", "count(*)"))
    return [
        f"SELECT {zeros} FROM {table} LIMIT 1",
        f"SELECT {counts} FROM {table} WHERE 0",
        f"SELECT {nulls} FROM {table} LIMIT 1",
        f"SELECT {nulls} FROM {table} WHERE 0",
    ]
