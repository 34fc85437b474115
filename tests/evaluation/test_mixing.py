"""Several datasets in one: shares, balance, duplicates, and what stands in a held-out split."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evaluation import data
from evaluation.benchmarks import Example, load_examples
from evaluation.contamination import contaminated
from evaluation.mixing import mix, read_config
from tests.evaluation.test_layouts import COUNT, SHOP, dialogue, lay

ZOO = "CREATE TABLE animal (id INTEGER, age INTEGER); INSERT INTO animal VALUES (1, 2);"


def ask(db_id: str, question: str, query: str) -> dict[str, str]:
    return {"db_id": db_id, "question": question, "query": query}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Spider with two databases of 6 and 2 questions and a dev split; SParC with one dialogue."""
    items = [ask("shop", f"Which item is number {n}?", f"SELECT name FROM item WHERE id = {n}") for n in range(6)]
    animals = [ask("zoo", f"How old is {n}?", f"SELECT age + {n} FROM animal WHERE id = {n}") for n in range(2)]
    again = ask("shop", "which ITEM is number 1", "select name from item where id=1")
    dev = [ask("hall", "How many items are there?", COUNT), ask("hall", "How old is 0?", "SELECT 1 FROM seat")]
    spider = {"train_spider.json": [*items, *animals, again], "dev.json": dev}
    databases = {"database/shop/shop.sqlite": SHOP, "database/zoo/zoo.sqlite": ZOO}
    lay(tmp_path / "spider", {**spider, **databases, "database/hall/hall.sqlite": "CREATE TABLE seat (id INTEGER);"})
    talk = dialogue(("All items", "SELECT * FROM item"), ("And how many?", COUNT))
    lay(tmp_path / "sparc", {"train.json": [talk], "database/shop/shop.sqlite": SHOP})
    return tmp_path


def config(folder: Path, **more: Any) -> Path:
    parts = [("spider", folder / "spider", 2.0), ("sparc", folder / "sparc", 1.0)]
    lines = [f"{key} = {json.dumps(value)}" for key, value in more.items()]
    lines += [f'[[dataset]]\nbenchmark = "{name}"\ndata = "{path}"\nweight = {weight}' for name, path, weight in parts]
    (folder / "mix.toml").write_text("\n".join(lines))
    return folder / "mix.toml"


def test_each_dataset_has_its_share_and_each_database_its_turn(folder: Path) -> None:
    made = mix(read_config(config(folder, remove=[])))
    assert Counter(example.db_id for example in made.examples) == {"spider.shop": 2, "spider.zoo": 2, "sparc.shop": 2}
    assert made.report["datasets"]["spider train"] == {
        **{"questions": 9, "duplicates": 1, "contaminated": 0, "databases": 2, "taken": 4}
    }


def test_what_stands_in_a_held_out_split_is_reported_and_removed(folder: Path) -> None:
    made = mix(read_config(config(folder, questions=99)))
    told = made.report["held_out"]["spider dev"]
    # "How old is 0?" is a question of dev; COUNT is a query of dev, which SParC's second turn has, too
    assert (told["spider train: question"], told["spider train: sql"], told["sparc train: sql"]) == (1, 0, 1)
    assert not [e for e in made.examples if e.question == "How old is 0?" or e.gold_sql == COUNT]
    assert len(made.examples) == 7 - 1 + 1 + 1


def test_a_schema_that_the_splits_of_one_dataset_share_is_reported_and_kept(tmp_path: Path) -> None:
    asked = [ask("shop", f"Item {n}?", f"SELECT name FROM item WHERE id = {n} AND name = 'x'") for n in range(3)]
    files = {
        "train_spider.json": asked[:2],
        "dev.json": [ask("shop", "All?", COUNT)],
        "database/shop/shop.sqlite": SHOP,
    }
    lay(tmp_path / "spider", files)
    (tmp_path / "mix.toml").write_text(f'[[dataset]]\nbenchmark = "spider"\ndata = "{tmp_path / "spider"}"')
    made = mix(read_config(tmp_path / "mix.toml"))
    assert made.report["held_out"]["spider dev"]["spider train: schema"] == 2 == len(made.examples)


