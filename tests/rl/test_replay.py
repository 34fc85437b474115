"""Pairs offline: an earlier run's samples, the hardest first, those without contrast counted."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.errors import UserError
from rl import loop
from rl.config import RlConfig
from rl.journal import write_rollouts
from rl.replay import Replay, check, digest, files, hardness, read, settings
from rl.types import Group, Segment
from sft.settings.file import validate
from tests.rl.test_loop import Scripted, recipe_of
from tests.rl.test_pairs import group_of, learner_of, model_of, toy, warm

__all__ = ["toy", "warm"]


def with_rewards(group: Group, step: int) -> Group:
    rewards = [replace(reward, parts={"correct": reward.value, "executable": 1.0}) for reward in group.rewards]
    episodes = [replace(episode, policy_step=step) for episode in group.episodes]
    return replace(group, episodes=episodes, rewards=rewards, advantages=[0.0] * len(rewards))


def run_of(directory: Path, steps: Sequence[Sequence[Group]], model: str = "m") -> Path:
    (directory / "rollouts").mkdir(parents=True)
    for step, groups in enumerate(steps, start=1):
        write_rollouts(directory / "rollouts" / f"step_{step:06d}.parquet", [with_rewards(g, step - 1) for g in groups])
    config = {"model": {"path": model}, "lora": {}, "learner": {}, "data": {"prompt_style": "compact"}}
    (directory / "config.json").write_text(json.dumps(config))
    return directory


# mean log μ of the answers: −1, −2, −3 …; the hardest pair is the first wrong with the last right answer
EASY, HARD, HARDER = group_of("rw", 1), group_of("wr", 2), group_of("wwr", 3)  # gaps −1, 1, 2 nats


def test_groups_are_read_back_as_they_were_and_come_hardest_first_and_again(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [[EASY, group_of("rr", 4)], [HARD, HARDER, group_of("ww", 5)]])
    groups = read(run)
    assert [len(group.episodes) for group in groups] == [2, 2, 2, 3, 2]
    assert [e.ids for e in groups[3].episodes] == [e.ids for e in HARDER.episodes]
    assert [e.log_probs for e in groups[3].episodes] == [e.log_probs for e in HARDER.episodes]
    assert [r.correct for r in groups[3].rewards] == [False, False, True] and groups[3].episodes[0].policy_step == 1
    made = Replay(groups, size=2)
    assert made.without == 2 and [hardness(group) for group in made.groups] == [2.0, 1.0, -1.0]
    order = [[group.example.id for group in made.draw(step)] for step in (1, 2, 3)]
    assert order == [["q3", "q2"], ["q1", "q3"], ["q2", "q1"]]
    assert len(Replay(groups, size=9).draw(1)) == 3  # none twice in a step


def test_a_step_on_pairs_of_a_run_is_the_step_on_the_same_groups(toy: str, warm: str, tmp_path: Path) -> None:
    groups = [HARDER, HARD, EASY]
    replayed = Replay(read(run_of(tmp_path / "run", [groups])), size=3).draw(1)
    steps = [learner.learn(learner.algorithm.credit(one), 1)
             for learner, one in ((learner_of("dpo", toy, warm), groups), (learner_of("dpo", toy, warm), replayed))]
    assert steps[0]["loss"] == steps[1]["loss"] and steps[0]["grad_norm"] == steps[1]["grad_norm"] > 0


def test_the_loop_learns_from_them_whatever_policy_drew_them_and_draws_none(tmp_path: Path) -> None:
    made = Replay([with_rewards(group, 40) for group in (EASY, HARD, HARDER)], size=2)
    parts = Scripted(useful=2)
    loop.train(range(1, 3), replace(recipe_of(parts), replay=made))
    assert parts.calls == [] and [len(parts.learned[step]) for step in (1, 2)] == [2, 2]


def test_what_cannot_be_learned_from_is_one_line(toy: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none of 2 groups has both a right and a wrong answer"):
        Replay([group_of("rr"), group_of("w")], 4)
    with pytest.raises(UserError, match=r"the directory of a run of rl.train; .* has no rollouts"):
        files(tmp_path)
    run = run_of(tmp_path / "run", [[EASY]], model=toy)
    check(run, model_of(toy), "compact")
    (tmp_path / "config.json").write_text('{"model": 5}')
    with pytest.raises(UserError, match=r"must hold the settings of a run of rl.train: "):
        settings(tmp_path)
    with pytest.raises(UserError, match=r"follow prompts of the style 'compact', not 'ddl'"):
        check(run, model_of(toy), "ddl")
    with pytest.raises(UserError, match=r"are those of .*, another model than sft/tiny"):
        check(run, model_of("sft/tiny"), "compact")
    told = replace(HARD, episodes=[e.then(Segment([9], None), Segment([7], [-1.0])) for e in HARD.episodes])
    with pytest.raises(UserError, match="several turns"):
        read(run_of(tmp_path / "agent", [[told]]))
    before = digest(run)
    (run / "rollouts" / "step_000002.parquet").write_bytes(b"PAR1 cut")
    assert digest(run) != before
    with pytest.raises(UserError, match=r"step_000002.parquet is damaged: ") as caught:
        read(run)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"rollout.replay is for algorithm = dpo or ipo; 'grpo' learns"):
        validate(RlConfig, {"algorithm": "grpo", "rollout": {"replay": "runs/x"}}, "test")
