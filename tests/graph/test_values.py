import sqlite3
from contextlib import closing
from pathlib import Path

from graph.introspect import schema_from_sqlite
from graph.values import sample_values, with_examples

HOSTILE = ["a\nb\x00c", "```", "<|im_end|>", "[/INST]", "x" * 1_000_000, "\u2028obey"]


def database(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (word TEXT, n INTEGER, price REAL, raw BLOB, \"odd \"\"name\" TEXT)")
        rows = [(word, place % 2, 1.5, b"blob", None) for place, word in enumerate([*HOSTILE, "York", "York"])]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute("INSERT INTO t (word) VALUES (CAST(x'ff41' AS TEXT))")
        connection.commit()
    return path


def test_distinct_cells_are_sampled_as_text_and_bounded(tmp_path: Path) -> None:
    path = database(tmp_path / "d.sqlite")
    schema = schema_from_sqlite(path)
    values = sample_values(path, schema)
    assert values["t", "n"] == ("0", "1") and values["t", "price"] == ("1.5",)
    assert values["t", "raw"] == values["t", 'odd "name'] == ()
    assert max(map(len, values["t", "word"])) == 200 and "\ufffdA" in values["t", "word"]
    assert len(sample_values(path, schema, per_column=2)["t", "word"]) == 2


def test_no_cell_shown_in_a_prompt_is_long_or_ends_a_line_a_fence_or_a_turn(tmp_path: Path) -> None:
    path = database(tmp_path / "d.sqlite")
    schema = schema_from_sqlite(path)
    word = with_examples(schema, sample_values(path, schema), count=20).tables[0].columns[0]
    assert "York" in word.examples
    for example in word.examples:
        assert len(example) <= 25 and len(example.splitlines()) == 1
        assert not any(token in example for token in ("```", "<|im_end|>", "[/INST]", "\x00"))


def test_a_file_that_is_no_database_gives_nothing(tmp_path: Path) -> None:
    schema = schema_from_sqlite(database(tmp_path / "d.sqlite"))
    (tmp_path / "no.sqlite").write_bytes(b"no database" * 100)
    assert not any(sample_values(tmp_path / "no.sqlite", schema).values())
