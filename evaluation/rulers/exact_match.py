"""em_spider and hardness: Spider's exact set match and difficulty levels, as its official evaluator gives them.

Two queries match when each clause holds the same set of parts. Not compared: values, DISTINCT, join conditions, the
number after LIMIT, the order of tables; columns that a foreign key links are one column. Subqueries in conditions are
compared as they are read, DISTINCT and order of tables included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evaluation.rulers.ruler import Ruler
from evaluation.rulers.spider_sql import (
    SET_OPERATIONS,
    ColumnUnit,
    Condition,
    Conditions,
    Query,
    SchemaNames,
    UnreadableSql,
    ValueUnit,
    read_query,
)
from graph.schema import Schema
from graph.tables_json import Entry

LEVELS = ("easy", "medium", "hard", "extra")


@dataclass(frozen=True)
class MatchSchema:
    """names: lower-case table -> columns; same_as: "__t.c__" -> the column that stands for all its foreign keys."""

    names: SchemaNames
    same_as: Mapping[str, str]


def match_schema(schema: Schema) -> MatchSchema:
    """From a database's own declarations; composite foreign keys link column by column."""
    tables = [table for table in schema.tables if not table.is_view]
    names = {table.name.lower(): tuple(column.name.lower() for column in table.columns) for table in tables}
    columns = [f"__{table}.{column}__" for table, listed in names.items() for column in listed]
    places = {column: place for place, column in enumerate(columns)}
    links = [
        (f"__{key.table}.{child}__".lower(), f"__{key.parent}.{parent}__".lower())
        for key in schema.foreign_keys
        for child, parent in zip(key.columns, key.parent_columns, strict=False)
    ]
    pairs = [(places[child], places[parent]) for child, parent in links if child in places and parent in places]
    return MatchSchema(names, same_columns(columns, pairs))


def same_as_from_tables_json(entry: Entry) -> dict[str, str]:
    """The columns that foreign keys make one, from a database's entry in tables.json."""
    columns = [
        f"__{entry.tables[table]}.{name}__".lower() if table >= 0 else "__all__" for table, name in entry.columns
    ]
    return same_columns(columns, entry.key_pairs)


def same_columns(columns: Sequence[str], pairs: Iterable[tuple[int, int]]) -> dict[str, str]:
    """Column -> the first column of its set. A pair joins the first set that holds one of the two; sets never merge."""
    sets: list[set[int]] = []
    for pair in pairs:
        home = next((known for known in sets if known & set(pair)), None)
        if home is None:
            home = set()
            sets.append(home)
        home.update(pair)
    return {columns[place]: columns[min(known)] for known in sets for place in sorted(known)}


def em_spider(gold_sql: str, prediction_sql: str, schema: MatchSchema) -> bool:
    """Exact set match. False when either query cannot be read.

    The prediction is taken as the official evaluator reads it from a file: its first line, up to a tab, with the
    letters "value" replaced by 1.
    """
    line = prediction_sql.strip().split("\n")[0].strip().split("\t")[0].replace("value", "1")
    try:
        gold, prediction = read_query(gold_sql, schema.names), read_query(line, schema.names)
    except UnreadableSql:
        return False
    return same_query(comparable(prediction, schema), comparable(gold, schema))


def hardness(gold_sql: str, schema: MatchSchema) -> str:
    """One of LEVELS; "" when the query cannot be read."""
    try:
        return level(read_query(gold_sql, schema.names))
    except UnreadableSql:
        return ""


def same_query(prediction: Query, gold: Query) -> bool:
    """Whether two comparable queries match in every clause."""
    return (
        Counter(prediction.outputs) == Counter(gold.outputs)
        and _bag(prediction.where[::2]) == _bag(gold.where[::2])
        and set(prediction.where[1::2]) == set(gold.where[1::2])
        and _same_groups(prediction, gold)
        and bool(prediction.order) == bool(gold.order)
        and (not gold.order or (prediction.order == gold.order and prediction.limit == gold.limit))
        and _keywords(prediction) == _keywords(gold)
        and _same_second(prediction, gold)
        and _bag(prediction.tables) == _bag(gold.tables)
    )


def level(query: Query) -> str:
    """Easy to extra, by three counts: clauses, nesting, and how much there is in the clauses."""
    clauses, nested, others = _count_clauses(query), len(_nested(query)), _count_others(query)
    if clauses <= 1 and others == 0 and nested == 0:
        return "easy"
    if nested == 0 and ((others <= 2 and clauses <= 1) or (clauses <= 2 and others < 2)):
        return "medium"
    if nested == 0 and ((others > 2 and clauses <= 2) or (2 < clauses <= 3 and others <= 2)):
        return "hard"
    return "hard" if clauses <= 1 and others == 0 and nested <= 1 else "extra"


