"""WikiSQL's form, which others took over: a query as numbers of columns, a table as a line of <split>.tables.jsonl.

Each table becomes a database of its own, built once. WikiSQL compares texts without regard to case; so do the columns.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from evaluation.benchmarks.layout import Source, Unreadable
from evaluation.databases.files import built
from evaluation.text_files import Fault, read_questions

AGGREGATES = ("", "MAX", "MIN", "COUNT", "SUM", "AVG")
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?\Z")
_NUMERIC = ("real", "int", "float", "number")


@lru_cache(maxsize=4)
def tables(path: Path) -> dict[str, dict[str, Any]]:
    """id -> table, of a .tables.jsonl file; those that are no tables are left out, and so are their questions."""
    return {
        str(item.get("id")): item for item in read_questions(path) if not isinstance(item, Fault) and is_table(item)
    }


def is_table(record: Mapping[str, Any]) -> bool:
    """Whether it has a list of names, of types and of rows, each a list."""
    names, types, rows = (record.get(part, []) for part in ("header", "types", "rows"))
    lists = all(isinstance(part, list) for part in (names, types, rows))
    return lists and bool(names) and all(isinstance(kind, str) for kind in types) and all(map(_is_list, rows))


def _is_list(row: Any) -> bool:
    return isinstance(row, list)


def table_of(source: Source, table_id: str) -> dict[str, Any] | None:
    path = source.find(f"{source.file.stem}.tables.jsonl", "{split}.tables.jsonl")
    return tables(path).get(table_id) if path else None


def column_names(table: Mapping[str, Any]) -> list[str]:
    """The header, each name once and none empty."""
    names: list[str] = []
    taken: set[str] = set()
    for place, given in enumerate(table["header"]):
        stem = " ".join(str(given).replace('"', " ").split()) or f"column {place + 1}"
        number = 1
        name = stem
        while name.lower() in taken:
            number += 1
            name = f"{stem} {number}"
        taken.add(name.lower())
        names.append(name)
    return names


def query(sql: Any, table: Mapping[str, Any], name: str, operators: Sequence[str]) -> str:
    """SQL for {"sel", "agg", "conds"}. A condition is [column, operator, value]; between two, [0 or 1, depth] is AND or
    OR at that depth of brackets (Criteria2SQL), and nothing is AND. Unreadable: a number that the table has not."""
    names = column_names(table)
    try:
        column, aggregate = quoted(at(names, sql["sel"])), at(AGGREGATES, sql["agg"])
        parts = [part for part in conditions(sql["conds"], names, table.get("types", ()), operators) if part]
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"'sql' must hold numbers of the table's columns, got {sql!r} ({error!r})") from None
    chosen = f"{aggregate}({column})" if aggregate else column
    return f"SELECT {chosen} FROM {quoted(name)}" + (f" WHERE {bracketed(parts)}" if parts else "")


def conditions(
    conds: Sequence[Any], names: Sequence[str], types: Sequence[str], operators: Sequence[str]
) -> list[str | tuple[str, int]]:
    """Texts of conditions, and between any two of them a (connective, depth)."""
    found: list[str | tuple[str, int]] = []
    for cond in conds:
        if len(cond) == 2:
            found.append((at(("AND", "OR"), cond[0]), cond[1]))
            continue
        if found and isinstance(found[-1], str):
            found.append(("AND", 0))
        kind = types[cond[0]] if cond[0] < len(types) else "text"
        if not isinstance(cond[2], str | int | float):
            raise TypeError(f"{cond[2]!r} is no value to compare with")
        found.append(f"{quoted(at(names, cond[0]))} {at(operators, cond[1])} {literal(cond[2], kind)}")
    return found


def at(values: Sequence[str], place: int) -> str:
    """IndexError, too, before the first."""
    if place < 0:
        raise IndexError(f"{place} is below 0")
    return values[place]


def bracketed(parts: Sequence[str | tuple[str, int]]) -> str:
    """The conditions joined, deeper connectives in brackets."""
    depths = [part[1] for part in parts if isinstance(part, tuple)]
    if not depths:
        return str(parts[0])
    least, words, run = min(depths), list[str](), list[str | tuple[str, int]]()
    for part in [*parts, ("", least)]:
        if isinstance(part, tuple) and part[1] == least:
            words += [f"({bracketed(run)})" if len(run) > 1 else bracketed(run), part[0]]
            run = []
        else:
            run.append(part)
    return " ".join(words).strip()


def literal(value: Any, kind: str) -> str:
    plain = str(value).strip()
    number = plain.replace(",", "")
    if kind.lower() in _NUMERIC and _NUMBER.match(number):
        return number
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    inner = plain[1:-1] if len(plain) > 1 and plain[0] == plain[-1] == "'" else str(value)
    return "'" + inner.replace("'", "''") + "'"


def database(table: Mapping[str, Any], name: str, skipped: Sequence[str] = ()) -> str:
    """Path of the database that holds this one table."""
    names = column_names(table)
    kinds = [*map(str, table.get("types", ())), *["text"] * len(names)]
    kept = [place for place, column in enumerate(names) if column not in skipped]
    declared = ", ".join(
        f"{quoted(names[i])} {'REAL' if kinds[i].lower() in _NUMERIC else 'TEXT COLLATE NOCASE'}" for i in kept
    )
    rows = [[cell(row, i, kinds[i]) for i in kept] for row in table.get("rows", ())]

    def fill(connection: sqlite3.Connection) -> None:
        connection.execute(f"CREATE TABLE {quoted(name)} ({declared})")
        connection.executemany(f"INSERT INTO {quoted(name)} VALUES ({', '.join('?' * len(kept))})", rows)

    return str(built("tables", name, repr((declared, rows)), fill))


def cell(row: Sequence[Any], place: int, kind: str) -> Any:
    value = row[place] if place < len(row) else None
    if isinstance(value, str) and kind.lower() in _NUMERIC and _NUMBER.match(number := value.replace(",", "").strip()):
        return float(number)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    text = value if isinstance(value, int | float | None) else str(value)
    return text.encode("utf-8", "replace").decode() if isinstance(text, str) else text


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
