"""One class behind all doors: what it answers is what evaluation predicts, and what the terminal prints."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from evaluation.benchmarks import load_examples
from evaluation.databases.sandbox import Sandbox
from evaluation.errors import UserError
from graph.answer import extract_sql
from rl import ask, policies, predict, wire
from rl.asker import SHOWN, Asker, Candidate, candidates
from rl.policies import Policies
from sft.policy.sampling import Sample
from tests.conftest import ROOT

pytestmark = pytest.mark.slow  # starts an engine
EXAMPLES = load_examples("tiny", "dev")[:12]


@pytest.fixture(scope="module")
def started() -> Iterator[Policies]:
    args = ask._parser().parse_args(["--database", EXAMPLES[0].database, "--max-tokens", "64"])
    found = policies.start(args, {})
    yield found
    found.close()


@pytest.fixture
def asker(started: Policies) -> Iterator[Asker]:
    with Sandbox(SHOWN) as sandbox:
        yield Asker(started, sandbox.execute, max_tokens=64)


def test_what_is_served_is_what_was_evaluated(started: Policies, asker: Asker) -> None:
    argv = ["--model", policies.BUNDLED, "--benchmark", "tiny", "--out", "unused.jsonl", "--max-tokens", "64"]
    rows = predict._predict(started, predict._encode(EXAMPLES, started.default), predict._parser().parse_args(argv))
    answers = [asker.ask(example.question, example.database, example.evidence) for example in EXAMPLES]
    assert [answer.sql for answer in answers] == [row["sql"] for row in rows]
    assert len({answer.candidates[0].text for answer in answers}) > 6  # the model did write something


def test_the_selection_sees_every_candidate_executed_and_its_choice_is_the_answer(started: Policies) -> None:
    seen: list[list[Candidate]] = []

    def last(found: Sequence[Candidate]) -> int:
        seen.append(list(found))
        return len(found) - 1

    with Sandbox(SHOWN) as sandbox:
        asker = Asker(started, sandbox.execute, select=last, max_tokens=32, samples=3)
        answer = asker.ask(EXAMPLES[0].question, EXAMPLES[0].database)
    assert len(answer.candidates) == 4 and answer.chosen == 3 and len(seen) == 1
    assert all(one.execution is not None for one in seen[0])
    assert answer.sql == seen[0][3].sql and answer.execution == seen[0][3].execution


def test_an_answer_has_the_keys_that_programs_read(asker: Asker) -> None:
    example = EXAMPLES[0]
    found = wire.answer(asker, asker.ask(example.question, example.database), example.database)
    keys = ["sql", "columns", "rows", "truncated", "status", "error", "linked", "seconds", "policy"]
    assert list(found) == keys and found["policy"] == "base"
    assert json.loads(json.dumps(found)) == found


def test_candidates_are_the_queries_in_what_the_model_wrote(started: Policies) -> None:
    text = "Here it is:\n```sql\nSELECT 1;\n```"
    ids = started.default.encoder.tokenizer.encode(text, add_special_tokens=False)
    (one,) = candidates(started.default, [Sample(ids, [-0.5] * len(ids), "stop")])
    assert (one.text, one.sql, one.log_prob) == (text, extract_sql(text), -0.5 * len(ids))


def test_a_question_that_cannot_be_asked_is_refused_in_one_line(asker: Asker) -> None:
    database = EXAMPLES[0].database
    for question, words in (("", "must not be empty"), ("x" * 5000, "4000 characters"), ("why " * 900, "at most")):
        with pytest.raises(UserError, match=words) as caught:
            asker.ask(question, database)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="no policy 'rl' here; there are base"):
        asker.ask("How many?", database, policy="rl")


def test_a_dialogue_keeps_its_history_and_says_why(asker: Asker) -> None:
    example = EXAMPLES[0]
    talk = ask.Dialogue(asker, example.database, 5)
    assert talk.reply("\\why") == talk.reply("\\sql") == "nothing was asked yet"
    first = talk.reply(example.question)
    sql = talk.answers[0].sql
    assert not sql or first.startswith(sql)
    assert talk.reply("\\history") == f"1  {example.question}"
    why = talk.reply("\\why")
    assert f"Question: {example.question}" in why and "policy: base" in why and "tables linked: " in why
    table = asker.writer(example.database).schema.tables[0].name
    assert table in talk.reply("\\schema")
    assert "n\n-" in talk.reply(f'\\run SELECT count(*) AS n FROM "{table}"') and talk.sql.startswith("SELECT count")
    assert talk.reply("\\run").endswith("(1 row)")
    assert talk.reply(f'\\run DELETE FROM "{table}"').startswith("refused: not allowed")
    assert talk.reply("\\x").startswith("there is no \\x") and talk.reply(" " * 3 + "\x00" * 9)
    assert "\\run SQL" in talk.reply("\\help")


def test_a_dialogue_goes_on_after_what_cannot_be_asked(
    asker: Asker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(f"{'why ' * 900}\n\n\\history\n\\quit\nnever read\n"))
    assert ask.Dialogue(asker, EXAMPLES[0].database, 5).run() == 0
    said = capsys.readouterr().out
    assert "error: schema and question must have at most" in said and "never" not in said


def test_rows_beyond_the_limit_are_cut_and_said_to_be(asker: Asker, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "many.sqlite")) as db:
        db.execute("CREATE TABLE t(a)")
        db.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(3000)])
        db.commit()
    found = asker.run(str(tmp_path / "many.sqlite"), "SELECT a FROM t")
    assert (len(found.rows), found.truncated, found.rows[-1]) == (1000, True, (999,))
    whole = asker.run(str(tmp_path / "many.sqlite"), "SELECT a FROM t LIMIT 1000")
    assert (len(whole.rows), whole.truncated) == (1000, False)


def test_the_shipped_adapter_answers_where_it_fits_what_is_asked_for() -> None:
    def shipped(*options: str) -> list[str]:
        return list(policies.shipped_adapter(ask._parser().parse_args(["--database", EXAMPLES[0].database, *options])))

    assert shipped() == shipped("--quantization", "nf4", "--prompt-style", "compact") == ["tiny"]
    assert shipped("--quantization", "none") == shipped("--prompt-style", "mschema") == []


def test_the_command_answers_on_the_shop_of_the_docs() -> None:
    words = ["ask", "--database", "docs/shop/shop.sqlite", "--json", "What is the average price of products?"]
    done = subprocess.run([sys.executable, "-m", "rl.commands", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    with closing(sqlite3.connect(ROOT / "docs" / "shop" / "shop.sqlite")) as shop:
        assert found["rows"] == [list(shop.execute("SELECT AVG(price) FROM products").fetchone())]
    assert (found["policy"], found["status"], "products" in found["linked"]["tables"]) == ("tiny", "ok", True)


def test_what_is_wrong_with_the_arguments_is_said_before_the_engine_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(EXAMPLES[0].database, tmp_path / "d.sqlite")
    (tmp_path / "no.sqlite").write_text("not a database")

    def refused(*argv: str) -> str:
        assert ask.main(argv) == 2
        return capsys.readouterr().err

    assert "is not an SQLite 3 file" in refused("--database", str(tmp_path / "no.sqlite"), "how many?")
    assert "--json answers one question" in refused("--database", str(tmp_path / "d.sqlite"), "--json")
    assert "no-such-model" in refused("--database", str(tmp_path / "d.sqlite"), "--model", "./no-such-model", "a?")
    assert "must hold adapter_model" in refused(
        "--database", str(tmp_path / "d.sqlite"), "--adapter", str(tmp_path), "how many?"
    )
