"""One class behind all doors: what it answers is what evaluation predicts, and what the terminal prints."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from evaluation.benchmarks import load_examples
from evaluation.benchmarks.layout import Turn
from evaluation.databases.sandbox import Sandbox
from evaluation.errors import UserError
from evaluation.instances.folder import Cached
from graph.answer import extract_sql
from rl import ask, policies, predict, wire
from rl.asker import SHOWN, Asker, candidates
from rl.policies import Policies
from rl.selection import GREEDY, Selection, Selector
from rl.serve.app import Parts, application
from rl.serve.batcher import Batcher
from rl.serve.chat import Chat, ChatRequest
from rl.serve.databases import Databases
from rl.serve.feedback import Feedback
from sft.policy.adapter import check_adapter
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
    with Sandbox(SHOWN) as sandbox, Sandbox() as voting:
        yield Asker(started, sandbox.execute, Selector(voting.execute, Cached(2)), max_tokens=64)


VOTE = ("--candidates", "4", "--select", "vote")
INSTANCES = ("--candidates", "3", "--select", "vote_instances", "--instances", "2", "--abstain-below", "0.6")


@pytest.mark.parametrize("options", [(), VOTE, INSTANCES])
def test_evaluation_the_terminal_and_the_api_choose_the_same(
    options: tuple[str, ...], started: Policies, asker: Asker, tmp_path: Path
) -> None:
    argv = [
        "--model",
        policies.BUNDLED,
        "--benchmark",
        "tiny",
        "--out",
        str(tmp_path / "p.jsonl"),
        "--max-tokens",
        "64",
    ]
    args = predict._parser().parse_args([*argv, *options])
    predict._check(args)
    rows = predict._predict(started, predict._encode(EXAMPLES, started.default), args)
    asker.selection = args.selection
    answers = [asker.ask(example.question, example.database, example.evidence) for example in EXAMPLES]
    assert [answer.sql for answer in answers] == [row["sql"] for row in rows]
    assert len({answer.candidates[0].text for answer in answers}) > 6  # the model did write something
    if not options:
        return
    assert [round(answer.confidence or 0.0, 4) for answer in answers] == [row["confidence"] for row in rows]
    assert [[one.sql for one in answer.candidates[1:]] for answer in answers] == [row["samples"] for row in rows]
    databases = Databases(sorted({Path(example.database) for example in EXAMPLES}))
    batcher = Batcher(started.generator)
    asker.sampler, asker.selection = batcher, GREEDY
    app = application(Parts(asker, batcher, databases, Feedback(None)))
    how = {"candidates": len(answers[0].candidates), "select": args.select, "abstain_below": args.abstain_below or 0}
    with TestClient(app, base_url="http://localhost") as client:
        for example, answer in list(zip(EXAMPLES, answers, strict=True))[::-2]:  # in another order than evaluation
            asked = {"question": example.question, "evidence": example.evidence, "database": example.db_id, **how}
            found = client.post("/ask", json=asked).json()
            assert (found["sql"], found["chosen"]) == (answer.sql, answer.place)
            assert [one["sql"] for one in found["candidates"]] == [one.sql for one in answer.candidates]
            assert (found["status"], found["rows"]) == (
                answer.execution.status,
                wire.execution(answer.execution)["rows"],
            )
    batcher.close()


def test_an_answer_that_too_few_candidates_agree_on_is_withheld_in_words(asker: Asker) -> None:
    asker.selection = Selection(candidates=4, select="vote", abstain_below=1.0, temperature=2.0)
    answers = [asker.ask(example.question, example.database) for example in EXAMPLES[:3]]
    unsure = next(one for one in answers if one.confidence is not None and one.confidence < 1)
    assert (unsure.sql, unsure.execution.status, unsure.execution.rows) == ("", "error", ())
    assert "no answer: the confidence is 0." in unsure.execution.error
    assert all(one.execution is not None for one in unsure.candidates)


def test_earlier_turns_stand_in_the_prompt_as_benchmarks_of_dialogues_have_them(
    started: Policies, asker: Asker
) -> None:
    example = replace(EXAMPLES[0], history=(Turn("How many rows?", "SELECT 1"), Turn("And now?", "SELECT 2")))
    policy = started.default
    ids, kept = asker.prompt(example.question, example.database, example.evidence, policy, example.history)
    assert ids == policy.prompt(example) != policy.prompt(EXAMPLES[0]) and kept == example.history
    many = [Turn(f"Question {number}? " + "why " * 60, "SELECT 1") for number in range(30)]
    ids, kept = asker.prompt(example.question, example.database, "", policy, many)
    assert (
        policy.encoder.fits(ids) and 0 < len(kept) < 30 and list(kept) == many[-len(kept) :]
    )  # the last ones have room


def test_a_chat_goes_on_from_its_earlier_turns(started: Policies, asker: Asker) -> None:
    example = EXAMPLES[0]
    databases = Databases([Path(example.database)])

    def prompt(*said: tuple[str, str]) -> list[int]:
        messages = [{"role": role, "content": text} for role, text in said]
        return Chat(ChatRequest.model_validate({"messages": messages}), asker, databases).prompt

    asked, answered = ("user", "How many rows?"), ("assistant", "```sql\nSELECT 1;\n```")
    last = ("user", example.question)
    whole = replace(example, evidence="", history=(Turn("How many rows?", "SELECT 1"),))
    assert prompt(("system", "Be brief."), asked, answered, last) == started.default.prompt(whole)
    alone = started.default.prompt(replace(example, evidence=""))
    assert prompt(last) == prompt(asked, last) == prompt(asked, ("assistant", "I do not know."), last) == alone


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
    talk.turns = 1
    talk.reply("And how many?")
    assert f"Earlier question: {example.question}" in talk.reply("\\why") or not sql
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

    for adapter in policies.SHIPPED.iterdir():  # it is trusted when it is served
        check_adapter(adapter, ROOT / policies.BUNDLED)
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
