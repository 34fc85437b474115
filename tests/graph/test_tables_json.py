import json
import re
from pathlib import Path

import pytest

from graph.introspect import schema_from_sqlite
from graph.schema import Column, ForeignKey, Schema, SchemaError, Table
from graph.tables_json import entries

SHOP = {
    "db_id": "shop",
    "table_names_original": ["Item", "part", "sqlite_sequence"],
    "column_names_original": [[-1, "*"], [0, "a"], [0, "B b"], [1, "x"], [1, "y"], [1, "z"], [2, "name"]],
    "column_types": ["text", "number", "text", "number", "text", "time", "text"],
    "primary_keys": [[1, 2], 5],
    "foreign_keys": [[3, 1], [4, 2], [5, 1], [3, 1]],
}


def file(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "tables.json"
    path.write_text(json.dumps([SHOP | changes]))
    return path


def test_names_types_and_keys_are_read_and_pairs_of_one_composite_key_stay_together(tmp_path):
    schema = entries(file(tmp_path))["shop"].schema()
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
        [entry.schema() for entry in entries(path).values()]
    assert str(path) in str(error.value)


def test_a_database_without_tables_is_refused(tmp_path):
    empty: dict[str, list[object]] = dict.fromkeys(
        ("table_names_original", "column_names_original", "column_types", "primary_keys", "foreign_keys"), []
    )
    with pytest.raises(SchemaError, match="no tables"):
        entries(file(tmp_path, **empty))["shop"].schema()


@pytest.mark.parametrize("content", [None, b"{", b"\xff\xfe", b'{"db_id": "shop"}', b"[" * 99_999])
def test_what_is_not_a_tables_json_is_a_schema_error_with_the_path(tmp_path, content):
    path = tmp_path / "other.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SchemaError, match=re.escape(str(path))):
        entries(path)


def test_spiders_file_and_the_databases_name_the_same_tables_and_columns(spider_dir):
    described = entries(spider_dir / "tables.json")
    for db_id in ("concert_singer", "wta_1", "sakila_1"):
        database = schema_from_sqlite(spider_dir / "database" / db_id / f"{db_id}.sqlite")
        assert names(described[db_id].schema()) == names(database)


def names(schema: Schema) -> dict[str, list[str]]:
    return {table.name.lower(): [column.name.lower() for column in table.columns] for table in schema.tables}
