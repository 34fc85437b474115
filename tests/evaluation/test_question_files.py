"""Questions and databases of a user, in the forms that people have them, with the faults that such files have."""

import json
import logging
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from evaluation.benchmarks import load_examples, load_split
from evaluation.errors import UserError
from tests.evaluation.test_layouts import COUNT, SHOP, lay

GOOD = {"db_id": "shop", "question": "How many?", "sql": COUNT}


def one(folder: Path, split: str = "dev") -> tuple[str, str, str, str]:
    (example,) = load_examples("own", split, folder)
    return example.db_id, example.question, example.gold_sql, Path(example.database).name


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dev.json", [GOOD]),
        ("dev.jsonl", [GOOD]),
        ("val.json", [GOOD]),
        ("validation.jsonl", [{"Database": "shop.sqlite", "Utterance": "How many?", "Query": COUNT}]),
        ("dev.csv", f"db_id,question,sql\nshop,How many?,{COUNT}\n"),
        ("dev.csv", f'\ufeffDB ID;Question;Gold SQL\nshop;How many?;"{COUNT}"\n'),
        ("dev.tsv", f"question\tquery\nHow many?\t{COUNT}\n"),  # the only database there is
        ("dev.csv", f'question,sql\n"How many?","{COUNT}"\n'),
    ],
)
def test_the_usual_forms_are_read(tmp_path: Path, name: str, content: Any) -> None:
    assert one(lay(tmp_path, {name: content, "shop.sqlite": SHOP})) == ("shop", "How many?", COUNT, "shop.sqlite")


def test_parquet_is_read(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.Table.from_pylist([GOOD]), tmp_path / "test.parquet")
    assert one(lay(tmp_path, {"databases/shop.db": SHOP}), "test") == ("shop", "How many?", COUNT, "shop.db")
    (tmp_path / "test.parquet").write_bytes(b"no")
    with pytest.raises(UserError, match="must be a Parquet file"):
        load_examples("own", "test", tmp_path)


@pytest.mark.parametrize("name", ["shop.db", "shop.sqlite3", "databases/shop.sqlite", "shop/shop.db", "shop.sql"])
def test_the_usual_places_of_databases_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("ROLLSQL_CACHE", str(tmp_path / "cache"))
    assert one(lay(tmp_path / "data", {"dev.json": [GOOD], name: SHOP}))[:3] == ("shop", "How many?", COUNT)


LINES = [json.dumps(GOOD), '{"db_id": "shop", "question"', json.dumps({"q": 1}), json.dumps(GOOD)]


@pytest.mark.parametrize(
    ("content", "lost"),
    [
        ("\n".join(LINES), ["line 2: malformed JSON", "question 3: 'question' must be a text, got None; it has q"]),
        ("[\n" + ",\n".join(LINES) + "\n]", ["line 3: malformed JSON", "question 3: 'question' must be a text"]),
        ("\n".join([LINES[0], "[1]"]), ["line 2: must be a JSON object, got [1]"]),
    ],
)
def test_broken_records_among_good_ones_are_named_and_the_rest_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str, lost: list[str]
) -> None:
    name = "dev.json" if content.startswith("[\n") else "dev.jsonl"
    with caplog.at_level(logging.WARNING):
        split = load_split("own", "dev", lay(tmp_path, {name: content, "shop.db": SHOP}))
    assert len(split.faults) == len(lost) and f"{len(lost)} of" in caplog.text
    assert all(why in str(fault) for why, fault in zip(lost, split.faults, strict=True))
    assert all(example.question == "How many?" for example in split.examples)


@pytest.mark.parametrize(
    ("broken", "kept"),
    [
        ('"How many?,SELECT 1\n', 3),  # not closed: the next quote, or the end, would close it
        ('How many?,"SELECT 1\n', 3),
        ("How many?\n", 3),
        ("How many?,SELECT 1,2\n", 3),
        ('"How\nmany?","SELECT\n1"\n', 4),
        ('"Bob" is how old?,SELECT 1\n', 4),
    ],
)
def test_a_row_with_wrong_quotes_or_cells_does_not_take_others_along(tmp_path: Path, broken: str, kept: int) -> None:
    content = f'question,sql\nFirst?,SELECT 1\n{broken}"Second?",SELECT 2\nThird?,"SELECT 3"\n'
    split = load_split("own", "dev", lay(tmp_path, {"dev.csv": content, "shop.db": SHOP}))
    assert len(split.examples) == kept and len(split.faults) == 4 - kept
    assert [e.gold_sql for e in split.examples][-2:] == ["SELECT 2", "SELECT 3"]
    assert all("line 3" in str(fault) for fault in split.faults)


