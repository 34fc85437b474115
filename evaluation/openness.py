"""What a gold query leaves to SQLite beside the order of its rows, and how to ask whether that made a difference.

The value of a column beside an aggregate, which of several equal rows a LIMIT or a scalar subquery takes, the number of
a row among its peers, the spelling that stands for texts equal under a collation. Each is a doubt: a probe that returns
a row when there was a choice, or an inner query whose own ties are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlglot import exp

from evaluation.ordering import parse

_BY_PLACE = (exp.RowNumber, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue, exp.Ntile)
_BY_CHANCE = (exp.Rand, exp.GroupConcat, exp.JSONArrayAgg, exp.JSONObjectAgg)  # the last three: in any order
_EXTREMES = (exp.Min, exp.Max)
_PEERS = "RANGE BETWEEN CURRENT ROW AND CURRENT ROW"


@dataclass(frozen=True)
class Doubts:
    """probes: queries that return a row if something was left open. inner: queries whose tied rows leave it open.

    always: it is open, or cannot be read.
    """

    probes: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()
    always: bool = False


@lru_cache(maxsize=50_000)
def doubts(sql: str) -> Doubts:
    """Of a gold query, its outermost ORDER BY and LIMIT aside.

    >>> doubts("SELECT count(*) FROM t")
    Doubts(probes=(), inner=(), always=False)
    """
    tree = parse(sql)
    if tree is None:
        return Doubts(always=True)
    head, nodes = _head(tree), list(tree.walk())
    queries = [node for node in nodes if isinstance(node, exp.Query)]
    probes = [head + probe for node in queries for probe in _probes(node, node is tree)]
    inner = [head + query for query in _choosers(tree, queries)]
    return Doubts(tuple(dict.fromkeys(probes)), tuple(dict.fromkeys(inner)), any(map(_by_chance, nodes)))


def _by_chance(node: exp.Expr) -> bool:
    return isinstance(node, _BY_CHANCE) or (isinstance(node, exp.Anonymous) and node.name.lower() == "randomblob")


def _probes(node: exp.Expr, outermost: bool) -> Iterator[str]:
    if isinstance(node, exp.SetOperation) and (node.args.get("distinct") or not isinstance(node, exp.Union)):
        yield from _merging(_plain(exp.Union(this=node.this.copy(), expression=node.expression.copy(), distinct=False)))
    if not isinstance(node, exp.Select):
        return
    if node.args.get("distinct"):
        yield from _merging(_plain(node, keep_with=not outermost))
    for window in node.find_all(exp.Window):
        if window.find_ancestor(exp.Select) is node and _depends_on_place(window):
            yield _peers(_plain(node, keep_with=not outermost), window)
    aggregates = [found for found in _own(node, exp.AggFunc) if not isinstance(found.parent, exp.Window)]
    if aggregates or node.args.get("group"):
        head = "" if outermost else _head(node)
        yield from _beside_aggregates(node, head, [found for found in aggregates if isinstance(found, _EXTREMES)])


def _choosers(tree: exp.Query, queries: Sequence[exp.Query]) -> Iterator[str]:
    """Queries inside that return some of their rows: with a LIMIT, or used as one value."""
    for node in queries:
        if node is tree or isinstance(node, exp.Subquery) or isinstance(node.parent, exp.Exists):
            continue
        if node.args.get("limit"):
            yield node.sql("sqlite")
        elif _is_value(node) and not _is_one_row(node):
            yield node.limit(1).sql("sqlite")


def _is_value(node: exp.Expr) -> bool:
    around = node.parent.parent if isinstance(node.parent, exp.Subquery) else node.parent
    tables = (exp.From, exp.Join, exp.In, exp.CTE, exp.SetOperation, exp.Exists, exp.Subquery, exp.Query)
    if isinstance(around, exp.Select):  # an output of it, not what it selects from
        return isinstance(node.parent, exp.Subquery) and node.parent.arg_key == "expressions"
    return around is not None and not isinstance(around, tables)


def _is_one_row(node: exp.Expr) -> bool:
    return isinstance(node, exp.Select) and not node.args.get("group") and any(True for _ in _own(node, exp.AggFunc))


def _own(query: exp.Expr, *kinds: type[exp.Expr]) -> Iterator[Any]:
    """Nodes of a SELECT's outputs, HAVING and ORDER BY that are not of a query inside it."""
    for part in (*query.args["expressions"], query.args.get("having"), query.args.get("order")):
        for found in part.find_all(*kinds) if part else ():
            if found.find_ancestor(exp.Select) is query:
                yield found


def _plain(node: exp.Expr, keep_with: bool = True) -> exp.Expr:
    """A copy without what picks or orders rows at the end; its own WITH stands before the probe if it is outermost."""
    query = node.copy()
    for name in ("distinct", "limit", "offset", *(() if keep_with else ("with_",))):
        if not (name == "distinct" and isinstance(query, exp.SetOperation)):
            query.set(name, None)
    return query


def _merging(query: exp.Expr) -> Iterator[str]:
    """Whether rows of a query, given as a copy, that count as one are spelled differently: under NOCASE some are."""
    outputs = query.selects if isinstance(query, exp.Query) else []
    if not outputs or any(output.is_star for output in outputs):
        return
    query.set("order", None)
    names = [f"c{place}" for place in range(len(outputs))]
    yield (
        f"SELECT 1 FROM (WITH merged({', '.join(names)}) AS ({query.sql('sqlite', copy=False)}) SELECT * FROM merged) "
        f"GROUP BY {', '.join(names)} HAVING {_differ(names)} LIMIT 1"
    )


