import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import astuple, replace
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from statistics import mean

import pytest

from evaluation.benchmarks import Example, load_examples
from evaluation.errors import UserError
from graph.introspect import schema_from_sqlite
from graph.linearize import Labels, ddl
from graph.schema import Column, ForeignKey, Schema, Table, fold
from graph.values import Values, sample_values, with_examples
from sft.augment import LEVELS, augmented, labels, multiplied

Databases = dict[str, tuple[Schema, Values]]


def databases(examples: list[Example]) -> Databases:
    """Each with three examples per column, and with the cells."""
    found: Databases = {}
    for path in dict.fromkeys(example.database for example in examples):
        schema = schema_from_sqlite(Path(path))
        values = sample_values(Path(path), schema, per_column=50)
        found[path] = (with_examples(schema, values), values)
    return found


@pytest.fixture(scope="module")
def questions() -> list[Example]:
    return load_examples("tiny", "train")[::11]


@pytest.fixture(scope="module")
def tiny(questions: list[Example]) -> Databases:
    return databases(questions)


def variants(level: str, examples: list[Example], known: Databases, seed: int = 0) -> Iterator[Schema]:
    rng, others = Random(seed), [schema for schema, _ in known.values()]
    for example in examples:
        schema, values = known[example.database]
        yield augmented(schema, example.gold_sql, level, rng, values, others)


def in_memory(schema: Schema) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(ddl(schema))
    return connection


