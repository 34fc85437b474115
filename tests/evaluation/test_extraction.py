import json

import pytest

from evaluation.extraction import GOLDS, WRAPPINGS, main, shares_kept
from evaluation.text_files import read_records

QUERIES = ["SELECT count(*) FROM singer", "select name from singer where country = \"France\" and note like '%;%'"]


def test_every_wrapping_gives_plain_queries_back():
    assert len(WRAPPINGS) >= 30
    assert {name for name, share in shares_kept(QUERIES).items() if share < 1} == set()


def test_answers_of_a_file_become_lines_of_sql(tmp_path, capsys):
    answers = tmp_path / "answers.jsonl"
    rows = [{"id": "a", "answer": "```\nSELECT 1;\n```"}, {"answer": "No."}]
    answers.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    assert main(["--answers", str(answers)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [{"id": "a", "sql": "SELECT 1"}, {"id": "2", "sql": ""}]


@pytest.mark.parametrize(
    "content, message",
    [("{", "line 1, column 2: malformed JSON"), ("[1]", 'with "answer"'), ('{"answer": 3}', "must be a text, got 3")],
)
def test_what_is_no_file_of_answers_is_said_in_one_line(tmp_path, capsys, content, message):
    answers = tmp_path / "answers.jsonl"
    answers.write_text(content, encoding="utf-8")
    assert main(["--answers", str(answers)]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_one_source_must_be_named(capsys):
    assert main([]) == 2
    assert "--data DIR" in capsys.readouterr().err


def test_golds_survive_every_wrapping(spider_dir, bird_dir):
    queries = [
        row[field]
        for (_, field), directory in zip(GOLDS, (spider_dir, bird_dir), strict=True)
        for row in read_records(directory / "dev.json")[::60]
    ]
    assert min(shares_kept(queries).values()) >= 0.95  # of 43 queries
