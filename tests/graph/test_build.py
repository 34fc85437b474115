import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from graph.build import inferred_keys, joins, schema_graph
from graph.introspect import schema_from_sqlite
from graph.schema import Column, ForeignKey, Schema, Table


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


def test_a_table_without_a_declared_key_is_found_by_the_column_named_after_it():
    keyless = Schema("s", (table("players", "player_id:TEXT", "name:TEXT"), table("award", "player_id:TEXT")))
    assert inferred_keys(keyless) == (ForeignKey("award", ("player_id",), "players", ("player_id",)),)


ONE_TO_NINE = frozenset("123456789")
LETTERS = frozenset("abcdefghi")


def test_cells_that_the_target_does_not_hold_drop_a_join_that_names_suggest():
    schema = Schema("s", (table("song", "*song_id:INT"), table("b", "*id:INT", "song_id:INT")))
    assert len(inferred_keys(schema, {("song", "song_id"): ONE_TO_NINE, ("b", "song_id"): ONE_TO_NINE})) == 1
    far = {("song", "song_id"): ONE_TO_NINE, ("b", "song_id"): frozenset("1abc"), ("b", "id"): frozenset("9") | LETTERS}
    assert inferred_keys(schema, far) == ()
    # two cells say nothing, nor does what is missing from the largest sample: it may have been cut off
    assert len(inferred_keys(schema, far | {("b", "song_id"): frozenset("ab")})) == 1
    assert len(inferred_keys(schema, {("song", "song_id"): ONE_TO_NINE, ("b", "song_id"): frozenset("1abc")})) == 1


def test_cells_decide_between_two_targets_of_one_name():
    schema = Schema("s", (table("a", "*x_id:INT"), table("c", "*x_id:INT"), table("b", "x_id:INT")))
    values = {("a", "x_id"): ONE_TO_NINE, ("c", "x_id"): LETTERS, ("b", "x_id"): frozenset("abc1")}
    values["b", "number"] = frozenset(map(str, range(99)))
    assert inferred_keys(schema, values) == (ForeignKey("b", ("x_id",), "c", ("x_id",)),)


@pytest.mark.parametrize(
    "column", ["host_city_id:INT", "CityInChargeID:INT", "City_ID_2:INT", "city_id:TEXT", "Host_City:TEXT"]
)
def test_cells_admit_a_longer_name_or_another_type_only_when_the_target_holds_them(column):
    schema = Schema("s", (table("city", "*city_id:INT"), table("match", "*id:INT", column)))
    name = column.split(":")[0]
    parent = {("city", "city_id"): ONE_TO_NINE}
    assert inferred_keys(schema) == inferred_keys(schema, parent) == ()
    assert inferred_keys(schema, parent | {("match", name): frozenset("12ab")}) == ()
    held = inferred_keys(schema, parent | {("match", name): frozenset("123")})
    assert held == (ForeignKey("match", (name,), "city", ("city_id",)),)


@pytest.mark.parametrize("column", ["id:INT", "name:INT", "note:INT", "group_id:INT"])
def test_cells_alone_never_make_a_join(column):
    schema = Schema("s", (table("city", "*id:INT"), table("match", column)))
    values = {("city", "id"): ONE_TO_NINE, ("match", column.split(":")[0]): ONE_TO_NINE}
    assert inferred_keys(schema, values) == ()


def test_a_key_numbers_its_own_table_and_points_nowhere_by_a_longer_name():
    schema = Schema("s", (table("orders", "*order_id:INT"), table("order_items", "*order_item_id:INT")))
    values = {("orders", "order_id"): ONE_TO_NINE, ("order_items", "order_item_id"): ONE_TO_NINE}
    assert inferred_keys(schema, values) == ()


def test_a_schema_without_tables_and_a_table_of_two_thousand_columns_are_graphs():
    assert len(schema_graph(Schema("empty", ()))) == 0
    wide = table("wide", *(f"c{number}_id:INT" for number in range(2000)))
    assert len(schema_graph(Schema("s", (wide, AIRPORT)), values={})) == 2001 + 3


def ends(keys: Iterable[ForeignKey]) -> set[frozenset[tuple[str, tuple[str, ...]]]]:
    return {frozenset(((key.table, key.columns), (key.parent, key.parent_columns))) for key in keys}


def sampled(path: Path, schema: Schema) -> dict[tuple[str, str], frozenset[str]]:
    """At most 1,000 distinct cells of each column."""
    values = {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        for name, column in ((table.name, column.name) for table in schema.tables for column in table.columns):
            rows = connection.execute(f'SELECT DISTINCT "{column}" FROM "{name}" LIMIT 1000').fetchall()
            values[name, column] = frozenset(str(cell) for (cell,) in rows if cell not in (None, ""))
    return values


@pytest.mark.slow
def test_inferred_joins_find_declared_ones_of_spider_again_when_those_are_hidden(spider_dir):
    right: Counter[str] = Counter()
    found: Counter[str] = Counter()
    declared = 0
    for path in sorted((spider_dir / "database").glob("*/*.sqlite")):
        schema = schema_from_sqlite(path)
        truth, hidden = ends(schema.foreign_keys), replace(schema, foreign_keys=())
        declared += len(truth)
        for way, values in (("names", None), ("names and cells", sampled(path, schema))):
            guesses = ends(inferred_keys(hidden, values))
            right[way], found[way] = right[way] + len(guesses & truth), found[way] + len(guesses)
    for way in right:
        print(f"{way}: precision {right[way] / found[way]:.3f}, recall {right[way] / declared:.3f} of {declared}")
    assert right["names"] / found["names"] > 0.9 and right["names"] / declared > 0.68
    assert right["names and cells"] / found["names and cells"] > 0.9 and right["names and cells"] / declared > 0.78
