"""Join paths: how tables hang together, all shortest ways of it, in an order that never changes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, pairwise, product

import networkx

from graph.build import Join

Path = tuple[Join, ...]


def join_paths(graph: networkx.MultiGraph, source: str, target: str) -> tuple[Path, ...]:
    """Every shortest chain of joins from one table to another; () when there is none, or they are the same table.

    Parallel keys make parallel paths. Order: by the tables on the way as the schema declares them, then by the keys.
    """
    tables = _tables(graph)
    if source == target or not networkx.has_path(tables, source, target):
        return ()
    order = {name: place for place, name in enumerate(tables)}
    ways = networkx.all_shortest_paths(tables, source, target)
    return tuple(
        path
        for way in sorted(ways, key=lambda way: [order[name] for name in way])
        for path in product(*(_joins_between(graph, left, right) for left, right in pairwise(way)))
    )


def connecting_tables(graph: networkx.MultiGraph, wanted: Iterable[str]) -> tuple[str, ...]:
    """The wanted tables and every table on a shortest path between two of them, in declaration order."""
    tables, kept = _tables(graph), set(wanted)
    for source, target in combinations(sorted(kept), 2):
        if networkx.has_path(tables, source, target):
            kept.update(*networkx.all_shortest_paths(tables, source, target))
    return tuple(name for name in tables if name in kept)


def _tables(graph: networkx.MultiGraph) -> networkx.Graph:
    """Tables only, one edge where any join is."""
    simple = networkx.Graph()
    simple.add_nodes_from(node[0] for node in graph if len(node) == 1)
    simple.add_edges_from((left[0], right[0]) for left, right, join in graph.edges(keys=True) if join)
    return simple


def _joins_between(graph: networkx.MultiGraph, left: str, right: str) -> list[Join]:
    return list(graph[(left,)][(right,)])
