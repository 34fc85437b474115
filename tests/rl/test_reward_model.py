"""A reward model: trained by TRL on a run's pairs, read by the learner on the same base, a part of the reward."""

import json
import math
import random
import re
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.errors import UserError
from rl import rater, reward_training
from rl.config import RlConfig
from rl.learner import Learner
from rl.reward import Judged, RewardConfig, group_rewards
from rl.rewards import rated
from rl.types import Episode, Group, Reward
from sft.settings.file import validate
from tests.rl.question import question
from tests.rl.test_pairs import LORA, group_of, learner_of, model_of, toy, warm
from tests.rl.test_replay import run_of
from tests.toy_model import make_toy_model

__all__ = ["toy", "warm"]
GOOD, BAD = 77, 88


def telling(seed: int) -> Group:
    """Right answers hold one token, wrong ones another: what a reward model can find out."""
    rng = random.Random(seed)
    prompt = [rng.randrange(3, 500) for _ in range(9)]
    answers = [[rng.randrange(100, 500), mark, rng.randrange(100, 500), 2] for mark in (GOOD, BAD, GOOD, BAD)]
    episodes = [Episode.single(k, prompt, a, [-1.0] * len(a), "stop", 0) for k, a in enumerate(answers)]
    rewards = [Reward(float(k % 2 == 0), {}, ("correct", "wrong")[k % 2]) for k in range(4)]
    return Group(question(f"q{seed}"), episodes, rewards)