def test_a_last_row_that_is_cut_short_is_lost(tmp_path: Path) -> None:
    content = 'question,sql\nFirst?,SELECT 1\nSecond?,"SELECT 2'
    split = load_split("own", "dev", lay(tmp_path, {"dev.csv": content, "shop.db": SHOP}))
    assert (len(split.examples), len(split.faults)) == (1, 1)


PRETTY = json.dumps([GOOD] * 3, indent=4)


@pytest.mark.parametrize(
    ("content", "kept", "lost"),
    [
        (PRETTY.replace('"How many?"', '"How "many?"', 1), 2, ["line 4: malformed JSON"]),
        (PRETTY[: PRETTY.rindex('"sql"')], 2, ["malformed JSON"]),
        (json.dumps([GOOD, {**GOOD, "more": [{}]}, GOOD])[:-20], 2, ["line 1: malformed JSON"]),
        (PRETTY[:-2], 3, ["the list must end here with a ]"]),
        (PRETTY[:-2] + ",\n]", 3, []),
    ],
)
def test_of_a_list_that_is_broken_somewhere_the_other_records_are_kept(
    tmp_path: Path, content: str, kept: int, lost: list[str]
) -> None:
    split = load_split("own", "dev", lay(tmp_path, {"dev.json": content, "shop.db": SHOP}))
    assert len(split.examples) == kept and len(split.faults) == len(lost)
    assert all(why in str(fault) for why, fault in zip(lost, split.faults, strict=True))


def test_a_line_in_another_encoding_is_lost_alone(tmp_path: Path) -> None:
    lay(tmp_path, {"shop.db": SHOP})
    other = json.dumps({**GOOD, "question": "Café?"}, ensure_ascii=False)
    (tmp_path / "dev.jsonl").write_bytes(f"{LINES[0]}\n".encode() + f"{other}\n".encode("latin-1"))
    split = load_split("own", "dev", tmp_path)
    assert [str(fault) for fault in split.faults] == [f"{tmp_path / 'dev.jsonl'}, line 2: byte 0xe9 is not UTF-8"]
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):  # the last two without a mark
        (tmp_path / "dev.jsonl").write_text(f"{other}\n", encoding)
        assert load_examples("own", "dev", tmp_path)[0].question == "Café?"


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"dev.json": [{**GOOD, "id": 1}, {**GOOD, "id": 1}], "shop.db": SHOP}, "used more than once: 1"),
        ({"dev.json": [GOOD], "dev.csv": "question,sql\n", "shop.db": SHOP}, "one file of questions, found"),
        ({"dev.json": [{"ask": "?"}], "shop.db": SHOP}, "'question' must be a text, got None; it has ask"),
        ({"dev.json": [GOOD], "cafe.db": SHOP}, "no question has a database; expected files like"),
        ({"dev.csv": "question,sql\n", "shop.db": SHOP}, "holds no questions"),
        ({"dev.csv": "question,sql\nHow many?, \n", "shop.db": SHOP}, "question 1: the query must not be blank"),
        ({"dev.csv": "question,sql\na,b,c\n", "shop.db": SHOP}, "line 2: must have 2 cells, has 3"),
    ],
)
def test_what_cannot_be_kept_is_a_clear_error(tmp_path: Path, files: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        load_examples("own", "dev", lay(tmp_path, files))


def test_a_blank_question_can_be_scored_but_not_learned_from(tmp_path: Path) -> None:
    blank = {**GOOD, "question": " "}
    lay(tmp_path, {"train.json": [blank, GOOD], "dev.json": [blank, GOOD], "shop.db": SHOP})
    assert [len(load_examples("own", split, tmp_path)) for split in ("train", "dev")] == [1, 2]
    assert "question 1: the question must not be blank" in str(load_split("own", "train", tmp_path).faults[0])
