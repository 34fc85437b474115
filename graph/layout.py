"""Where the boxes of a schema's picture stand: in columns, joined tables in neighbouring ones, no box over another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import networkx

GAP = 1.5  # lines of text between two boxes


def layered(heights: Mapping[str, float], joins: Iterable[tuple[str, str]]) -> dict[str, tuple[int, float]]:
    """Box -> (column, top), in lines of text from above.

    Each connected part spreads from its most joined table: what is n joins away stands n columns off, to both sides,
    or further where a column would grow higher than the picture is wide. Same input, same picture.

    >>> layered({"a": 2, "b": 2, "c": 2}, [("a", "b"), ("b", "c")])
    {'a': (0, 0.0), 'b': (1, 0.0), 'c': (2, 0.0)}
    """
    graph = networkx.Graph()
    graph.add_nodes_from(heights)
    graph.add_edges_from((left, right) for left, right in joins if left != right)
    tallest = max(max(heights.values(), default=0.0), 1.6 * sum(heights.values()) ** 0.5 * 2)
    columns: list[list[str]] = []
    alone: list[str] = []
    for part in networkx.connected_components(graph):
        names = [name for name in heights if name in part]
        if len(names) == 1:
            alone += names
        else:
            columns += [found for layer in _layers(graph, names) for found in _split(layer, heights, tallest)]
    columns += _split(alone, heights, tallest)
    places = {name: (place, top) for place, column in enumerate(columns) for name, top in _tops(column, heights)}
    return {name: places[name] for name in heights}


def _layers(graph: networkx.Graph, names: list[str]) -> list[list[str]]:
    """The hub in the middle; its neighbours on both sides in turn, and what hangs on them further out."""
    hub = max(names, key=lambda name: (graph.degree(name), -names.index(name)))
    sides: dict[str, int] = {hub: 0}
    far: dict[str, int] = {hub: 0}
    for _, name in networkx.bfs_edges(graph, hub):
        parent = min((other for other in graph[name] if other in far), key=lambda other: far[other])
        far[name] = far[parent] + 1
        right = [other for other in sides if sides[other] > 0]
        left = [other for other in sides if sides[other] < 0]
        sides[name] = (-1 if len(left) <= len(right) else 1) if parent == hub else sides[parent]
    places = {name: sides[name] * far[name] for name in far}
    return [[name for name in names if places[name] == place] for place in sorted(set(places.values()))]


def _split(names: list[str], heights: Mapping[str, float], tallest: float) -> list[list[str]]:
    columns: list[list[str]] = []
    filled = 0.0
    for name in names:
        if not columns or filled + heights[name] > tallest:
            columns.append([])
            filled = 0.0
        columns[-1].append(name)
        filled += heights[name] + GAP
    return columns


def _tops(column: list[str], heights: Mapping[str, float]) -> list[tuple[str, float]]:
    tops, top = [], 0.0
    for name in column:
        tops.append((name, top))
        top += heights[name] + GAP
    return tops
