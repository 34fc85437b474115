"""Run SQL in the sandbox.

    python -m evaluation.execute --db FILE "SELECT …" …         each as a table with column names
    python -m evaluation.execute --db FILE < statements.sql     the same; statements end with a semicolon
    python -m evaluation.execute --db FILE [--deadline-s 1] < statements.jsonl

Each line, or item of one JSON list, is {"id", "sql": "…" | ["…", …]}; each gives one line {"id", "status", "columns",
"rows", "seconds", "error", "tables_read"}, in order. A list of statements has the status of its last refused or failed
statement, else of the last. Exit code 1: some statement did not run.
"""

from __future__ import annotations

import argparse
import json
import math
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, dropwhile
from typing import Any, TextIO

from evaluation.command import CommandLine, file, seconds
from evaluation.databases.files import readable
from evaluation.databases.sandbox import Execution, Limits, Sandbox
from evaluation.errors import exit_on_user_error
from evaluation.row_text import described
from evaluation.text_files import encoding_of

LONGEST_LINE = 64 * 2**20  # characters
Statements = tuple[Any, list[str] | str]  # id, SQL texts; or id, what is wrong with the line


def statement_lines(lines: Iterable[str]) -> Iterator[str]:
    """A line per statement as it comes; a JSON list, which may go over several lines, is taken apart."""
    lines = iter(lines)
    for line in lines:
        if not line.lstrip().startswith("["):
            yield line
            continue
        parts, length = [line], len(line)
        while length <= LONGEST_LINE and (more := next(lines, "")):
            parts.append(more)
            length += len(more)
        text = "".join(parts)
        try:
            yield from map(json.dumps, json.loads(text))
        except (json.JSONDecodeError, RecursionError):
            yield text


def read_statement(line: str) -> Statements:
    """Id and statements of one line; a line that is none of this becomes an error of its own, not of the others."""
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        return None, f"malformed JSON: {error}"
    if not isinstance(row, dict):
        return None, "a line must be a JSON object"
    sql = row.get("sql")
    texts = [sql] if isinstance(sql, str) else sql
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        return row.get("id"), '"sql" must be a text or a non-empty list of texts'
    return row.get("id"), texts


def bounded(stream: TextIO) -> Iterator[str]:
    """Its lines; of one beyond LONGEST_LINE the beginning only, which is no JSON object."""
    while line := stream.readline(LONGEST_LINE):
        yield line
        while line and not line.endswith("\n"):
            line = stream.readline(LONGEST_LINE)


def outcome(executions: Sequence[Execution]) -> Execution:
    """The last execution that was refused or failed, else the last."""
    return next((execution for execution in reversed(executions) if execution.status != "ok"), executions[-1])


def run(sandbox: Sandbox, database: str, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in statement_lines(lines):
        if line.strip():
            name, statements = read_statement(line)
            if isinstance(statements, str):
                yield answer(name, Execution("error", error=statements))
            else:
                yield answer(name, outcome(sandbox.execute([(database, sql) for sql in statements])))


def answer(name: Any, execution: Execution) -> dict[str, Any]:
    """The line of one execution."""
    return {
        "id": name,
        "status": execution.status,
        "columns": list(execution.columns),
        "rows": [[json_cell(cell) for cell in row] for row in execution.rows],
        "seconds": round(execution.seconds, 6),
        "error": execution.error,
        "tables_read": list(execution.tables_read),
    }


def json_cell(cell: Any) -> Any:
    """A cell as JSON has it; {"hex": "…"} for a BLOB and {"real": "inf"} for what JSON cannot write."""
    if isinstance(cell, bytes):
        return {"hex": cell.hex()}
    if isinstance(cell, float) and not math.isfinite(cell):
        return {"real": str(cell)}
    return cell


def plain_statements(lines: Iterable[str]) -> Iterator[str]:
    r"""Statements of an SQL script, without what ends them; the last one needs no semicolon.

    >>> list(plain_statements(["SELECT ';'\n", " FROM t; SELECT 2;\n"]))
    ["SELECT ';'\n FROM t", 'SELECT 2']
    """
    begun = ""
    for line in lines:
        *ended, last = line.split(";")
        for part in ended:
            begun += part + ";"
            if len(begun) > LONGEST_LINE or sqlite3.complete_statement(begun):
                yield begun.strip().removesuffix(";")
                begun = ""
        begun += last
    if begun.strip():
        yield begun.strip()


def run_plain(sandbox: Sandbox, database: str, statements: Iterable[str]) -> Iterator[Execution]:
    for sql in statements:
        (execution,) = sandbox.execute([(database, sql)])
        print(described(execution), flush=True)
        yield execution


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = CommandLine("evaluation.execute", "Run SQL in the sandbox.")
    parser.add_argument("sql", nargs="*", help="statements; without one they are read from stdin, as SQL or JSON lines")
    parser.add_argument("--db", type=file, required=True, help="SQLite file; it is never changed")
    parser.add_argument("--deadline-s", type=seconds, default=Limits.deadline_s, help="time for one statement")
    return parser.parse_args(argv)


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    readable(options.db)
    database = str(options.db.absolute())
    with Sandbox(Limits(deadline_s=options.deadline_s)) as sandbox:
        if options.sql:
            statuses: list[str] = [one.status for one in run_plain(sandbox, database, options.sql)]
        else:
            statuses = list(_run_stdin(sandbox, database))
    return int(any(status != "ok" for status in statuses))


def _run_stdin(sandbox: Sandbox, database: str) -> Iterator[str]:
    """The status of each statement; JSON lines begin with a brace or bracket, all else is SQL."""
    encoding = encoding_of(sys.stdin.buffer.peek(4)[:4])  # type: ignore[union-attr]
    sys.stdin.reconfigure(encoding=encoding, errors="surrogateescape")  # type: ignore[union-attr]
    rest = dropwhile(lambda line: not line.strip(), bounded(sys.stdin))
    first = next(rest, "")
    lines = chain([first], rest)
    if first.lstrip()[:1] not in ("{", "["):
        yield from (one.status for one in run_plain(sandbox, database, plain_statements(lines)))
        return
    for row in run(sandbox, database, lines):
        print(json.dumps(row), flush=True)
        yield row["status"]


if __name__ == "__main__":
    raise SystemExit(main())