def comparable(query: Query, schema: MatchSchema) -> Query:
    """The query without values and DISTINCT, and with one name for columns that foreign keys link."""
    prefixes = tuple(f"{table[:-2]}." for table in query.tables if isinstance(table, str))
    names = {column: same for column, same in schema.same_as.items() if column.startswith(prefixes)}
    return _renamed(_without_values(query), names)


def _without_values(query: Query) -> Query:
    def stripped(conditions: Conditions) -> Conditions:
        return tuple(part if isinstance(part, str) else _condition_without_values(part) for part in conditions)

    return replace(
        query,
        joins=stripped(query.joins),
        where=stripped(query.where),
        having=stripped(query.having),
        second=_without_values(query.second) if query.second else None,
    )


def _condition_without_values(condition: Condition) -> Condition:
    value, second = (
        _without_values(kept) if isinstance(kept, Query) else None for kept in (condition.value, condition.second)
    )
    return condition._replace(value=value, second=second)


def _renamed(query: Query, names: Mapping[str, str]) -> Query:
    """Columns of the outer query and of what a set operation adds to it; subqueries in conditions keep theirs."""

    def column(unit: ColumnUnit) -> ColumnUnit:
        return ColumnUnit(unit.aggregate, names.get(unit.column, unit.column), None)

    def value(unit: ValueUnit) -> ValueUnit:
        return ValueUnit(unit.operator, column(unit.left), column(unit.right) if unit.right else None)

    def conditions(found: Conditions) -> Conditions:
        return tuple(part if isinstance(part, str) else part._replace(left=value(part.left)) for part in found)

    return replace(
        query,
        distinct=None,
        outputs=tuple((aggregate, value(unit)) for aggregate, unit in query.outputs),
        joins=conditions(query.joins),
        where=conditions(query.where),
        group_by=tuple(map(column, query.group_by)),
        having=conditions(query.having),
        order=(query.order[0], tuple(map(value, query.order[1]))) if query.order else (),
        second=_renamed(query.second, names) if query.second else None,
    )


def _bag(items: Iterable[Any]) -> Counter[Any]:
    return Counter(items)


def _same_groups(prediction: Query, gold: Query) -> bool:
    """The same columns by name alone; HAVING counts only where both group, and then by the columns in order."""
    left, right = ([unit.column for unit in query.group_by] for query in (prediction, gold))
    bare = [Counter(column.split(".")[1] if "." in column else column for column in side) for side in (left, right)]
    if bare[0] != bare[1]:
        return False
    return not left or (left == right and prediction.having == gold.having)


def _same_second(prediction: Query, gold: Query) -> bool:
    if prediction.set_operation != gold.set_operation:
        return False
    return prediction.second is None or gold.second is None or same_query(prediction.second, gold.second)


def _conditions(query: Query) -> list[Condition]:
    return [
        part for found in (query.joins, query.where, query.having) for part in found[::2] if not isinstance(part, str)
    ]


def _ors(query: Query) -> int:
    return sum(part == "or" for found in (query.joins, query.where, query.having) for part in found[1::2])


def _nested(query: Query) -> list[Query]:
    values = [value for condition in _conditions(query) for value in (condition.value, condition.second)]
    return [value for value in [*values, query.second] if isinstance(value, Query)]


def _keywords(query: Query) -> set[str]:
    conditions = _conditions(query)
    present = {
        "where": query.where,
        "group": query.group_by,
        "having": query.having,
        "order": query.order,
        "limit": query.limit,
        "or": _ors(query),
        "not": any(condition.negated for condition in conditions),
        "in": any(condition.comparison == "in" for condition in conditions),
        "like": any(condition.comparison == "like" for condition in conditions),
    }
    used = {word for word, there in present.items() if there}
    return used | set(query.order[:1]) | ({query.set_operation} & set(SET_OPERATIONS))


def _count_clauses(query: Query) -> int:
    clauses = sum(map(bool, (query.where, query.group_by, query.order, query.limit)))
    likes = sum(condition.comparison == "like" for condition in _conditions(query))
    return clauses + max(0, len(query.tables) - 1) + _ors(query) + likes


def _count_others(query: Query) -> int:
    """Of four: more than one aggregate, output, WHERE part, grouping column.

    As in the official count, a NOT is an aggregate, and so is each AND or OR of HAVING.
    """
    ordered = [
        column for unit in (query.order[1] if query.order else ()) for column in (unit.left, unit.right) if column
    ]
    aggregates = sum(aggregate != "none" for aggregate, _ in query.outputs)
    aggregates += sum(column.aggregate != "none" for column in [*query.group_by, *ordered])
    aggregates += sum(part.negated for part in query.where[::2] if not isinstance(part, str))
    aggregates += sum(isinstance(part, str) or part.negated for part in query.having)
    return sum(count > 1 for count in (aggregates, len(query.outputs), len(query.where), len(query.group_by)))


RULERS = (Ruler("em_spider", lambda judged: em_spider(judged.example.gold_sql, judged.sql, judged.schema)),)
