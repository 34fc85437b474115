import json
import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from evaluation import score
from evaluation.benchmarks import Example, load_examples
from evaluation.check_data import check
from evaluation.instances.__main__ import main
from evaluation.instances.added import extended
from evaluation.instances.contents import Contents, Link, Table, permuted, reduced
from evaluation.instances.folder import Cached, Maker, instances, make_folder
from evaluation.instances.hints import Hints, hints
from evaluation.judge import Judge
from tests.bench.luck import measured

SCRIPT = """
PRAGMA encoding = 'UTF-16le';
CREATE TABLE city (code CHAR(2) PRIMARY KEY, name TEXT COLLATE NOCASE NOT NULL, region TEXT) WITHOUT ROWID;
CREATE TABLE person (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, age INT CHECK (age BETWEEN 18 AND 99), paid REAL, due REAL,
  city CHAR(2) REFERENCES city, boss INTEGER REFERENCES person(id), born DATE, doubled INT AS (age * 2),
  photo BLOB, CHECK (due >= paid)
);
CREATE TABLE visit (person INT REFERENCES person, city CHAR(2) REFERENCES city, day DATE, PRIMARY KEY (person, city));
CREATE INDEX by_age ON person (age);
CREATE VIEW elder AS SELECT * FROM person WHERE age > 60;
CREATE TRIGGER stamp AFTER INSERT ON visit BEGIN UPDATE person SET age = 18; END;
CREATE VIRTUAL TABLE notes USING fts5(text);
INSERT INTO notes VALUES ('hello world');
"""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    path = tmp_path_factory.mktemp("own") / "shop.sqlite"
    rng = random.Random(0)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCRIPT)
        cities = [(f"{chr(65 + n)}{chr(70 + n)}", f"City {n}", f"region {n % 3}") for n in range(12)]
        connection.executemany("INSERT INTO city VALUES (?, ?, ?)", cities)
        for n in range(1, 41):
            row = (n, f"Ann {n}", 18 + n, n * 1.25, n * 1.25 + n % 7, rng.choice(cities)[0], n // 2 or None)
            connection.execute(
                "INSERT INTO person (id, name, age, paid, due, city, boss, born) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, f"19{50 + n}-03-0{1 + n % 9}"),
            )
        connection.execute("UPDATE person SET name = CAST(x'41ff42' AS TEXT) WHERE id = 7")
        pairs = {(rng.randint(1, 40), rng.choice(cities)[0]) for _ in range(60)}
        connection.executemany("INSERT INTO visit VALUES (?, ?, '2020-01-05')", sorted(pairs))
        connection.execute("UPDATE person SET age = 18 + id")  # the trigger has changed it
        connection.commit()
    gold = "SELECT name FROM person WHERE age > 30 AND born < '1999-01-01'"
    return Example("q", "shop", "?", "", gold, str(path), "")


def rows(path: str | Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        return connection.execute(sql).fetchall()


def test_instances_keep_the_schema_the_keys_and_the_constraints(example: Example, tmp_path: Path) -> None:
    with Maker() as maker:
        made = make_folder(maker, [example], tmp_path, 4, seed=1)
    assert not made.error and not made.sampled
    files = instances(tmp_path, "shop")
    assert [Path(file).name.split("_")[2][:-7] for file in files] == ["permuted", "extended", "reduced", "mixed"]
    assert (tmp_path / "shop" / "shop.sqlite").read_bytes() == Path(example.database).read_bytes()
    schema = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'notes_%' ORDER BY type, name"
    people = rows(example.database, "SELECT name, age, paid, due, city, born FROM person")
    for file in files:
        assert rows(file, schema) == rows(example.database, schema)
        assert rows(file, "PRAGMA encoding") == [("UTF-16le",)]
        assert rows(file, "PRAGMA foreign_key_check") == []
        assert rows(file, "PRAGMA integrity_check") == [("ok",)]  # CHECK, NOT NULL and UNIQUE among others
        assert rows(file, "SELECT * FROM notes") == [("hello world",)]
        assert rows(file, "SELECT count(*) FROM person WHERE doubled <> 2 * age OR typeof(paid) <> 'real'") == [(0,)]
        assert rows(file, "SELECT name, age, paid, due, city, born FROM person") != people
        assert rows(file, "SELECT born FROM person WHERE date(born) IS NULL") == []
        assert len(rows(file, "SELECT DISTINCT age FROM person")) > 10  # the trigger has not run


def test_the_same_database_questions_and_seed_give_the_same_bytes(example: Example, tmp_path: Path) -> None:
    with Maker() as maker:
        for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
            make_folder(maker, [example], tmp_path / folder, 4, seed)
    first, same, other = ([Path(f).read_bytes() for f in instances(tmp_path / name, "shop")] for name in "abc")
    assert first == same
    assert all(one != two for one, two in zip(first, other, strict=True))


def contents() -> Contents:
    cities = [(n, f"c{n}", f"region {n % 2}", f"land {n % 2}") for n in range(30)]
    people = [(n, n % 30, None if n % 4 == 0 else n * 7 % 40, f"p{n}") for n in range(60)]
    city = Table(("id", "name", "region", "land"), ((0,),), cities)
    return Contents(
        {"city": city, "person": Table(("id", "city", "age", "name"), ((0,),), people)},
        (Link("person", (1,), "city", (0,)),),
        {"age": [20, 21]},
    )


def test_permuting_moves_cells_within_their_column_and_lacking_cells_stay_where_they_lack() -> None:
    before, after = contents(), permuted(contents(), random.Random(3))
    for name, table in before.tables.items():
        found = after.tables[name].rows
        assert found != table.rows
        for old, new in zip(zip(*table.rows, strict=True), zip(*found, strict=True), strict=True):
            assert Counter(old) == Counter(new)
        assert [row[0] for row in found] == [row[0] for row in table.rows]
    assert [row[2] is None for row in after.tables["person"].rows] == [n % 4 == 0 for n in range(60)]
    # a region lies in one land, which thirty rows cannot show by chance: both move together
    assert {row[2:] for row in after.tables["city"].rows} == {("region 0", "land 0"), ("region 1", "land 1")}


def test_new_rows_have_new_keys_refer_to_rows_and_lack_nothing_that_others_have() -> None:
    before, after = contents(), extended(contents(), random.Random(3))
    for name, table in before.tables.items():
        found = after.tables[name].rows
        new = found[len(table.rows) :]
        assert found[: len(table.rows)] == table.rows and len(new) > len(table.rows) // 8
        assert len({row[0] for row in found}) == len(found)
    cities = {row[0] for row in after.tables["city"].rows}
    assert {row[1] for row in after.tables["person"].rows} <= cities
    assert {row[2:] for row in after.tables["city"].rows} == {row[2:] for row in before.tables["city"].rows}
    assert len({row[1] for row in after.tables["city"].rows}) == len(cities)  # names stay unique, declared or not


def test_the_first_and_the_last_of_what_is_measured_get_a_twin_and_new_values_lie_past_them() -> None:
    runs = [(n % 9, float(n * n % 97), f"day {n % 5}", 1990 + n % 8) for n in range(60)]
    before = Contents({"run": Table(("who", "seconds", "day", "year"), (), runs)}, (), {})
    years: set[int] = set()
    for seed in range(5):
        after = extended(before, random.Random(seed)).tables["run"].rows
        for end in (min, max):
            found = end(row[1] for row in after)
            assert Counter(after)[next(row for row in after if row[1] == found)] > 1  # the same row but for keys
        years |= {row[3] for row in after} - {row[3] for row in runs}
    assert years <= {1988, 1989, 1998, 1999} and len(years) > 1


def test_rows_that_hold_what_golds_ask_for_are_referred_to_more_often() -> None:
    names = Table(("id", "name"), ((0,),), [(n, f"name {n}") for n in range(40)])
    parts = Table(("id", "of"), ((0,),), [(n, n % 40) for n in range(80)])
    link = Link("part", (1,), "unit", (0,))
    asked = Contents({"unit": names, "part": parts}, (link,), {"name": ["name 7"]})
    for seed in range(5):
        new = extended(asked, random.Random(seed)).tables["part"].rows[80:]
        assert Counter(row[1] for row in new)[7] >= 3


def test_what_golds_join_the_other_way_round_binds_no_row_twice(tmp_path: Path) -> None:
    path = tmp_path / "cars.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE name (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("CREATE TABLE data (id INTEGER PRIMARY KEY REFERENCES name, weight INT)")
        for n in range(30):
            connection.execute("INSERT INTO name VALUES (?, ?)", (n, f"car {n}"))
            connection.execute("INSERT INTO data VALUES (?, ?)", (n, 1000 + n * 7 % 31))
        connection.commit()
    gold = "SELECT name FROM name JOIN data ON name.id = data.id"
    with Maker() as maker:
        made = maker.make(str(path), tmp_path / "made", "cars", ["0", "1", "2"], hints([gold]))
    counts = [rows(file, "SELECT count(*) FROM data")[0][0] for file in made.files]
    assert counts[1] > 30 > counts[2]


def test_fewer_rows_leave_no_reference_without_its_row() -> None:
    chain = [(n, None if n == 0 else n - 1) for n in range(40)]
    tree = Contents({"node": Table(("id", "up"), ((0,),), chain)}, (Link("node", (1,), "node", (0,)),), {})
    left = reduced(tree, random.Random(1)).tables["node"].rows
    assert 0 < len(left) < 40 and left == chain[: len(left)]
    after = reduced(contents(), random.Random(1))
    assert {row[1] for row in after.tables["person"].rows} <= {row[0] for row in after.tables["city"].rows}
    assert 0 < len(after.tables["person"].rows) < 60


def test_a_text_that_refers_to_a_number_keeps_its_row() -> None:
    countries = Table(("id",), ((0,),), [(n,) for n in range(20)])
    makers = Table(("id", "country"), ((0,),), [(n, str(n % 5)) for n in range(40)])
    world = Contents({"country": countries, "maker": makers}, (Link("maker", (1,), "country", (0,)),), {})
    for seed in range(5):
        left = reduced(world, random.Random(seed)).tables
        assert {row[1] for row in left["maker"].rows} <= {str(row[0]) for row in left["country"].rows}
        assert len(left["country"].rows) < 20


def test_golds_tell_what_they_join_and_what_they_compare_with() -> None:
    golds = [
        "SELECT 1 FROM A AS t JOIN b ON t.x = b.Y WHERE t.age BETWEEN 20 AND 30",
        "SELECT 1 FROM a WHERE name LIKE '%Ann' AND town = \"Rome\" AND code LIKE 'x'",
        "not SQL (",
    ]
    found = hints(golds)
    assert found.joins == ((("a", "x"), ("b", "y")),)
    near = dict(found.near)
    assert near["age"] == (19, 20, 21, 29, 30, 31) and near["town"] == ("Rome",)
    assert set(near["name"]) == {"Ann", "a Ann"} and "code" not in near


def test_a_database_of_too_many_rows_gives_a_sample_with_what_it_refers_to(example: Example, tmp_path: Path) -> None:
    with Maker(most_rows=60) as maker:
        made = make_folder(maker, [example], tmp_path, 2, seed=0)
    assert made.sampled and made.rows > 60
    for file in instances(tmp_path, "shop"):
        assert rows(file, "PRAGMA foreign_key_check") == []
        assert 0 < rows(file, "SELECT count(*) FROM person")[0][0] < 60


@pytest.mark.slow
def test_a_hostile_file_is_one_line_and_the_others_are_made(example: Example, cases_dir: Path, tmp_path: Path) -> None:
    hostile = cases_dir / "databases" / "expo_schema.sqlite"
    with Maker() as maker:
        made = maker.make(str(hostile), tmp_path / "bad", "bad", ["0"], Hints())
        assert made.error and "\n" not in made.error and not (tmp_path / "bad").exists()
        assert len(maker.make(example.database, tmp_path / "good", "shop", ["0"], Hints()).files) == 1


def test_the_cache_makes_instances_once(example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLSQL_CACHE", str(tmp_path))
    first = Cached(2).get(example.database)
    times = [Path(file).stat().st_mtime_ns for file in first]
    assert len(first) == 2 and Cached(2).get(example.database) == first
    assert times == [Path(file).stat().st_mtime_ns for file in first]
    assert Cached(3).get(example.database)[:2] != first  # a folder of its own
    assert Cached(2).get(str(tmp_path / "none.sqlite")) == ()


def shop(tmp_path: Path) -> Path:
    """Four goods: `price` and `weight` are in one order, `n` is the same everywhere."""
    with closing(sqlite3.connect(tmp_path / "goods.sqlite")) as connection:
        connection.execute("CREATE TABLE goods (id INTEGER PRIMARY KEY, name TEXT, price INT, weight INT, n INT)")
        cells = [(n, f"good {n}", 10 * n, 100 + n, 1) for n in range(1, 21)]
        connection.executemany("INSERT INTO goods VALUES (?, ?, ?, ?, ?)", cells)
        connection.commit()
    gold = "SELECT name FROM goods ORDER BY price DESC LIMIT 1"
    golds = {"lucky": gold, "right": gold, "all": gold}
    lines = [{"id": name, "db_id": "goods", "question": "?", "sql": sql} for name, sql in golds.items()]
    (tmp_path / "dev.jsonl").write_text("\n".join(map(json.dumps, lines)))
    predictions = {
        "lucky": "SELECT name FROM goods ORDER BY weight DESC LIMIT 1",
        "right": "SELECT name FROM goods AS g ORDER BY g.price DESC LIMIT 1",
        "all": "SELECT name FROM goods WHERE price = (SELECT max(price) FROM goods)",
    }
    answers = [{"id": name, "sql": sql} for name, sql in predictions.items()]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, answers)))
    return tmp_path


