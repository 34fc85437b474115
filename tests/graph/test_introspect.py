import sqlite3
from pathlib import Path

import pytest

from graph.introspect import schema_from_sqlite, schema_of
from graph.schema import Column, ForeignKey, SchemaError


def database(tmp_path: Path, script: str) -> Path:
    path = tmp_path / "odd #1?%41.sqlite"  # characters that an unescaped file URI would misread
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return path


def test_columns_types_and_views_come_in_declaration_order(tmp_path):
    script = "CREATE TABLE z(id integer PRIMARY KEY, n); CREATE TABLE a(x TEXT); CREATE VIEW v AS SELECT n FROM z"
    schema = schema_from_sqlite(database(tmp_path, script))
    assert [(t.name, t.is_view) for t in schema.tables] == [("z", False), ("a", False), ("v", True)]
    assert schema.tables[0].columns == (Column("id", "INTEGER", True), Column("n", ""))


def test_an_implicit_target_is_the_primary_key_in_key_order(tmp_path):
    schema = schema_from_sqlite(
        database(
            tmp_path,
            "CREATE TABLE p(b, a, PRIMARY KEY (a, b)); CREATE TABLE c(x, y, FOREIGN KEY (x, y) REFERENCES p)",
        )
    )
    assert schema.foreign_keys == (ForeignKey("c", ("x", "y"), "p", ("a", "b")),)


def test_keys_take_the_declared_spelling_and_keep_their_order(tmp_path):
    schema = schema_from_sqlite(
        database(
            tmp_path,
            """CREATE TABLE Airport(Code TEXT PRIMARY KEY);
            CREATE TABLE flight(src TEXT, dst TEXT,
              FOREIGN KEY (SRC) REFERENCES airport(code), FOREIGN KEY (dst) REFERENCES AIRPORT(CODE))""",
        )
    )
    assert schema.foreign_keys == (
        ForeignKey("flight", ("src",), "Airport", ("Code",)),
        ForeignKey("flight", ("dst",), "Airport", ("Code",)),
    )


def test_keys_to_nowhere_are_dropped_and_repeated_ones_kept_once(tmp_path):
    schema = schema_from_sqlite(
        database(
            tmp_path,
            """CREATE TABLE boss(id INTEGER PRIMARY KEY, above REFERENCES boss);
            CREATE TABLE w(a REFERENCES gone(id), b REFERENCES boss(none), c REFERENCES boss(id),
              FOREIGN KEY (c) REFERENCES boss(id))""",
        )
    )
    assert schema.foreign_keys == (
        ForeignKey("boss", ("above",), "boss", ("id",)),
        ForeignKey("w", ("c",), "boss", ("id",)),
    )


def test_hidden_columns_and_internal_tables_are_left_out_and_generated_ones_kept(tmp_path):
    schema = schema_from_sqlite(
        database(
            tmp_path,
            """CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a, twice AS (a * 2));
            CREATE VIRTUAL TABLE doc USING fts5(body); CREATE VIEW broken AS SELECT * FROM t JOIN gone""",
        )
    )
    columns = {table.name: [column.name for column in table.columns] for table in schema.tables}
    assert columns == {"t": ["id", "a", "twice"], "doc": ["body"]}


def test_names_that_are_not_utf8_are_described_with_replacement_characters(tmp_path):
    path = database(tmp_path, "CREATE TABLE cafxyz(pricexyz)")
    path.write_bytes(path.read_bytes().replace(b"xyz", b"\xe9ab"))
    table = schema_from_sqlite(path).tables[0]
    assert (table.name, table.columns[0].name) == ("caf\ufffdab", "price\ufffdab")


def test_a_table_of_two_thousand_columns_is_described_whole(tmp_path):
    schema = schema_from_sqlite(database(tmp_path, f"CREATE TABLE wide({', '.join(f'c{i} INT' for i in range(2000))})"))
    assert len(schema.tables[0].columns) == 2000


def test_introspection_leaves_no_trace_beside_a_wal_database(tmp_path):
    path = database(tmp_path, "PRAGMA journal_mode = wal; CREATE TABLE t(a)")
    before = (path.read_bytes(), sorted(tmp_path.iterdir()))
    schema_from_sqlite(path)
    assert (path.read_bytes(), sorted(tmp_path.iterdir())) == before


@pytest.mark.parametrize(
    "content, says", [(None, "does not exist"), (b"not a database " * 99, "SQLite"), (b"", "no tables")]
)
def test_what_cannot_be_described_is_a_schema_error_with_the_path(tmp_path, content, says):
    path = tmp_path / "x.sqlite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SchemaError, match=says) as error:
        schema_from_sqlite(path)
    assert str(path) in str(error.value)


def test_every_spider_database_is_described_and_its_keys_end_in_real_columns(spider_dir):
    for path in sorted((spider_dir / "database").glob("*/*.sqlite")):
        schema = schema_from_sqlite(path)
        for key in schema.foreign_keys:
            for name, columns in ((key.table, key.columns), (key.parent, key.parent_columns)):
                assert {c.name for c in schema.table(name).columns} >= set(columns)


def test_create_table_statements_are_read_as_a_schema_whatever_dialect_adds_to_them():
    schema = schema_of(
        """-- of MySQL
        CREATE TABLE `city` (
          `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'a, number (of its own)',
          `kind` enum('town','village') DEFAULT 'town',
          PRIMARY KEY (`id`), KEY `by_kind` (`kind`)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8;
        CREATE TABLE shop (name, at INT REFERENCES city (id)); DROP TABLE shop; SELECT 1"""
    )
    assert [(t.name, [(c.name, c.type, c.primary_key) for c in t.columns]) for t in schema.tables] == [
        ("city", [("id", "INT(11)", True), ("kind", "ENUM", False)]),
        ("shop", [("name", "", False), ("at", "INT", False)]),
    ]
    assert schema.foreign_keys == (ForeignKey("shop", ("at",), "city", ("id",)),)
    with pytest.raises(SchemaError, match="must hold a CREATE TABLE statement that is valid for SQLite"):
        schema_of("CREATE TABLE t (")
