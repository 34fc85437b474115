import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from graph.introspect import schema_from_sqlite
from graph.schema import Column, ForeignKey, Schema, SchemaError, Table
from graph.tables_json import same_schema, schema_from_tables_json, schemas_from_tables_json

SHOP = {
    "db_id": "shop",
    "table_names_original": ["Item", "part", "sqlite_sequence"],
    "column_names_original": [[-1, "*"], [0, "a"], [0, "B b"], [1, "x"], [1, "y"], [1, "z"], [2, "name"]],
    "column_types": ["text", "number", "text", "number", "text", "time", "text"],
    "primary_keys": [[1, 2], 5],
    "foreign_keys": [[3, 1], [4, 2], [5, 1], [3, 1]],
}

# Faults of the published tables.json, each seen against the CREATE TABLE of the published database.
ONE_KEY_LOST = "the database declares it, the file has not got it"
FAULTS_OF_SPIDERS_FILE = {
    ("imdb", "key tags.kid = keyword.id is only in the first"): ONE_KEY_LOST,
    ("loan_1", "key loan.cust_id = customer.cust_id is only in the first"): ONE_KEY_LOST,
    ("restaurants", "key location.restaurant_id = restaurant.id is only in the first"): ONE_KEY_LOST,
    ("store_product", "key store_product.product_id = product.product_id is only in the first"): ONE_KEY_LOST,
    ("musical", "key actor.musical_id = musical.musical_id is only in the first"): "the file has the next line instead",
    ("musical", "key actor.musical_id = actor.actor_id is only in the second"): "a musical is no actor",
    ("cre_Drama_Workshop_Groups", "key invoices.order_id = bookings.booking_id is only in the second"): (
        "the database declares the key of invoices.order_id to customer_orders, which the file has as well"
    ),
} | {
    ("formula_1", f"column {name} is text in the first and number in the second"): "typed by its cells, declared TEXT"
    for name in (
        *("circuits.alt", "drivers.number", "constructorresults.status", "results.position", "results.laps"),
        *("results.milliseconds", "results.fastestlap", "results.rank"),
    )
}


def file(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "tables.json"
    path.write_text(json.dumps([SHOP | changes]))
    return path


def test_names_types_and_keys_are_read_and_pairs_of_one_composite_key_stay_together(tmp_path):
    schema = schema_from_tables_json(file(tmp_path), "shop")
    assert schema.tables == (
        Table("Item", (Column("a", "NUMBER", True), Column("B b", "TEXT", True))),
        Table("part", (Column("x", "NUMBER"), Column("y", "TEXT"), Column("z", "TIME", True))),
    )
    assert schema.foreign_keys == (
        ForeignKey("part", ("x", "y"), "Item", ("a", "B b")),
        ForeignKey("part", ("z",), "Item", ("a",)),
        ForeignKey("part", ("x",), "Item", ("a",)),
    )


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"foreign_keys": [[3, 7]]}, "foreign_keys must name columns from 1 to 6, got 7"),
        ({"foreign_keys": [[3, 0]]}, "foreign_keys must name columns from 1 to 6, got 0"),
        ({"foreign_keys": [3]}, "foreign_keys must hold pairs"),
        ({"primary_keys": [[1, "x"]]}, "primary_keys must name columns"),
        ({"primary_keys": None}, "primary_keys must be there and be a list"),
        ({"column_types": ["text"]}, "column_types must have one type for each of the 7 columns, got 1"),
        ({"column_names_original": [[3, "a"]]}, "column_names_original must name tables from 0 to 2"),
        ({"table_names_original": [], "column_names_original": [], "column_types": []}, "column"),
        ({"table_names_original": ["Item", "part", 7]}, "table_names_original must hold names"),
        ({"db_id": 7}, "entry 0, must be an object with a text db_id"),
    ],
)
def test_a_broken_entry_is_a_schema_error_with_field_and_place(tmp_path, changes, says):
    path = file(tmp_path, **changes)
    with pytest.raises(SchemaError, match=re.escape(says)) as error:
        schemas_from_tables_json(path)
    assert str(path) in str(error.value)


def test_a_database_without_tables_is_refused(tmp_path):
    empty: dict[str, list[object]] = dict.fromkeys(
        ("table_names_original", "column_names_original", "column_types", "primary_keys", "foreign_keys"), []
    )
    with pytest.raises(SchemaError, match="no tables"):
        schemas_from_tables_json(file(tmp_path, **empty))


@pytest.mark.parametrize("content", [None, b"{", b"\xff\xfe", b'{"db_id": "shop"}', b"[" * 99_999])
def test_what_is_not_a_tables_json_is_a_schema_error_with_the_path(tmp_path, content):
    path = tmp_path / "other.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SchemaError, match=re.escape(str(path))):
        schemas_from_tables_json(path)


def test_an_unknown_database_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(SchemaError, match="got 'shops'; the nearest is 'shop'"):
        schema_from_tables_json(file(tmp_path), "shops")


def test_schemas_are_compared_without_case_and_order_of_tables_but_with_order_of_columns():
    a, b = Table("a", (Column("x", "INT", True), Column("y", "TEXT"))), Table("b", (Column("x", "INT"),))
    one = Schema("s", (a, b), (ForeignKey("b", ("x",), "a", ("x",)),))
    shouted = Table("A", (Column("X", "NUMBER", True), Column("Y", "VARCHAR(9)")))
    assert same_schema(one, Schema("t", (b, shouted), (ForeignKey("B", ("X",), "A", ("X",)),))) == []
    turned, retyped = replace(a, columns=a.columns[::-1]), replace(b, columns=(Column("x", "DATE", True),))
    assert same_schema(one, Schema("t", (turned, retyped, Table("c", ())))) == [
        "table c is only in the second",
        "table a has the columns x, y in the first and y, x in the second",
        "table b has the primary key nothing in the first and x in the second",
        "column b.x is number in the first and time in the second",
        "key b.x = a.x is only in the first",
    ]


def test_both_roads_give_the_same_schema_for_every_spider_database(spider_dir):
    described = schemas_from_tables_json(spider_dir / "tables.json")
    told = {
        (path.stem, difference)
        for path in sorted((spider_dir / "database").glob("*/*.sqlite"))
        for difference in same_schema(schema_from_sqlite(path), described[path.stem])
        if not one_column_of_a_composite_key(difference)
    }
    assert told == set(FAULTS_OF_SPIDERS_FILE)


def one_column_of_a_composite_key(difference: str) -> bool:
    """Spider's tables.json has one number per table in primary_keys: of a composite key it names a single column."""
    found = re.fullmatch(r"table .+ has the primary key (.+, .+) in the first and ([^,]+) in the second", difference)
    return found is not None and found[2] in found[1].split(", ")


def test_both_roads_give_the_same_schema_for_the_bird_database_at_hand(bird_dir):
    described = schemas_from_tables_json(bird_dir / "dev_tables.json")
    assert len(described) == 11
    for path in sorted((bird_dir / "dev_databases").glob("*/*.sqlite")):
        assert same_schema(schema_from_sqlite(path), described[path.stem]) == []