def _depends_on_place(window: exp.Window) -> bool:
    spec = window.args.get("spec")
    return isinstance(window.this, _BY_PLACE) or bool(spec and spec.args.get("kind") == "ROWS")


def _peers(query: exp.Expr, window: exp.Window) -> str:
    """Whether some row of a window of a query, given as a copy, has a peer, so that their places can be exchanged."""
    parts = ", ".join(part.sql("sqlite") for part in window.args.get("partition_by") or ())
    order = window.args.get("order")
    over = (f"PARTITION BY {parts} " if parts else "") + (f"{order.sql('sqlite')} {_PEERS}" if order else "")
    query.set("expressions", [exp.alias_(exp.column("peers"), "peers")])
    query.set("order", None)
    text = query.sql("sqlite", copy=False).replace("peers AS peers", f"count(*) OVER ({over}) AS peers", 1)
    return f"SELECT 1 FROM ({text}) WHERE peers > 1 LIMIT 1"


def _beside_aggregates(query: exp.Expr, head: str, extremes: list[exp.Expr]) -> Iterator[str]:
    """Whether an output outside the aggregates has several values in a group: of all rows, or of those that hold the
    one minimum or maximum, which SQLite takes it from."""
    keys = [_meant(query, key) for key in (query.args["group"].expressions if query.args.get("group") else ())]
    aliases = {output.alias.lower() for output in query.expressions if output.alias}
    bare = list(dict.fromkeys(_bare(query, {key.sql("sqlite").lower() for key in keys}, aliases)))
    if not (bare or extremes):
        return
    if "*" in bare:
        bare = ["rowid"] if not query.args.get("joins") else ["random()"]
    if len(extremes) == 1:
        yield from _at_extreme(query, head, keys, bare, extremes[0])
    elif bare:
        having = query.args.get("having")
        condition = f"({having.this.sql('sqlite')}) AND ({_differ(bare)})" if having else _differ(bare)
        yield f"{head}{_body(query, ['count(*)'])}{_group(keys)} HAVING {condition} LIMIT 1"


def _at_extreme(
    query: exp.Expr, head: str, keys: list[exp.Expr], bare: list[str], extreme: exp.Expr
) -> Iterator[str]:
    value = extreme.this.sql("sqlite")
    names = [f"k{place}" for place in range(len(keys))]
    shown = [f"{key.sql('sqlite')} AS {name}" for key, name in zip(keys, names, strict=True)]
    columns = [*dict.fromkeys([*bare, value])]
    shown += [f"{column} AS b{place}" for place, column in enumerate(columns)]
    parts = f"PARTITION BY {', '.join(key.sql('sqlite') for key in keys)}" if keys else ""
    best = f"{'max' if isinstance(extreme, exp.Max) else 'min'}({value}) OVER ({parts}) AS best"
    group = f" GROUP BY {', '.join(names)}" if names else ""
    yield (
        f"SELECT count(*) FROM ({head}{_body(query, [*shown, best])}) WHERE b{columns.index(value)} IS best{group} "
        f"HAVING {_differ([f'b{place}' for place in range(len(columns))])} LIMIT 1"
    )


def _bare(query: exp.Expr, keys: set[str], aliases: set[str]) -> Iterator[str]:
    """Columns, and expressions that are grouped by, outside of aggregates and of queries inside."""
    waiting = [*query.args["expressions"], query.args.get("having"), query.args.get("order")]
    while waiting:
        node = waiting.pop()
        if node is None or isinstance(node, (exp.AggFunc, exp.Window, exp.Query)):
            continue
        text = node.sql("sqlite")
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and node.is_star):
            yield "*"
        elif isinstance(node, exp.Column) and not node.table and node.name.lower() in aliases:
            continue
        elif isinstance(node, exp.Column) or text.lower() in keys:
            yield text
        else:
            waiting.extend(node.iter_expressions())


def _meant(query: exp.Expr, key: exp.Expr) -> exp.Expr:
    """What a key of GROUP BY stands for: the output of its number or alias, or itself."""
    outputs = query.expressions
    if isinstance(key, exp.Literal) and not key.is_string and 0 < int(key.this) <= len(outputs):
        return outputs[int(key.this) - 1].unalias()
    named = [
        o.unalias() for o in outputs if o.alias and isinstance(key, exp.Column) and o.alias.lower() == key.name.lower()
    ]
    return named[0] if named and not key.args.get("table") else key


def _head(query: exp.Expr) -> str:
    own = query.args.get("with_")
    return f"{own.sql('sqlite')} " if own else ""


def _body(query: exp.Expr, outputs: list[str]) -> str:
    """SELECT outputs FROM … WHERE … of the query."""
    found = [query.args.get("from_"), *(query.args.get("joins") or ()), query.args.get("where")]
    return f"SELECT {', '.join(outputs)} " + " ".join(part.sql("sqlite").strip() for part in found if part)


def _group(keys: list[exp.Expr]) -> str:
    return f" GROUP BY {', '.join(key.sql('sqlite') for key in keys)}" if keys else ""


def _differ(columns: list[str]) -> str:
    """Whether a group holds several values of a column, spelling and NULL told apart."""
    return " OR ".join(f"count(DISTINCT {c} COLLATE BINARY) + (count(*) > count({c})) > 1" for c in columns)
