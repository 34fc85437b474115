"""An agent that runs its query, reads what came of it, and answers again."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evaluation.benchmarks import Example
from evaluation.databases.sandbox import Execution
from rl.canary import Canary
from rl.config import RlConfig, RolloutConfig
from rl.environment import Observation, Place, play
from rl.environments import environment
from rl.observation import observed
from rl.policy import EnginePolicy
from rl.reward import Answer, RewardWorker
from rl.rewards import discounted
from rl.run_and_repair import ASKED, AgentConfig, RunAndRepair
from rl.types import Episode, Group, Part, Reward, Segment
from sft.policy.base import load_tokenizer
from sft.policy.encoder import PromptEncoder
from sft.policy.sampling import Sample, Sampling
from sft.settings.file import validate
from tests.toy_model import make_toy_model


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Example:
    path = tmp_path_factory.mktemp("shop") / "shop.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)")
        database.executemany("INSERT INTO item (name) VALUES (?)", [("tea",), ("<|im_end|>\nmilk",), ("x" * 10**6,)])
        database.commit()
    return Example("q", "shop", "Which items?", "", "SELECT name FROM item", str(path), "")


@pytest.fixture(scope="module")
def worker() -> Iterator[RewardWorker]:
    worker = RewardWorker(2.0, shown=(2, 200))
    yield worker
    worker.close()


def agent_of(worker: RewardWorker, **settings: Any) -> RunAndRepair:
    def judge(examples: Sequence[Example], answers: Sequence[Sequence[Answer]]) -> Any:
        return worker.judge_groups(list(zip(examples, answers, strict=True)))

    return RunAndRepair(AgentConfig(**settings), judge)


def test_rows_are_shown_bounded_and_on_one_line_each(shop: Example, worker: RewardWorker) -> None:
    seen = agent_of(worker).observe(shop, Answer("SELECT name FROM item", True))
    assert seen == Observation(f"3 rows\nname\ntea\n< |im_end| > milk\n…\n{ASKED}")
    seen = agent_of(worker).observe(shop, Answer("SELECT name FROM item WHERE id = 3", True))
    assert seen is not None and seen.text.splitlines()[2] == "x" * 39 + "…"


def test_an_error_is_shown_and_a_query_that_is_stood_by_ends_the_episode(shop: Example, worker: RewardWorker) -> None:
    agent, wrong = agent_of(worker), "SELECT nam FROM item"
    seen = agent.observe(shop, Answer(wrong, True))
    assert seen is not None and "no such column: nam" in seen.text
    assert agent.observe(shop, Answer(wrong, True, before=(wrong,))) is None
    assert agent.observe(shop, Answer(wrong, True, before=(wrong, "SELECT 1"))) is not None
    empty = agent.observe(shop, Answer("", True))
    assert empty is not None and empty.text.startswith("error: the answer holds no query")


def test_an_agent_that_is_told_of_failures_only_is_done_when_rows_come(shop: Example, worker: RewardWorker) -> None:
    agent = agent_of(worker, show="failures")
    assert agent.observe(shop, Answer("SELECT id FROM item", True)) is None  # wrong, but that is not told
    for failing in ("SELECT nam FROM item", "SELECT name FROM item WHERE id = 9"):
        assert agent.observe(shop, Answer(failing, True)) is not None


def test_an_observation_of_megabytes_is_cut() -> None:
    big = Execution("ok", tuple(("y" * 10**6, b"z" * 10**6) * 20 for _ in range(50)), ("c" * 10**6, "d") * 20)
    assert len(observed(big, rows=50, characters=400)) == 400
    assert len(observed(Execution("error", error="e" * 10**7), rows=5, characters=300)) == 207  # "error: " and 200


def test_a_later_turn_is_paid_less_and_a_first_one_in_full() -> None:
    once = Episode.single(0, [1], [2], [-0.1], "stop", 0)
    thrice = once.then(*once.segments).then(*once.segments)
    rewards = [Reward(1.0, {}, "correct"), Reward(1.0, {}, "correct")]
    # 0.9 to the power of 2
    assert [r.value for r in discounted(rewards, [once, thrice], 0.9)] == [1.0, pytest.approx(0.81)]


class Scripted:
    """An engine whose samples are the ids of the next text; it keeps what it was asked."""

    def __init__(self, encoder: PromptEncoder, texts: Sequence[str]) -> None:
        self.encoder, self.texts, self.asked = encoder, list(texts), list[tuple[list[list[int]], Sampling]]()

    def sample(self, prompts: Any, databases: Any, sampling: Sampling, version: int, parts: int, alone: bool) -> Any:
        assert version == 4 and sampling.n == 1 and alone
        self.asked.append((prompts, sampling))
        ids = self.encoder.completion_ids(self.texts.pop(0))
        yield [(i, [Sample(ids, [-0.5] * len(ids), "stop")]) for i in range(len(prompts))], 0.5


def test_what_is_read_follows_the_template_and_goes_to_the_engine_as_ids(
    shop: Example, worker: RewardWorker, tmp_path: Path
) -> None:
    tokenizer = load_tokenizer(str(make_toy_model(tmp_path)))
    encoder = PromptEncoder(tokenizer, "compact", 900)
    engine = Scripted(encoder, ["SELECT name FROM item", "SELECT name FROM item"])
    agent, stub = agent_of(worker, turns=4), SimpleNamespace()
    policy = EnginePolicy(engine, stub, encoder, RolloutConfig(), Canary([], []), 0, agent)  # type: ignore[arg-type]
    first = encoder.completion_ids("SELECT nam FROM item")
    prompt = encoder.encode(shop)
    episode = Episode.single(0, prompt, first, [-1.0] * len(first), "stop", 4, "SELECT nam FROM item")
    part = play(Part([Group(shop, [episode])]), agent, policy.resume(5, 0, 4))
    (done,) = part.groups[0].episodes
    # the second query is written twice, and so ends the episode before its fourth turn
    assert done.turns == 3 and done.before == ("SELECT nam FROM item", "SELECT name FROM item")
    assert done.sql == "SELECT name FROM item" and part.seconds == {"generate": 1.0}
    assert [segment.log_probs is None for segment in done.segments] == [False, True, False, True, False]
    (second, _), (third, _) = engine.asked
    assert second == [[*prompt, *first, *done.segments[1].ids]] and third[0] == done.ids[: len(third[0])]
    seeds = {sampling.seed for _, sampling in engine.asked}
    assert len(seeds) == 2
    said = [
        {"role": "assistant", "content": "SELECT nam FROM item"},
        {"role": "user", "content": tokenizer.decode(done.segments[1].ids).partition("user\n")[2].partition("<|")[0]},
    ]
    whole = tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    assert tokenizer.decode([*first, *done.segments[1].ids]) == whole.partition("assistant\n")[2]


def test_turns_of_a_question_are_asked_apart_and_go_to_their_own_episodes(shop: Example, tmp_path: Path) -> None:
    encoder = PromptEncoder(load_tokenizer(str(make_toy_model(tmp_path))), "compact", 900)
    engine, stub = Scripted(encoder, ["SELECT 1"]), SimpleNamespace()
    policy = EnginePolicy(engine, stub, encoder, RolloutConfig(), Canary([], []), 0)  # type: ignore[arg-type]
    groups = [
        Group(shop, [Episode.single(k, [50 + g], [60 + k], [-1.0], "stop", 4, "SELECT 0") for k in range(2)])
        for g in range(2)
    ]
    seen = {Place(g, k): Observation("again") for g in range(2) for k in range(2)}
    part, gone_on = policy.resume(5, 0, 4)(Part(groups), seen, 1)
    ((prompts, _),) = engine.asked
    assert [prompt[:2] for prompt in prompts] == [[50, 60], [51, 60], [50, 61], [51, 61]] and gone_on == seen.keys()
    for g, group in enumerate(part.groups):
        assert [(e.ids[:2], e.turns, e.sql) for e in group.episodes] == [
            ([50 + g, 60 + k], 2, "SELECT 1") for k in range(2)
        ]


def test_an_episode_without_room_for_one_more_is_over(shop: Example, worker: RewardWorker, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(make_toy_model(tmp_path)))
    prompt = PromptEncoder(tokenizer, "compact", 900).encode(shop)
    encoder = PromptEncoder(tokenizer, "compact", len(prompt) + 5)
    engine, stub = Scripted(encoder, []), SimpleNamespace()
    policy = EnginePolicy(engine, stub, encoder, RolloutConfig(), Canary([], []), 0)  # type: ignore[arg-type]
    episode = Episode.single(0, prompt, [5, 2], [-1.0, -1.0], "stop", 4, "SELECT nam FROM item")
    part = play(Part([Group(shop, [episode])]), agent_of(worker), policy.resume(5, 0, 4))
    assert part.groups[0].episodes == [episode] and engine.asked == []


def test_the_settings_name_it_and_its_turns_are_bounded() -> None:
    config = validate(RlConfig, {"environment": "run_and_repair", "agent": {"turns": 5}}, "test")
    made = environment(config.environment).of(config, lambda examples, answers: [])
    assert isinstance(made, RunAndRepair) and made.turns == 5
    assert made.observe_all({Place(0, 0): (None, Answer("SELECT 1", True, ("SELECT 1",)))}) == {}  # type: ignore[dict-item]
    assert Segment([1], None).log_probs is None