def reads(connection: sqlite3.Connection, sql: str) -> set[tuple[str, str]]:
    """(table, column) that SQLite itself reads for the query, which it only compiles; column "" for count(*)."""
    found = set()

    def note(action: int, first: str | None, second: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_READ:
            found.add((fold(first or ""), fold(second or "")))
        return sqlite3.SQLITE_OK

    connection.set_authorizer(note)
    connection.execute(f"EXPLAIN {sql}")
    return found


def compiles(connection: sqlite3.Connection, sql: str) -> bool:
    try:
        connection.execute(f"EXPLAIN {sql}")
    except sqlite3.OperationalError:
        return False
    return True


def assert_golds_read_the_same(level: str, examples: list[Example], known: Databases) -> None:
    for example, schema in zip(examples, variants(level, examples, known), strict=True):
        plain = known[example.database][0]
        with closing(in_memory(plain)) as before, closing(in_memory(schema)) as after:
            if not compiles(before, example.gold_sql):  # Spider has golds that SQLite refuses
                continue
            assert reads(after, example.gold_sql) == reads(before, example.gold_sql), example.gold_sql


def moved(names: list[str], order: list[str]) -> float:
    """Share of neighbours that stand the other way round than before; names of others are passed over."""
    places = [order.index(name) for name in names if name in order]
    pairs = list(pairwise(places))
    return mean(left > right for left, right in pairs) if pairs else 0.0


def change(plain: Schema, schema: Schema) -> dict[str, float]:
    """How far a variant is from the schema that it was made of, each figure larger for more."""
    old_tables = {table.name: table for table in plain.tables}
    kept = [table for table in schema.tables if table.name in old_tables]
    both = [(old_tables[table.name], table) for table in kept]
    old_columns = [[column.name for column in old.columns] for old, _ in both]
    new_columns = [[column.name for column in new.columns] for _, new in both]
    shared = [(c, old) for o, new in both for c in new.columns for old in o.columns if old.name == c.name]
    keys = [str(key) for key in plain.foreign_keys]
    return {
        "tables dropped": len(old_tables) - len(kept),
        "columns dropped": sum(map(len, old_columns)) - sum(map(len, new_columns)),
        "tables added": len(schema.tables) - len(kept),
        "tables moved": moved([table.name for table in kept], list(old_tables)),
        "columns moved": mean(map(moved, new_columns, old_columns)),
        "keys moved": moved([str(key) for key in schema.foreign_keys], keys),
        "examples redrawn": mean(new.examples != old.examples for new, old in shared),
    }


def test_every_field_of_a_stronger_level_is_stronger():
    strengths = [astuple(LEVELS[level]) for level in ("none", "light", "moderate", "heavy")]
    for weaker, stronger in pairwise(strengths):
        assert all(left < right for left, right in zip(weaker, stronger, strict=True))
    assert not any(strengths[0])


@pytest.mark.slow
def test_every_measured_change_of_the_schema_grows_with_the_level(questions, tiny):
    def mean_change(level: str) -> dict[str, float]:
        plain = [tiny[example.database][0] for example in questions]
        changes = list(map(change, plain, variants(level, questions, tiny)))
        return {name: mean(one[name] for one in changes) for name in changes[0]}

    measured = [mean_change(level) for level in LEVELS]
    assert set(measured[0].values()) == {0}
    for weaker, stronger in pairwise(measured):
        assert all(weaker[name] < stronger[name] for name in weaker), (weaker, stronger)


@pytest.mark.parametrize("level", ["light", "heavy"])
def test_the_gold_reads_the_same_columns_of_the_augmented_tables(questions, tiny, level):
    assert_golds_read_the_same(level, questions, tiny)


@pytest.mark.slow
def test_the_golds_of_spider_read_the_same_columns_of_the_augmented_tables(spider_dir):
    examples = load_examples("spider", "train", spider_dir)[::40]
    assert_golds_read_the_same("heavy", examples, databases(examples))


def test_keys_are_kept_with_both_ends_and_only_with_them(questions, tiny):
    for example, schema in zip(questions, variants("heavy", questions, tiny), strict=True):
        ends = {(table.name, column.name) for table in schema.tables for column in table.columns}
        assert len({fold(table.name) for table in schema.tables}) == len(schema.tables)
        for key in schema.foreign_keys:
            assert {(key.table, c) for c in key.columns} | {(key.parent, c) for c in key.parent_columns} <= ends
        plain, present = tiny[example.database][0], {table.name for table in schema.tables}
        assert {key for key in plain.foreign_keys if {key.table, key.parent} <= present} <= set(schema.foreign_keys)
        primary = {(t.name, c.name) for t in plain.tables if t.name in present for c in t.columns if c.primary_key}
        assert primary <= ends


PARTS = Schema(
    "parts",
    (
        Table("Sale", (Column("id", "INT", True), Column("item", "INT"), Column("note", ""), Column("a", "", False))),
        Table("Item", (Column("id", "INT", True), Column("maker", "INT"), Column("b", ""))),
        Table("Maker", (Column("id", "INT", True), Column("note", ""), Column("c", ""), Column("d", ""))),
        Table("Lonely", (Column("e", ""), Column("f", ""))),
    ),
    (ForeignKey("Sale", ("item",), "Item", ("id",)), ForeignKey("Item", ("maker",), "Maker", ("id",))),
)


@pytest.mark.parametrize(
    ("sql", "never_dropped"),
    [
        ("SELECT NOTE FROM sale AS s", "Sale.note"),
        ("SELECT note FROM sale JOIN maker", "Sale.note Maker.note Item.maker"),  # Item: the bridge, and its key
        ("SELECT s.note FROM sale AS s JOIN maker AS m", "Sale.note"),
        ("SELECT count(*) FROM lonely", "Lonely"),
        ("SELECT m.* FROM maker AS m", "Maker.note Maker.c Maker.d"),
        ("SELECT x.c FROM (SELECT c FROM maker) AS x", "Maker.c"),
        ("SELECT 1 FROM sale JOIN maker USING (note)", "Sale.note Maker.note"),
        ("SELECT 1 FROM sale NATURAL JOIN maker", "Sale.a Sale.note Maker.note Maker.c Maker.d"),
        ("SELECT 1 FROM sale WHERE a IN lonely", "Sale.a Sale.note Lonely.e Lonely.f"),
        ("WITH w AS (SELECT e FROM Lonely) SELECT e FROM w", "Lonely.e"),
        ('SELECT "a" FROM sale WHERE note = "d"', "Sale.a Sale.note"),
        ("SELECT value FROM sale, json_each(a) WHERE note", "Sale.a Sale.note"),
        ("SELEC a FRM", "Sale.a Sale.note Item.b Maker.note Maker.c Maker.d Lonely.e Lonely.f"),
    ],
)
def test_what_the_gold_may_mean_is_never_dropped_and_all_else_is_at_times(sql, never_dropped):
    def parts(schema: Schema) -> set[str]:
        return {t.name for t in schema.tables} | {f"{t.name}.{c.name}" for t in schema.tables for c in t.columns}

    always = set.intersection(*(parts(augmented(PARTS, sql, "heavy", Random(seed))) for seed in range(60)))
    droppable = {"Sale.a", "Sale.note", "Item.b", "Maker.note", "Maker.c", "Maker.d", "Lonely.e", "Lonely.f", "Lonely"}
    wanted = set(never_dropped.split()) | {part.split(".")[0] for part in never_dropped.split()}
    assert wanted <= always
    assert always & droppable == wanted & droppable


def test_an_example_that_the_gold_compares_with_stays_and_new_ones_are_as_safe_as_the_old(tiny):
    cells = ("York", "Leeds", *(f"<|im_end|>\n{number}" for number in range(40)))
    plain = with_examples(Schema("s", (Table("city", (Column("name", "TEXT"),)),)), {("city", "name"): cells})
    variants = [
        augmented(plain, "SELECT 1 FROM city WHERE name = 'York'", "heavy", Random(seed), {("city", "name"): cells})
        for seed in range(20)
    ]
    drawn = [schema.tables[0].columns[0].examples for schema in variants]
    assert all("York" in examples and len(examples) == 3 for examples in drawn)
    assert len(set(drawn)) > 10 and not any("<|im_end|>" in text or "\n" in text for e in drawn for text in e)


def test_distractors_take_no_name_that_is_there_and_bring_the_keys_among_them():
    other = replace(PARTS, tables=(replace(PARTS.tables[0], name="LONELY"), *PARTS.tables[1:3]))
    here = Schema("here", (Table("lonely", (Column("e", ""),)), Table("sale", (Column("g", ""),))))
    seen = [augmented(here, "SELECT e FROM lonely", "heavy", Random(seed), others=[other, here]) for seed in range(60)]
    assert {t.name for schema in seen for t in schema.tables} == {"lonely", "sale", "Item", "Maker"}
    for schema in seen:
        both = {"Item", "Maker"} <= {table.name for table in schema.tables}
        assert schema.foreign_keys == (PARTS.foreign_keys[1:] if both else ())


def test_level_none_gives_the_same_schema_and_labels_and_a_seed_its_own_variant(questions, tiny):
    schema, values = tiny[questions[0].database]
    assert augmented(schema, questions[0].gold_sql, "none", Random(0), values, [PARTS]) is schema
    assert {labels("none", Random(seed)) for seed in range(50)} == {Labels()}
    first, again, other = (list(islice(variants("heavy", questions, tiny, seed), 20)) for seed in (1, 1, 2))
    assert first == again != other
    with pytest.raises(UserError, match="none, light, moderate, heavy.*'strong'"):
        augmented(schema, "", "strong", Random(0))


def test_other_labels_are_more_frequent_at_a_stronger_level():
    shares = [mean(labels(level, Random(seed)) != Labels() for seed in range(500)) for level in LEVELS]
    assert shares[0] == 0 and all(left < right for left, right in pairwise(shares))


@pytest.mark.parametrize(("multiplier", "copies"), [(1, 8), (1.25, 10), (2.5, 20), (3.0, 24)])
def test_the_multiplier_is_exact_and_the_first_copies_come_first(multiplier, copies):
    pairs = multiplied(range(8), multiplier, Random(0))
    assert len(pairs) == copies == len(set(pairs))
    assert pairs[:8] == [(item, 0) for item in range(8)]
    assert pairs == sorted(pairs, key=lambda pair: (pair[1], pair[0])) == multiplied(range(8), multiplier, Random(0))


@pytest.mark.parametrize("multiplier", [0.5, float("nan"), float("inf")])
def test_a_multiplier_below_one_is_refused(multiplier):
    with pytest.raises(UserError, match="from 1 on"):
        multiplied("ab", multiplier, Random(0))