def test_a_lucky_answer_is_right_on_the_database_and_not_on_all_instances(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = shop(tmp_path), tmp_path / "instances"
    of = ["--benchmark", "own", "--data", str(data)]
    assert main([*of, "--out", str(out), "--count", "4"]) == 0
    assert "4 instances each of 1 databases" in capsys.readouterr().out
    judged = [*of, "--predictions", str(data / "p.jsonl"), "--out", str(tmp_path / "scores")]
    assert score.main([*judged, "--instances", str(out)]) == 0
    verdicts = [json.loads(line) for line in (tmp_path / "scores" / "verdicts.jsonl").read_text().splitlines()]
    assert [(row["ex_strict"], row["ex_instances"]) for row in verdicts] == [(1, 0), (1, 1), (1, 1)]
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert scores["ex_instances"]["all"]["correct"] == 2 and "ex_instances" in capsys.readouterr().out
    assert score.main([*judged, "--instances", str(tmp_path / "scores")]) == 2
    assert "must hold a folder of .sqlite files per database" in capsys.readouterr().err


def test_all_tied_rows_are_no_luck_where_gold_must_choose(tmp_path: Path) -> None:
    data = shop(tmp_path)
    tied, example = tmp_path / "tied.sqlite", load_examples("own", "dev", data)[0]
    tied.write_bytes(Path(example.database).read_bytes())
    with closing(sqlite3.connect(tied)) as connection:
        connection.execute("UPDATE goods SET price = 500 WHERE id > 17")
        connection.commit()
    every = "SELECT name FROM goods WHERE price = (SELECT max(price) FROM goods)"
    one_more = "SELECT name FROM goods WHERE id = 20 OR price = 500 OR price = 170"
    with Judge(instances={example.database: (str(tied),)}) as judge:
        found = judge.judge([(example, every), (example, example.gold_sql), (example, one_more)])
        assert [verdict.status for verdict in found] == ["correct", "correct", "wrong"]
        twice = "SELECT name FROM goods WHERE price >= 200 ORDER BY price"
        assert judge.judge([(example, twice)])[0].status == "correct"
        blind = "SELECT name FROM goods WHERE id = 20"
        verdict = judge.judge([(example, blind)])[0]
        assert (verdict.status, verdict.right) == ("correct", True)  # one of the tied rows
        lucky = "SELECT name FROM goods ORDER BY price = 200 DESC, id LIMIT 1"
        assert [verdict.status for verdict in judge.judge([(example, lucky)])] == ["lucky"]


def test_golds_that_only_instances_or_their_twins_doubt_are_listed(tmp_path: Path) -> None:
    data = shop(tmp_path)
    golds = {
        "price": ("Which good costs most?", "SELECT name FROM goods ORDER BY price DESC LIMIT 1"),
        "weight": ("The dearest good?", "SELECT name FROM goods ORDER BY weight DESC LIMIT 1"),
        "count": ("How many goods?", "SELECT count(*) FROM goods"),
        "one": ("how many goods", "SELECT sum(n) + 1 FROM goods"),
    }
    lines = [{"id": key, "db_id": "goods", "question": q, "sql": sql} for key, (q, sql) in golds.items()]
    (data / "dev.jsonl").write_text("\n".join(map(json.dumps, lines)))
    examples = load_examples("own", "dev", data)
    with Maker() as maker:
        make_folder(maker, examples, tmp_path / "others", 4, seed=0)
    for file in instances(tmp_path / "others", "goods")[1:]:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("UPDATE goods SET price = 900 WHERE id IN (1, 2)")
            connection.commit()
    files = {examples[0].database: instances(tmp_path / "others", "goods")}
    found = {row["id"]: row["problems"] for row in check(examples, instances=files)}
    assert found == {"price": ["tied_elsewhere", "twin"], "weight": ["twin"], "count": ["twin"], "one": ["twin"]}
    assert {row["id"] for row in check(examples)} == {"count", "one"}


@pytest.mark.slow
def test_most_published_answers_that_were_luck_are_caught_and_no_gold_is(spider_dir: Path, cases_dir: Path) -> None:
    found = measured(spider_dir, cases_dir / "lucky_predictions.jsonl", every=4)
    assert found.caught >= 0.75, found.missed
    assert len(found.refused) <= 0.005 * found.golds, found.refused