@pytest.mark.parametrize(
    ("way", "question", "sql", "database"),
    [
        ("question", "HOW many,  items?", "SELECT 1", "CREATE TABLE a (x)"),
        ("sql", "?", "select NAME from Item where id=77", "CREATE TABLE a (x)"),
        ("schema", "?", "SELECT 1", "CREATE TABLE ITEM (name, id)"),
    ],
)
def test_a_question_is_given_away_by_its_words_its_query_or_its_schema(
    way: str, question: str, sql: str, database: str
) -> None:
    dev = Example(
        "1", "a", "How many items?", "", "SELECT name FROM item WHERE id = 1", "CREATE TABLE item (id, name)", ""
    )
    ways, told = contaminated([Example("2", "b", question, "", sql, database, "")], {"dev": [dev]})
    assert ways == [frozenset({("dev", way)})] and told["dev"][way] == 1


def test_the_report_counts_what_two_splits_have_in_common_both_ways_round(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"{name}={folder / name}" for name in ("spider", "sparc")]
    assert data.main(["contamination", *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["splits"] == {"spider train": 9, "spider dev": 2, "sparc train": 2}
    told = {(row["of"], row["in"]): (row["question"], row["sql"], row["schema"]) for row in found["overlaps"]}
    assert told == {
        ("spider train", "spider dev"): (1, 0, 0),  # "How old is 0?"
        ("spider dev", "spider train"): (1, 0, 0),
        ("spider dev", "sparc train"): (0, 1, 0),  # COUNT
        ("sparc train", "spider dev"): (0, 1, 0),
        ("spider train", "sparc train"): (0, 0, 7),  # all on the shop
        ("sparc train", "spider train"): (0, 0, 2),
    }
    with pytest.raises(SystemExit):
        data.main(["contamination", "spidre=."])
    assert "did you mean spider?" in capsys.readouterr().err


def test_the_command_writes_what_can_be_trained_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert data.main(["mix", str(config(folder, questions=99)), "--out", str(folder / "out")]) == 0
    assert "held out: spider dev (2): spider train: question 1" in capsys.readouterr().out
    examples = load_examples("mix", "train", folder / "out")
    assert sorted(len(example.history) for example in examples) == [0] * 8
    assert json.loads((folder / "out" / "mix.json").read_text())["questions"] == len(examples)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[dataset]]\nbenchmark = "spidre"', "did you mean spider"),
        ("seed = 1", "dataset: Field required"),
        ('[[dataset]]\nbenchmark = "tiny"\nweight = 0', "dataset.0.weight"),
        ("[[dataset", "must be TOML"),
    ],
)
def test_a_config_that_cannot_be_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    (tmp_path / "mix.toml").write_text(text)
    assert data.main(["mix", str(tmp_path / "mix.toml"), "--out", str(tmp_path / "out")]) == 2
    found = capsys.readouterr().err
    assert says in found and found.count("\n") == 1


@pytest.mark.parametrize("form", ["messages", "dbgpt-hub"])
def test_an_export_holds_the_question_its_schema_and_its_query(folder: Path, form: str) -> None:
    out = folder / "text2sql_train.json"
    assert data.main(["export", "spider", "--data", str(folder / "spider"), "--form", form, "--out", str(out)]) == 0
    first = json.loads(out.read_text())[0]
    if form == "messages":
        asked, answer = first["messages"]
        assert "CREATE TABLE item" in asked["content"] and asked["content"].endswith(
            "Question: Which item is number 0?"
        )
        assert answer == {"role": "assistant", "content": "SELECT name FROM item WHERE id = 0"}
    else:  # what is written is read again
        example = load_examples("dbgpt_hub", "train", folder, rows=False)[0]
        assert (example.question, example.gold_sql) == ("Which item is number 0?", "SELECT name FROM item WHERE id = 0")


@pytest.mark.parametrize(
    ("form", "want"),
    [
        ("spider", "SELECT 1\nSELECT 2 FROM item\n"),
        ("bird", {"0": "SELECT 1\t----- bird -----\thall", "1": "SELECT 2\nFROM item\t----- bird -----\thall"}),
    ],
)
def test_predictions_are_written_in_the_official_forms(folder: Path, form: str, want: Any) -> None:
    (folder / "p.jsonl").write_text(
        '{"id": "dev-00001", "sql": "SELECT 2\\nFROM item"}\n{"id": "dev-00000", "sql": "SELECT 1"}\n'
    )
    words = ["--split", "dev", "--predictions", str(folder / "p.jsonl"), "--out", str(folder / "official")]
    assert data.main(["export", "spider", "--data", str(folder / "spider"), "--form", form, *words]) == 0
    found = (folder / "official").read_text()
    assert (found if form == "spider" else json.loads(found)) == want
