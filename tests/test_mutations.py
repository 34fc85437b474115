"""The list of mistakes cannot rot: its snippets and tests exist, and the command tells caught from unnoticed."""

import ast
from dataclasses import replace
from functools import cache

import pytest

from evaluation.errors import UserError
from tests.mutations import grpo
from tests.mutations.__main__ import MUTATIONS, main, select
from tests.mutations.run import ROOT, Mutation, judge, mutated

QUICK = next(m for m in MUTATIONS if m.tests == ("tests/rl/test_advantages.py::test_a_group_of_one_is_refused",))


@cache
def functions(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text()) if (ROOT / file).is_file() else ast.Module([], [])
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: f"{m.pitfall}-{m.name}")
def test_every_snippet_stands_once_in_its_file_and_every_named_test_exists(mutation: Mutation) -> None:
    ast.parse(mutated(mutation))
    assert mutation.old != mutation.new and mutation.tests
    for test in mutation.tests:
        file, _, name = test.partition("::")
        assert name.partition("[")[0] in functions(file), test


def test_every_pitfall_is_made_and_no_two_mistakes_bear_one_name() -> None:
    assert {m.pitfall for m in grpo.MUTATIONS} == {f"5.{n}" for n in range(1, 23)}
    assert len({m.name for m in MUTATIONS}) == len(MUTATIONS)


def test_a_snippet_that_is_gone_is_named() -> None:
    with pytest.raises(UserError, match="rl/algorithms/advantages.py must hold the snippet of mutation 5.1 "):
        mutated(replace(QUICK, old="not there"))


@pytest.mark.slow
def test_the_command_makes_the_mistake_in_a_copy_and_sees_the_test_fail(capsys: pytest.CaptureFixture[str]) -> None:
    before = (ROOT / QUICK.file).read_bytes()
    assert main(["--only", QUICK.name]) == 0
    assert '{"mutations": 1, "caught": 1, ' in capsys.readouterr().out.splitlines()[-1]
    assert (ROOT / QUICK.file).read_bytes() == before


@pytest.mark.slow
def test_a_harmless_change_survives_and_a_broken_one_counts_as_nothing() -> None:
    assert judge(replace(QUICK, new="if not len(rewards_K) >= 2:"), 60).verdict == "survived"
    assert judge(replace(QUICK, new="if len(rewards_K) < :"), 60).verdict == "broken"


@pytest.mark.slow
def test_a_part_of_the_list_is_chosen_by_number_or_name() -> None:
    assert {m.pitfall for m in select(MUTATIONS, "5.1")} == {"5.1"}
    with pytest.raises(UserError, match="--only must be a pitfall's number"):
        select(MUTATIONS, "5.99")
