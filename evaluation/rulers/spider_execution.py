"""ex_spider: execution accuracy as Spider's test-suite code gives it (one prediction, DISTINCT stripped, no plugging).

What it does beyond executing (github.com/taoyds/test-suite-sql-eval, exec_eval.py): `> =` is closed up, even inside
strings; every DISTINCT goes; only the first statement counts; YEAR(CURDATE()) is 2020; rows are ordered if gold has
"order by" anywhere; columns may be permuted; two empty results agree; bytes that are not UTF-8 vanish; every database
file of the folder must agree. Where it would write, hang or abort on a bad gold, the verdict here is 0.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from evaluation.columns import column_orders, reordered
from evaluation.databases.files import SQLITE_MAGIC
from evaluation.databases.sandbox import Execution
from evaluation.rulers.ruler import Ruler

Row = tuple[Any, ...]
# The readers of what must be closed; one that finds no end is one character, and so is every later one of its kind.
_CLOSED = {"/": r"/\*.*?\*/", "'": r"'(?:''|\\.|[^'\\])*'", '"': r'"(?:""|\\.|[^"\\])*"'}
_OTHERS = (r"`[^`]*`", r"\[[^\]\[]*\]", r"\w[\w$#]*", ".")
_CURRENT_YEAR = re.compile(r"YEAR\s*\(\s*CURDATE\s*\(\s*\)\s*\)\s*", re.IGNORECASE)


def rewrite(sql: str) -> str:
    """The query that is executed in place of `sql`; "" when there is none.

    >>> rewrite("SELECT DISTINCT a FROM t WHERE b > = 1; SELECT 2")
    'SELECT  a FROM t WHERE b >= 1;'
    """
    for spaced, closed in (("> =", ">="), ("< =", "<="), ("! =", "!=")):
        sql = sql.replace(spaced, closed)
    kept = (token for token in _first_statement(_tokens(sql)) if token.lower() != "distinct")
    return _CURRENT_YEAR.sub("2020", "".join(kept))


def is_ordered(gold_sql: str) -> bool:
    """Whether the order of rows counts: the words anywhere in gold, a string or a subquery included."""
    return "order by" in rewrite(gold_sql).lower()


@lru_cache(maxsize=10_000)
def instances(database: str) -> tuple[str, ...]:
    """The database files of the folder, the named one first."""
    path = Path(database)
    others = sorted(other for other in path.parent.glob("*.sqlite*") if other != path and _is_sqlite(other))
    return (database, *map(str, others))


def agrees(gold: Execution, prediction: Execution, ordered: bool) -> bool:
    """Whether a prediction has the denotation of gold on one database."""
    if gold.status != "ok" or prediction.status != "ok":
        return False
    return same_denotation(readable(gold.rows), readable(prediction.rows), ordered)


def same_denotation(gold: Sequence[Row], prediction: Sequence[Row], ordered: bool) -> bool:
    """Whether some permutation of columns makes the tables equal, as lists if ordered, as bags if not."""
    if not gold and not prediction:
        return True
    if len(gold) != len(prediction) or len(gold[0]) != len(prediction[0]):
        return False
    if not _same_unordered_rows(gold, prediction, ordered):
        return False
    if ordered:
        return Counter(zip(*gold, strict=True)) == Counter(zip(*prediction, strict=True))
    wanted = Counter(gold)
    orders = column_orders(gold, prediction, [0] * len(gold), None)
    return wanted == Counter(prediction) or any(wanted == Counter(reordered(prediction, order)) for order in orders)


def readable(rows: Sequence[Row]) -> Sequence[Row]:
    """Rows without the bytes that are not UTF-8, which the sandbox keeps as surrogate escapes."""
    if not any(isinstance(cell, str) and not cell.isascii() for row in rows for cell in row):
        return rows
    return [tuple(_without_escapes(cell) if isinstance(cell, str) else cell for cell in row) for row in rows]


def _tokens(sql: str) -> list[str]:
    """Comments, strings, quoted names, words and single characters. Linear: at most three times a reader looks for an
    end that is not there."""
    tokens: list[str] = []
    place, kinds = 0, dict(_CLOSED)
    while place < len(sql):
        pattern = re.compile("|".join((r"--[^\n]*", *kinds.values(), *_OTHERS)), re.DOTALL)
        for match in pattern.finditer(sql, place):
            token, place = match.group(), match.end()
            tokens.append(token)
            if token in kinds and (token != "/" or sql.startswith("*", place)):
                del kinds[token]
                break
    return tokens


def _first_statement(tokens: Sequence[str]) -> Sequence[str]:
    """Up to the first semicolon outside brackets, leading blanks and semicolons included as they are."""
    depth = 0
    for place, token in enumerate(tokens):
        depth = max(0, depth + (token == "(") - (token == ")"))
        if token == ";" and depth == 0:
            return tokens[: place + 1]
    return tokens


def _is_sqlite(path: Path) -> bool:
    if not path.is_file():  # opening a pipe would wait
        return False
    with path.open("rb") as file:
        return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC


def _same_unordered_rows(gold: Sequence[Row], prediction: Sequence[Row], ordered: bool) -> bool:
    """The official quick rejection, part of the verdict: sorting cells by text and type parts 1 from 1.0."""
    left, right = ([_sorted_cells(row) for row in rows] for rows in (gold, prediction))
    return left == right if ordered else set(left) == set(right)


def _sorted_cells(row: Row) -> Row:
    return tuple(sorted(row, key=lambda cell: str(cell) + str(type(cell))))


def _without_escapes(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "ignore")


RULERS = (Ruler("ex_spider", lambda judged: judged.agrees),)
