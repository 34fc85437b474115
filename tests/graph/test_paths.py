import time

import pytest

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


def test_table_names_are_matched_without_case_and_an_unknown_one_is_named():
    graph = schema_graph(schema("Link>Student", "Link>Course"), infer=False)
    assert ways(graph, "STUDENT", "course") == [[("Link", "Student"), ("Link", "Course")]]
    assert connecting_tables(graph, ["student", "COURSE"]) == ("Link", "Student", "Course")
    for ask in (lambda: join_paths(graph, "link", "gone"), lambda: connecting_tables(graph, ["gone"])):
        with pytest.raises(KeyError, match="no table 'gone'"):
            ask()


def test_a_composite_key_is_one_join_of_a_path_and_a_key_to_its_own_table_is_on_none():
    pair = ForeignKey("part", ("a", "b"), "whole", ("x", "y"))
    own = ForeignKey("part", ("a",), "part", ("b",))
    columns = tuple(Column(name, "INT") for name in "abxy")
    graph = schema_graph(Schema("s", (Table("whole", columns), Table("part", columns)), (own, pair)), infer=False)
    assert [[join.key for join in path] for path in join_paths(graph, "whole", "part")] == [[pair]]


def test_of_endlessly_many_paths_the_first_are_given_at_once():
    # 12 layers of 8 tables, each joined with each of the next: 8^10 shortest paths from the first layer to the last
    layers = [f"t{x}_{i}>t{x + 1}_{j}" for x in range(11) for i in range(8) for j in range(8)]
    graph = schema_graph(schema(*layers), infer=False)
    first = join_paths(graph, "t0_0", "t11_0", limit=2)
    assert [path[-2].key.table for path in first] == ["t9_0", "t9_0"] and [len(path) for path in first] == [11, 11]
    assert len(connecting_tables(graph, ["t0_0", "t11_0"])) == 2 + 10 * 8


def test_graph_and_paths_of_five_hundred_tables_take_less_than_a_second():
    large, values = five_hundred_tables()
    began = time.process_time()
    graph = schema_graph(large, values=values)
    assert connecting_tables(graph, ["entity_3", "entity_250", "entity_499"])
    assert join_paths(graph, "entity_3", "entity_499")
    took = time.process_time() - began
    print(f"{took:.3f} s for {len(large.tables)} tables, {graph.number_of_edges()} edges")
    assert took < 1


def five_hundred_tables() -> tuple[Schema, dict[tuple[str, str], frozenset[str]]]:
    """20 columns each, a declared key to the next table, and two joins to be inferred, with 200 cells per column."""
    tables, keys = [], []
    for place in range(500):
        others = [f"next_id entity_{place * 7 % 500}_id main_entity_{place * 3 % 500}_id".split()]
        names = [f"entity_{place}_id", *others[0], *(f"note_{number}" for number in range(16))]
        columns = tuple(Column(name, "INTEGER", number == 0) for number, name in enumerate(names))
        tables.append(Table(f"entity_{place}", columns))
        parent = (place + 1) % 500
        keys.append(ForeignKey(f"entity_{place}", ("next_id",), f"entity_{parent}", (f"entity_{parent}_id",)))
    cells = frozenset(map(str, range(200)))
    values = {(table.name, column.name): cells for table in tables for column in table.columns}
    return Schema("large", tuple(tables), tuple(keys)), values
