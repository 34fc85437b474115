"""Answers that fail or return nothing are written again, and the last one that runs stands."""

import argparse
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from evaluation.benchmarks import Example
from evaluation.databases.sandbox import Sandbox
from evaluation.errors import UserError
from rl.policies import Policy
from rl.repair import Asked, Repairer
from rl.selection import Selection, add_options, selection
from sft.policy.base import load_tokenizer
from sft.policy.encoder import PromptEncoder
from sft.policy.model_files import PROJECT
from sft.policy.sampling import Sample


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy("tiny", None, PromptEncoder(load_tokenizer(str(PROJECT / "sft" / "tiny")), max_prompt_tokens=600))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Example:
    path = tmp_path_factory.mktemp("shop") / "shop.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)")
        database.execute("INSERT INTO item (name) VALUES ('tea')")
        database.commit()
    return Example("q", "shop", "Which items?", "", "", str(path), "")


class Script:
    """Answers with the next line of the question's script, and keeps what it read."""

    def __init__(self, policy: Policy, lines: Sequence[Sequence[str]]) -> None:
        self.policy, self.lines = policy, [list(script) for script in lines]
        self.read: list[str] = []

    def sample(self, sql: str) -> Sample:
        ids = self.policy.encoder.completion_ids(sql)
        return Sample(ids, [-1.0] * len(ids), "stop")

    def __call__(self, prompts: Sequence[list[int]], places: Sequence[int]) -> list[Sample]:
        self.read += [str(self.policy.encoder.tokenizer.decode(prompt)) for prompt in prompts]
        return [self.sample(self.lines[place].pop(0)) for place in places]


def repaired(policy: Policy, shop: Example, turns: int, *scripts: Sequence[str]) -> tuple[list[str], Script]:
    script = Script(policy, [answers[1:] for answers in scripts])
    prompt = policy.prompt(shop)
    with Sandbox() as sandbox:
        repairer = Repairer(policy, script, sandbox.execute, turns)
        found = repairer.repair([Asked(shop, prompt, script.sample(answers[0])) for answers in scripts])
    return [policy.text(one).strip() for one in found], script


def test_an_error_or_nothing_is_shown_and_written_again_and_rows_are_not(policy: Policy, shop: Example) -> None:
    found, script = repaired(
        policy,
        shop,
        2,
        ["SELECT nme FROM item", "SELECT name FROM item"],
        ["SELECT name FROM item"],
        ["SELECT id FROM item WHERE id = 7", "SELECT id FROM item"],
    )
    assert found == ["SELECT name FROM item", "SELECT name FROM item", "SELECT id FROM item"]
    assert len(script.read) == 2 and "no such column: nme" in script.read[0] and "0 rows" in script.read[1]


def test_only_what_runs_takes_the_place_of_an_answer(policy: Policy, shop: Example) -> None:
    never = ["SELECT a FROM item", "SELECT b FROM item", "SELECT c FROM item"]
    empty = ["SELECT id FROM item WHERE 0", "SELECT oops FROM item", "SELECT ouch FROM item"]
    last = ["SELECT a FROM item", "SELECT id FROM item WHERE 0", "SELECT b FROM item"]
    found, script = repaired(policy, shop, 2, never, empty, last)
    assert found == ["SELECT a FROM item", "SELECT id FROM item WHERE 0", "SELECT id FROM item WHERE 0"]
    assert script.lines == [[], [], []]  # two turns each, no more


def test_standing_by_a_query_or_no_room_ends_it(policy: Policy, shop: Example) -> None:
    found, script = repaired(policy, shop, 5, ["SELECT a FROM item", "SELECT a FROM item", "SELECT name FROM item"])
    assert found == ["SELECT a FROM item"] and len(script.read) == 1
    full = Policy("tiny", None, PromptEncoder(policy.encoder.tokenizer, max_prompt_tokens=len(policy.prompt(shop)) + 5))
    found, script = repaired(full, shop, 5, ["SELECT a FROM item", "SELECT name FROM item"])
    assert found == ["SELECT a FROM item"] and not script.read


def test_a_revision_shows_both_answers_and_takes_what_runs(policy: Policy, shop: Example) -> None:
    first = "SELECT id FROM item"
    script = Script(policy, [["SELECT name FROM item"], ["SELECT oops FROM item"], ["SELECT 1"]])
    asked = [Asked(shop, policy.prompt(shop), script.sample(first)) for _ in range(3)]
    with Sandbox() as sandbox:
        found = Repairer(policy, script, sandbox.execute, 0).revise(asked, ["SELECT name FROM item"] * 2 + [""])
    assert [policy.text(one).strip() for one in found] == ["SELECT name FROM item", first, first]
    assert len(script.read) == 2 and first in script.read[0]
    assert "tea" in script.read[0].replace(" ", "") and script.lines[2] == ["SELECT 1"]  # one group: nothing is asked
    with pytest.raises(UserError, match="a revision needs select vote"):
        Selection(3, revise=True)


def test_the_number_of_repairs_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    parser.set_defaults(seed=0)
    assert selection(parser.parse_args(["--repair", "3"])).repairs == 3
    for wrong in ("-1", "16", "two"):
        with pytest.raises(SystemExit):
            parser.parse_args([f"--repair={wrong}"])
        assert "a whole number from 0 to 15" in capsys.readouterr().err


def test_training_refuses_a_grammar_and_says_why(tmp_path: Path) -> None:
    from rl.config import RlConfig
    from sft.settings.file import validate

    with pytest.raises(UserError, match=r"training samples freely.*--grammar"):
        validate(RlConfig, {"rollout": {"grammar": True}}, "the command line")