@pytest.fixture(scope="module")
def trained(toy: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a reward model, and what its training printed."""
    place = tmp_path_factory.mktemp("made")
    run = run_of(place / "run", [[telling(seed) for seed in range(48)]], model=toy)
    model = {"path": toy, "dtype": "float32", "quantization": "none", "max_length": 256}
    settings = {"model": model, "lora": {"r": 8, "alpha": 16}, "learner": {"learning_rate": 3e-3}}
    settings |= {"data": {"prompt_style": "compact", "prompt_budget": 0}}
    (run / "config.json").write_text(json.dumps(settings))
    args = Namespace(run=run, out=place / "rater", held_out=0.25, epochs=2, learning_rate=None, batch=8, seed=0)
    return args.out, reward_training.train_and_save(args)


def test_it_tells_right_from_wrong_answers_to_questions_that_it_has_not_seen_and_says_how_often(
    trained: tuple[Path, str]
) -> None:
    directory, said = trained
    assert re.match(r"72 pairs learned; of 24 held-out pairs \d+ in the right order: accuracy \d\.\d{3} \(", said)
    card = json.loads((directory / "rollsql.json").read_text())
    assert card["accuracy"]["n"] == 24 and card["accuracy"]["value"] >= 0.9


def rating(toy: str, warm: str, directory: Path, **settings: Any) -> Learner:
    plain = learner_of("grpo", toy, warm, **settings)
    return Learner(model_of(toy), LORA, plain.config, warm, 1.0, 16, 10, 0, plain.algorithm, str(directory))


@pytest.mark.parametrize("packing", ["shared", "none"])
def test_the_learner_reads_the_scores_that_trls_model_gives(
    trained: tuple[Path, str], toy: str, warm: str, packing: Any
) -> None:
    directory, _ = trained
    learner = rating(toy, warm, directory, token_budget=64)
    learner.packing = packing
    cut = replace(group_of("rw", 5).episodes[0], finish_reason="length")
    groups = [list(telling(3).episodes), [replace(telling(4).episodes[1])], [cut]]
    scorer = reward_training.peft.get_peft_model(
        reward_training.load_scorer(model_of(toy)), reward_training.scorer_config(model_of(toy), LORA)
    )
    state = rater.load_file(directory / "adapter_model.safetensors")
    named = {name.replace(".weight", ".default.weight"): tensor for name, tensor in state.items()}
    named["base_model.model.score.modules_to_save.default.weight"] = rater.load_file(directory / rater.HEAD)["weight"]
    assert not scorer.load_state_dict(named, strict=False).unexpected_keys
    scorer.config.get_text_config().pad_token_id = 0
    theirs = reward_training.scores(scorer, [reward_training.read(one) for group in groups for one in group])
    ours = learner.rate(groups)
    assert [len(group) for group in ours] == [4, 1, 1]
    assert [score for group in ours for score in group] == pytest.approx(theirs, abs=1e-4)
    assert min(ours[0][0], ours[0][2]) > max(ours[0][1], ours[0][3])


def test_rating_leaves_the_policy_and_what_it_learns_as_they_were(
    trained: tuple[Path, str], toy: str, warm: str
) -> None:
    one, other = rating(toy, warm, trained[0]), learner_of("grpo", toy, warm)
    groups = other.algorithm.credit([group_of("rw"), group_of("wr", 1)])
    one.add(groups[:1])
    one.rate([group.episodes for group in groups])
    one.add(groups[1:])
    other.add(groups[:1])
    other.add(groups[1:])
    assert one.finish(1)["loss"] == other.finish(1)["loss"] and one.publish(1).digest == other.publish(1).digest
    assert one.state()["trained.safetensors"] == other.state()["trained.safetensors"]


def test_it_is_a_part_beside_execution_or_pays_alone() -> None:
    wrong, right = Judged("wrong", {"correct": 0.0}), Judged("correct", {"correct": 1.0})
    scores = [[math.log(3), 0.0]]  # σ: 0.75 and 0.5
    beside = RewardConfig(model="r", model_weight=0.2)
    values = [one.value for one in group_rewards(rated([[wrong, right]], scores)[0], beside)]
    assert values == pytest.approx([0.2 * 0.75, 1 + 0.2 * 0.5]) and beside.unit == 1.0
    assert {one.value for one in group_rewards(rated([[wrong, wrong]], scores)[0], beside)} == {0.0}  # gated
    alone = RewardConfig(correct=0.0, model="r", model_weight=2.0)
    values = [one.value for one in group_rewards(rated([[wrong, wrong]], scores)[0], alone)]
    assert values == pytest.approx([1.5, 1.0]) and alone.unit == 2.0
    with pytest.raises(UserError, match="correct = 0 pays no right answer: set reward.model"):
        validate(RlConfig, {"reward": {"correct": 0.0}}, "test")


def test_one_of_another_tokenizer_or_base_or_not_a_reward_model_is_refused_in_one_line(
    trained: tuple[Path, str], toy: str, warm: str, tmp_path: Path
) -> None:
    directory, _ = trained
    rater.check(directory, model_of(toy), "compact")
    with pytest.raises(UserError, match=r"reads the tokenizer of .*, another one than that of sft/tiny: ") as caught:
        rater.check(directory, model_of("sft/tiny"), "compact")
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"must be made by rl.reward_model: it lacks head.safetensors"):
        rater.check(Path(warm), model_of(toy), "compact")
    other = str(make_toy_model(tmp_path / "other", hidden=32))
    with pytest.raises(UserError, match="does not fit"):
        rater.check(directory, model_of(other), "compact")
    with pytest.raises(UserError, match="prompt"):
        rater.check(directory, model_of(toy), "ddl")


def test_pairs_of_a_question_are_never_in_both_parts_and_a_run_without_contrast_is_refused() -> None:
    groups = [telling(seed % 5) for seed in range(20)]
    learned, held_out = reward_training.split(groups, 0.2, seed=1)
    prompts = [{tuple(pair["chosen_ids"][:9]) for pair in part} for part in (learned, held_out)]
    assert (len(prompts[0]), len(prompts[1])) == (4, 1) and not prompts[0] & prompts[1]
    assert len(learned) == 4 * 4 * 2 and all(2 not in pair["chosen_ids"][9:] for pair in learned)
    with pytest.raises(UserError, match="right and wrong answers to at least 2 questions, this run has them to 0 of 1"):
        reward_training.split([group_of("rr"), group_of("rr")], 0.2, 0)
