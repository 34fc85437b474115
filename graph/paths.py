"""Join paths: how tables hang together, all shortest ways of it, in an order that never changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations, islice, pairwise, product

import networkx

from graph.build import Join
from graph.schema import fold

Path = tuple[Join, ...]


def join_paths(graph: networkx.MultiGraph, source: str, target: str, limit: int = 1000) -> tuple[Path, ...]:
    """Every shortest chain of joins from one table to another; () when there is none, or they are the same table.

    Parallel keys make parallel paths. Order: by the tables on the way as the schema declares them, then by the keys.
    Of more than `limit` paths the first are given: their number can grow as a power of their length. Table names are
    matched without case. KeyError: no such table.
    """
    tables = _tables(graph)
    paths = (
        path
        for way in _ways(tables, *_spelled(tables, (source, target)))
        for path in product(*(_joins_between(graph, left, right) for left, right in pairwise(way)))
        if path
    )
    return tuple(islice(paths, limit))


def connecting_tables(graph: networkx.MultiGraph, wanted: Iterable[str]) -> tuple[str, ...]:
    """The wanted tables and every table on a shortest path between two of them, in declaration order.

    Names are matched without case. KeyError: no such table.
    """
    tables = _tables(graph)
    kept = set(_spelled(tables, wanted))
    far = {name: networkx.single_source_shortest_path_length(tables, name) for name in sorted(kept)}
    for source, target in combinations(far, 2):
        length = far[source].get(target)
        if length is not None:
            kept.update(name for name, steps in far[source].items() if steps + far[target][name] == length)
    return tuple(name for name in tables if name in kept)


def _tables(graph: networkx.MultiGraph) -> networkx.Graph:
    """Tables only, one edge where any join is."""
    simple = networkx.Graph()
    simple.add_nodes_from(node[0] for node in graph if len(node) == 1)
    simple.add_edges_from((left[0], right[0]) for left, right, join in graph.edges(keys=True) if join)
    return simple


def _spelled(tables: networkx.Graph, names: Iterable[str]) -> list[str]:
    """The names as the schema spells them."""
    declared = {fold(name): name for name in tables}
    found = []
    for name in names:
        if fold(name) not in declared:
            raise KeyError(f"no table {name!r} in the graph; it has {', '.join(tables)}")
        found.append(declared[fold(name)])
    return found


def _ways(tables: networkx.Graph, source: str, target: str) -> Iterator[list[str]]:
    """The tables on each shortest way, the ways in declaration order, made as they are asked for."""
    left = networkx.single_source_shortest_path_length(tables, target)
    order = {name: place for place, name in enumerate(tables)}
    open_ways = [[source]] if source in left else []
    while open_ways:
        way = open_ways.pop()
        if way[-1] == target:
            yield way
        nearer = (name for name in tables[way[-1]] if left[name] == left[way[-1]] - 1)
        open_ways += ([*way, name] for name in sorted(nearer, key=order.__getitem__, reverse=True))


def _joins_between(graph: networkx.MultiGraph, left: str, right: str) -> list[Join]:
    return list(graph[(left,)][(right,)])
