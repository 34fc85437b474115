import sqlite3
from contextlib import closing

import pytest

from graph.show import fonts, main


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE city (city_id INTEGER PRIMARY KEY, name TEXT, note TEXT);"
            "CREATE TABLE shop (shop_id INTEGER PRIMARY KEY, city_id INTEGER REFERENCES city, owner TEXT);"
            "INSERT INTO city VALUES (1, '$x$ <b>', 'n');"
        )
    return path


def test_the_prompt_is_printed_and_the_page_holds_picture_and_prompt(shop, tmp_path, capsys):
    out = tmp_path / "page.html"
    assert main(["--db", str(shop), "--question", "owners <of> shops in each city", "--out", str(out)]) == 0
    assert "shop.city_id = city.city_id" in capsys.readouterr().out
    page = out.read_text()
    assert "<svg" in page
    assert "&lt;of&gt;" in page and "<of>" not in page


@pytest.mark.parametrize("name", ["picture.png", "picture.svg"])
def test_a_picture_is_drawn_without_a_question_too(shop, tmp_path, name):
    assert main(["--db", str(shop), "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / name).stat().st_size > 5000


def test_what_cannot_be_done_is_said(shop, tmp_path, capsys):
    for arguments, message in (
        (["--db", str(tmp_path / "none.sqlite")], "does not exist"),
        (["--db", str(shop), "--style", "prose"], "BASE one of compact, ddl, mschema"),
        (["--db", str(shop), "--out", "x.pdf"], "must end with .html, .png or .svg"),
    ):
        assert main(arguments) == 2
        assert message in capsys.readouterr().err


def test_names_in_any_script_stand_in_the_page_and_missing_letters_are_said_in_one_line(tmp_path, capsys):
    path = tmp_path / "music.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE 歌手 (歌手编号 INTEGER PRIMARY KEY, 姓名 TEXT);")
    out = tmp_path / "page.html"
    assert main(["--db", str(path), "--question", "每个歌手的姓名", "--out", str(out)]) == 0
    drawing = out.read_text(encoding="utf-8").partition("<svg")[2].partition("</svg>")[0]
    assert "歌手" in drawing and "姓名" in drawing
    said = capsys.readouterr().err.splitlines()
    assert len(said) <= 2 and said[-1] == f"drawn: {out}"


def test_the_usual_font_is_enough_for_usual_letters_and_unknown_ones_are_named(capsys):
    assert fonts("singer é") == ["sans-serif"]
    fonts("\U0010fffd")
    assert capsys.readouterr().err.count("\n") == 1
