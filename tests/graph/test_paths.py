import time

from graph.build import schema_graph
from graph.paths import connecting_tables, join_paths
from graph.schema import Column, ForeignKey, Schema, Table


def schema(*edges: str) -> Schema:
    """ "a>b" is a key of a to b; tables in order of first mention."""
    pairs = [edge.split(">") for edge in edges]
    names = dict.fromkeys(name for pair in pairs for name in pair)
    tables = tuple(Table(name, (Column("id", "INTEGER", True), Column("ref", "INTEGER"))) for name in names)
    keys = [ForeignKey(left, (f"ref{place}",), right, ("id",)) for place, (left, right) in enumerate(pairs)]
    return Schema("s", tables, tuple(keys))


def ways(graph, source: str, target: str) -> list[list[tuple[str, str]]]:
    return [[(join.key.table, join.key.parent) for join in path] for path in join_paths(graph, source, target)]


def test_all_shortest_paths_are_found_in_declaration_order_whatever_the_direction_of_keys():
    graph = schema_graph(schema("z>a", "z>b", "m>a", "m>b", "a>far", "far>b"), infer=False)
    assert ways(graph, "a", "b") == [[("z", "a"), ("z", "b")], [("m", "a"), ("m", "b")], [("a", "far"), ("far", "b")]]


def test_parallel_keys_make_parallel_paths():
    graph = schema_graph(schema("flight>airport", "flight>airport"), infer=False)
    columns = [[join.key.columns for join in path] for path in join_paths(graph, "flight", "airport")]
    assert columns == [[("ref0",)], [("ref1",)]]


def test_tables_without_a_way_between_them_have_no_path():
    graph = schema_graph(schema("a>b", "c>d"), infer=False)
    assert join_paths(graph, "a", "c") == () == join_paths(graph, "a", "a")


def test_bridge_tables_are_kept_and_others_are_not():
    graph = schema_graph(schema("link>student", "link>course", "course>teacher"), infer=False)
    assert connecting_tables(graph, ["course", "student"]) == ("link", "student", "course")
    assert connecting_tables(graph, ["teacher"]) == ("teacher",)


def test_graph_and_paths_of_five_hundred_tables_take_less_than_a_second():
    chain = [f"t{i}>t{(i * 7 + 1) % 500}" for i in range(500)] + [f"t{i}>t{i + 1}" for i in range(499)]
    large = schema(*chain)
    began = time.process_time()
    graph = schema_graph(large)
    assert connecting_tables(graph, ["t3", "t250", "t499"]) and join_paths(graph, "t3", "t499")
    assert time.process_time() - began < 1
