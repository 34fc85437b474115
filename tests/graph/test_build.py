from dataclasses import replace

from graph.build import inferred_keys, joins, schema_graph
from graph.introspect import schema_from_sqlite
from graph.schema import Column, ForeignKey, Schema, SchemaError, Table


def table(name: str, *columns: str) -> Table:
    """Columns as "name:TYPE", "*name:TYPE" for the key."""
    parts = [column.split(":") for column in columns]
    return Table(name, tuple(Column(n.lstrip("*"), kind, n.startswith("*")) for n, kind in parts))


AIRPORT = table("airport", "*code:TEXT", "city:TEXT")
FLIGHT = table("flight", "*id:INTEGER", "source:TEXT", "dest:TEXT")
SOURCE = ForeignKey("flight", ("source",), "airport", ("code",))
DEST = ForeignKey("flight", ("dest",), "airport", ("code",))


def test_two_keys_between_the_same_tables_are_two_edges():
    graph = schema_graph(Schema("s", (AIRPORT, FLIGHT), (SOURCE, DEST)))
    assert [join.key for join in graph[("flight",)][("airport",)]] == [SOURCE, DEST]


def test_columns_hang_on_their_table_and_keys_are_told_apart():
    graph = schema_graph(Schema("s", (AIRPORT,)))
    assert {node: data["kind"] for node, data in graph.nodes(data=True)} == {
        ("airport",): "table",
        ("airport", "code"): "column",
        ("airport", "city"): "column",
    }
    assert [data["kind"] for *_, data in graph.edges(data=True)] == ["primary_key", "owns"]


def test_a_key_to_its_own_table_is_a_loop():
    boss = ForeignKey("worker", ("boss",), "worker", ("id",))
    graph = schema_graph(Schema("s", (table("worker", "*id:INTEGER", "boss:INTEGER"),), (boss,)))
    assert graph.number_of_edges(("worker",), ("worker",)) == 1


def test_the_same_speaking_name_is_a_join_and_a_bare_id_is_not():
    speaking = Schema("s", (table("a", "*song_id:INT"), table("b", "*id:INT", "Song_ID:INTEGER")))
    bare = Schema("s", (table("a", "*id:INT", "name:TEXT"), table("b", "*id:INT", "name:TEXT")))
    assert inferred_keys(speaking) == (ForeignKey("b", ("Song_ID",), "a", ("song_id",)),)
    assert inferred_keys(bare) == ()


def test_a_join_needs_one_affinity_and_one_target():
    assert inferred_keys(Schema("s", (table("a", "*song_id:INT"), table("b", "song_id:TEXT")))) == ()
    assert inferred_keys(Schema("s", (table("a", "*x_id:INT"), table("c", "*x_id:INT"), table("b", "x_id:INT"))))[
        :1
    ] == (ForeignKey("a", ("x_id",), "c", ("x_id",)),)  # a and c share their key; b could mean either


def test_what_is_declared_is_never_inferred_again_in_either_direction():
    left, right = table("a", "*song_id:INT"), table("b", "*song_id:INT")
    key = ForeignKey("a", ("song_id",), "b", ("song_id",))
    assert [join.kind for join in joins(Schema("s", (left, right), (key,)))] == ["declared"]


def test_inferred_joins_find_declared_ones_of_spider_again_when_those_are_hidden(spider_dir):
    right = found = declared = 0
    for path in sorted((spider_dir / "database").glob("*/*.sqlite")):
        try:
            schema = schema_from_sqlite(path)
        except SchemaError:
            continue
        truth = {frozenset(((k.table, k.columns), (k.parent, k.parent_columns))) for k in schema.foreign_keys}
        hidden = inferred_keys(replace(schema, foreign_keys=()))
        guesses = {frozenset(((k.table, k.columns), (k.parent, k.parent_columns))) for k in hidden}
        right, found, declared = right + len(guesses & truth), found + len(guesses), declared + len(truth)
    print(f"precision {right / found:.3f} of {found}, recall {right / declared:.3f} of {declared}")
    assert right / found > 0.8 and right / declared > 0.5
