"""Believable rows for a `Domain`, and the SQL script that builds its database."""

from __future__ import annotations

import datetime
import random

from evaluation.tiny.domain import Column, Domain, Table

Row = tuple[int | float | str | None, ...]
Rows = dict[str, list[Row]]


def make_rows(domain: Domain, rng: random.Random) -> Rows:
    """Rows of every table, in the order of the columns; ids count from 1.

    Foreign keys are skewed: some parents have no child, a few have many. Pairs of a bridge table are distinct.
    A table has fewer rows than it asks for when its pool of names is smaller. ValueError when a foreign key has neither
    a link nor a bridge, or when links form a circle.
    """
    parents = _parents(domain)
    made: Rows = {}
    for table in _parents_first(domain, parents):
        made[table.name] = _bridge_rows(table, parents, made, rng) if table.bridge else _rows(table, parents, made, rng)
    return {table.name: made[table.name] for table in domain.tables}


def _parents(domain: Domain) -> dict[tuple[str, str], str]:
    """(table, foreign key column) -> the table it references."""
    found = {(link.child, link.fk): link.parent for link in domain.links}
    for bridge in domain.bridges:
        found[bridge.table, bridge.left_fk] = bridge.left
        found[bridge.table, bridge.right_fk] = bridge.right
    for table in domain.tables:
        for column in table.columns:
            if column.kind == "fk" and (table.name, column.name) not in found:
                raise ValueError(f"{domain.name}: {table.name}.{column.name} is a foreign key without a link or bridge")
    return found


def _parents_first(domain: Domain, parents: dict[tuple[str, str], str]) -> list[Table]:
    waiting = list(domain.tables)
    done: list[Table] = []
    while waiting:
        names = {t.name for t in done}
        ready = [t for t in waiting if all(p in names or p == t.name for (c, _), p in parents.items() if c == t.name)]
        if not ready:
            raise ValueError(f"{domain.name}: the links of {', '.join(t.name for t in waiting)} form a circle")
        done += ready
        waiting = [t for t in waiting if t not in ready]
    return done


def _rows(table: Table, parents: dict[tuple[str, str], str], made: Rows, rng: random.Random) -> list[Row]:
    count = min([table.rows, *(len(c.pool) for c in table.columns if c.kind == "name")])
    values: list[list[int | float | str | None]] = []
    for column in table.columns:
        if column.kind == "fk":
            parent = parents[table.name, column.name]
            size = count if parent == table.name else len(made[parent])
            values.append([i + 1 for i in rng.choices(range(size), _skewed(size, rng), k=count)])
        else:
            drawn = _values(column, count, rng)
            values.append([None if column.nullable and rng.random() < column.nullable else v for v in drawn])
    return list(zip(*values, strict=True))


def _bridge_rows(table: Table, parents: dict[tuple[str, str], str], made: Rows, rng: random.Random) -> list[Row]:
    """As `_rows`, with distinct pairs (triples) of foreign keys; fewer rows when the pairs run out."""
    keys = [c for c in table.columns if c.kind == "fk"]
    sizes = [len(made[parents[table.name, c.name]]) for c in keys]
    weights = [_skewed(size, rng) for size in sizes]
    pairs: dict[tuple[int, ...], None] = {}
    for _ in range(table.rows * 6):
        if len(pairs) == table.rows:
            break
        pairs[tuple(rng.choices(range(1, n + 1), w)[0] for n, w in zip(sizes, weights, strict=True))] = None
    rest = [None if c.kind == "fk" else _values(c, len(pairs), rng) for c in table.columns]
    rows = []
    for i, pair in enumerate(pairs):
        key = iter(pair)
        rows.append(tuple(next(key) if column is None else column[i] for column in rest))
    return rows


def _skewed(size: int, rng: random.Random) -> list[float]:
    """Weights of parents: about a fifth get no child, the rest fall off gently."""
    weights = [1 / (1 + rank) ** 0.5 for rank in range(size)]
    for i in range(size - max(1, size // 5), size):
        weights[i] = 0.0 if size > 2 else weights[i]
    rng.shuffle(weights)
    return weights


def _values(column: Column, count: int, rng: random.Random) -> list[int | float | str | None]:
    match column.kind:
        case "id":
            return list(range(1, count + 1))
        case "name":
            return list(rng.sample(column.pool, count))
        case "category":
            pool = rng.sample(column.pool, len(column.pool))
            return [*rng.choices(pool, [1 / (1 + i) ** 0.5 for i in range(len(pool))], k=count)]
        case "flag":
            return ["yes" if rng.random() < 0.55 else "no" for _ in range(count)]
        case "year":
            return [int(v) for v in _mostly_distinct(column, count, rng)]
        case "number":
            return list(_mostly_distinct(column, count, rng))
        case "date":
            return [_date(column, rng) for _ in range(count)]
        case _:
            raise ValueError(f"column {column.name}: kind {column.kind!r} has no values of its own")


def _mostly_distinct(column: Column, count: int, rng: random.Random) -> list[int | float]:
    steps = int(round((column.high - column.low) / column.step)) + 1
    fresh = min(count, steps) if column.kind == "number" else min(count // 2, steps)
    picks = rng.sample(range(steps), fresh) + rng.choices(range(steps), k=count - fresh)
    rng.shuffle(picks)
    if column.step == int(column.step):
        return [int(column.low + i * column.step) for i in picks]
    return [round(column.low + i * column.step, 4) for i in picks]


def _date(column: Column, rng: random.Random) -> str:
    first = datetime.date(int(column.low) if column.low else 2010, 1, 1)
    last = datetime.date(int(column.high) if column.high else 2023, 12, 28)
    return (first + datetime.timedelta(days=rng.randrange((last - first).days))).isoformat()


def to_sql(domain: Domain, rows: Rows) -> str:
    """The script that builds the database: CREATE TABLE with keys, then INSERT, table by table, parents first."""
    parents = _parents(domain)
    parts = []
    for table in _parents_first(domain, parents):
        parts.append(f"{_create(domain, table, parents)}\n\n{_insert(table, rows[table.name])}")
    return "\n\n".join(parts) + "\n"


def _create(domain: Domain, table: Table, parents: dict[tuple[str, str], str]) -> str:
    lines = [f"  {c.name} {c.sql_type}{' PRIMARY KEY' if c.kind == 'id' else ''}" for c in table.columns]
    keys = [c.name for c in table.columns if c.kind == "fk"]
    if all(c.kind != "id" for c in table.columns):
        lines.append(f"  PRIMARY KEY ({', '.join(keys)})")
    for key in keys:
        parent = domain.table(parents[table.name, key])
        lines.append(f"  FOREIGN KEY ({key}) REFERENCES {parent.name}({primary_key(parent)})")
    return f"CREATE TABLE {table.name} (\n" + ",\n".join(lines) + "\n);"


def _insert(table: Table, rows: list[Row]) -> str:
    lines = [f"  ({', '.join(literal(v) for v in row)})" for row in rows]
    return f"INSERT INTO {table.name} VALUES\n" + ",\n".join(lines) + ";"


def primary_key(table: Table) -> str:
    """The name of the `id` column. ValueError when there is none."""
    for column in table.columns:
        if column.kind == "id":
            return column.name
    raise ValueError(f"table {table.name} must have a column of kind 'id'")


def literal(value: int | float | str | None) -> str:
    """A value as SQL text.

    >>> literal("jazz"), literal(2.50), literal(3.0), literal(None)
    ("'jazz'", '2.5', '3', 'NULL')
    """
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(int(value)) if value == int(value) else repr(value)
