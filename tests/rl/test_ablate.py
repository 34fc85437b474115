"""Ablations: the figures by hand, the budget, the scheduler on real processes, and one small ablation end to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from evaluation.benchmarks import Example
from evaluation.errors import UserError
from graph.schema import Column, ForeignKey, Schema, Table
from rl.ablate import ablate
from rl.ablation import stages as ablation_stages
from rl.ablation.config import AblationConfig, plans
from rl.ablation.report import Questions, Row, markdown, paired, scores, subsets, summarise, write_results
from rl.ablation.stages import Stage, run_chains, time_left
from sft.settings.file import load_config, validate

ROOT = Path(__file__).parents[2]
TINY = {"name": "small", "sft": "sft/configs/tiny.toml", "rl": "rl/configs/tiny.toml"}


def evaluation(*answers: tuple[int, float]) -> dict[str, object]:
    """Questions q1, q2, …, each with (greedy right, share of samples right)."""
    rows = [{"id": f"q{i}", "correct": bool(c), "sampled_correct_rate": s} for i, (c, s) in enumerate(answers, 1)]
    return {"per_question": rows}


BASELINE = Row(
    "plain",
    "sft",
    {
        0: evaluation((1, 0.5), (0, 0.0), (0, 0.0), (1, 1.0)),
        1: evaluation((1, 0.5), (0, 0.5), (0, 0.0), (0, 0.5)),
    },
)
GRAPH = Row(
    "graph",
    "sft",
    {
        0: evaluation((1, 1.0), (1, 0.5), (1, 0.0), (0, 0.5)),
        1: evaluation((1, 1.0), (1, 0.5), (1, 0.5), (0, 1.0)),
    },
)
ALL = frozenset({"q1", "q2", "q3", "q4"})


def test_a_score_is_the_mean_over_seeds_with_an_interval_over_questions():
    found = scores(BASELINE, ALL)
    # greedy by question: 1, 0, 0, 0.5; mean 0.375; variance (0.390625 + 2·0.140625 + 0.015625) / 4 = 0.171875, as
    # that of 4 · 0.375 · 0.625 / 0.171875 = 5.4545 flags; Wilson: z²/n = 0.70427, centre (0.375 + 0.35213) / 1.70427,
    # half-width 1.96 · sqrt(0.234375 / 5.4545 + 3.84146 / (4 · 5.4545²)) / 1.70427 = 0.31547
    assert found["n"] == 4 and found["greedy"]["mean"] == 0.375
    assert found["greedy"]["ci95"] == pytest.approx([0.11118, 0.74213], abs=1e-5)
    assert found["greedy"]["seeds"] == {0: 0.5, 1: 0.25}
    assert found["sampled"]["seeds"] == {0: 0.375, 1: 0.375}
    assert scores(BASELINE, frozenset({"q1"}))["greedy"]["mean"] == 1.0
    assert scores(BASELINE, frozenset()) == {"n": 0}


def test_no_right_answer_in_few_questions_is_not_a_sure_zero():
    low, high = scores(BASELINE, frozenset({"q2", "q3"}))["greedy"]["ci95"]
    assert low == 0 and 0.6 < high < 0.7  # Wilson, 0 of 2: z² / (2 + z²) = 0.658


def test_pairs_are_compared_question_by_question_over_the_seeds_that_both_have():
    found = paired(BASELINE, GRAPH, ALL)
    # seed 0: q2, q3 won, q4 lost: +1/4, p = 2·(1 + 3)/2³ → 1; seed 1: q2, q3 won: +2/4, p = 2·1/2² = 0.5
    assert found["greedy"]["seeds"] == {0: 0.25, 1: 0.5}
    assert found["greedy"]["p_mcnemar"] == {0: 1.0, 1: 0.5}
    # by question: 0, 1, 1, −0.5; mean 0.375; variance (0.140625 + 2·0.390625 + 0.765625) / 3 = 0.5625
    assert found["greedy"]["difference"] == 0.375
    assert found["greedy"]["ci95"] == pytest.approx([0.375 - 1.96 * 0.75 / 2, 1.0], abs=1e-4)  # cut at 1
    assert paired(BASELINE, Row("graph", "sft", {1: GRAPH.seeds[1]}), ALL)["greedy"]["difference"] == 0.5
    assert paired(BASELINE, Row("graph", "sft", {7: GRAPH.seeds[1]}), ALL) == {"n": 0}


def test_subsets_follow_the_gold_query_and_an_unreadable_one_is_counted():
    ids = (Column("id", "INTEGER", True),)
    links = (Column("song_id", "INTEGER"), Column("singer_id", "INTEGER"))
    keys = (ForeignKey("sung", ("song_id",), "song", ("id",)), ForeignKey("sung", ("singer_id",), "singer", ("id",)))
    music = Schema("music", (Table("song", ids), Table("singer", ids), Table("sung", links)), keys)
    golds = {
        "one": "SELECT count(*) FROM song",
        "two": "SELECT count(*) FROM song JOIN sung ON song.id = sung.song_id WHERE sung.singer_id = 3",
        "three": "SELECT singer.id FROM song JOIN sung ON song.id = song_id JOIN singer ON singer_id = singer.id "
        "WHERE song.id = 3",
        "broken": "SELECT FROM WHERE (",
    }
    examples = [Example(name, "music", "?", "", sql, "music.sqlite", "") for name, sql in golds.items()]
    found = subsets(examples, lambda example: music)
    assert found.unparsed == 1
    assert found.ids == {"all": set(golds), "multi-table": {"two", "three"}, "bridge-table": {"three"}}


def test_the_report_says_what_failed_and_compares_with_the_baseline(tmp_path):
    after = Row("graph", "rl", {0: GRAPH.seeds[0]})
    lost = Row("broken", "sft", {})
    few = frozenset({"q2", "q3"})  # the baseline has none of them right: its bar starts at 0
    questions = Questions({"all": ALL, "multi-table": few, "bridge-table": frozenset()}, 2)
    failures = {"broken · seed 0 · sft": "exit status 1: ValueError: a | b"}
    summary = summarise([BASELINE, GRAPH, after, lost], questions, {"plain": {"prompt_tokens": 90}}, failures)
    assert [(one["row"], one["against"]) for one in summary["paired"]] == [
        ("graph, SFT", "plain, SFT"),
        ("graph, SFT + RL", "plain, SFT"),
    ]
    text = markdown(summary)
    assert "| variant | stage | answers | all (n = 4) | multi-table (n = 2) | bridge-table (n = 0) |" in text
    # Questions 1, ½, 0, 0: mean ⅜, variance .172, as wide as n = 4 · .234 / .172 = 5.45 flags; Wilson's .427 ± .316.
    assert "| plain | SFT | greedy | 37.5 (11.1 … 74.2) [50.0, 25.0] |" in text
    assert "+37.5 (-36.0 … +100.0) [+25.0, +50.0] p = 1, 0.5" in text
    assert "| broken · seed 0 · sft |  |  | failed: exit status 1: ValueError: a \\| b |" in text
    assert "2 gold queries cannot be parsed" in text
    with (tmp_path / "screen.txt").open("w") as screen:
        write_results(summary, tmp_path / "report", Console(file=screen, width=160))
    assert "failed: exit status 1" in (tmp_path / "screen.txt").read_text()
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"ablation.json", "ablation.md", "ablation.png"}
    assert json.loads((tmp_path / "report" / "ablation.json").read_text())["questions"]["multi-table"] == 2


def test_an_ablation_in_which_all_failed_still_reports(tmp_path):
    summary = summarise([], Questions({"all": frozenset()}, 0), {}, {"a · seed 0 · sft": "no"})
    with (tmp_path / "screen.txt").open("w") as screen:
        write_results(summary, tmp_path, Console(file=screen))
    assert "failed: no" in (tmp_path / "ablation.md").read_text()


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("train.epochs=9", "train.epochs = 9.*all others have 1.*same budget"),
        ("train={epochs=9}", "train.epochs = 9"),
        ("steps=99", "steps = 99"),
        ("rollout.samples=16", "rollout.samples"),
        ("data.max_examples=7", "data.max_examples"),
        ("data.benchmark=spider", "data.benchmark"),
        ("evaluation.limit=5", "evaluation.limit"),
        ("run.seed=3", "run.seed"),
        ("trian.epochs=2", "no|neither sft.train nor rl.train has the key trian.epochs; did you mean train.epochs"),
        ("data.prompt_style=prose", "BASE one of compact"),
    ],
)
def test_an_override_that_changes_the_budget_or_does_not_exist_is_refused(override, says):
    variants = [{"name": "plain"}, {"name": "more", "set": [override]}]
    with pytest.raises(UserError, match=says):
        plans(validate(AblationConfig, {**TINY, "variants": variants}, "ablation.toml"))


def test_overrides_reach_sft_and_rl_where_both_have_the_section():
    chosen = ["data.prompt_style=ddl", "lora.r=32", "train.learning_rate=1e-3", "learner.learning_rate=1e-4"]
    variants = [{"name": "all", "set": chosen}, {"name": "sft", "rl": False}]
    settings = {**TINY, "variants": variants, "rl_set": ["steps=7"]}
    both, alone = plans(validate(AblationConfig, settings, "ablation.toml"))
    assert both.sft.data.prompt_style == both.rl.data.prompt_style == "ddl"
    assert both.sft.lora.r == both.rl.lora.r == 32
    assert (both.sft.train.learning_rate, both.rl.learner.learning_rate) == (1e-3, 1e-4)
    assert (both.rl.steps, alone.rl.steps) == (7, 0)


@pytest.mark.parametrize(
    "variants", [[{"name": "a"}, {"name": "a"}], [{"name": "report"}], [{"name": "../a"}], []], ids=str
)
def test_names_are_folders_of_their_own(variants):
    with pytest.raises(ValueError):
        validate(AblationConfig, {**TINY, "variants": variants}, "ablation.toml")


@pytest.mark.parametrize("name", ["ablation-tiny.toml", "ablation-spider.toml"])
def test_a_shipped_ablation_resolves(name):
    made = plans(load_config(AblationConfig, ROOT / "rl" / "configs" / name))
    assert [plan.variant.name for plan in made] == ["baseline", "graph"]
    assert all(plan.sft.model.max_length == plan.rl.model.max_length for plan in made)


def stage(folder: Path, variant: str, code: str, kind: str = "sft") -> Stage:
    return Stage(variant, 0, kind, folder / variant, (sys.executable, "-c", code))


def test_a_crash_ends_its_own_chain_and_the_same_call_goes_on_from_there(tmp_path):
    flag = tmp_path / "mended"
    crash = f"import os\nprint('hello')\nif not os.path.exists({str(flag)!r}): raise ValueError('no luck')"
    chains = [
        (stage(tmp_path, "bad", crash), stage(tmp_path, "bad", "print('after')", "rl")),
        (stage(tmp_path, "good", "pass"), stage(tmp_path, "good", "import os; print(os.environ['X'])", "rl")),
    ]
    said: list[str] = []
    assert run_chains(chains, 2, {"X": "seen"}, said.append) == {chains[0][0]: "exit status 1: ValueError: no luck"}
    assert (tmp_path / "good" / "rl.log").read_text() == "seen\n" and not (tmp_path / "bad" / "rl.log").exists()
    flag.touch()
    said.clear()
    assert run_chains(chains, 2, {}, said.append) == {}
    assert [line.split("(")[0].split() for line in said if line.startswith("start")] == [
        ["start", "bad", "·", "seed", "0", "·", "sft"],
        ["start", "bad", "·", "seed", "0", "·", "rl"],
    ]


@pytest.mark.slow
def test_interrupting_ends_the_processes_and_leaves_the_stage_to_do(tmp_path, monkeypatch):
    grandchild = tmp_path / "grandchild"
    code = f"import subprocess; p = subprocess.Popen(['sleep', '99']); open({str(grandchild)!r}, 'w').write(str(p.pid))"
    slow = stage(tmp_path, "slow", f"{code}; p.wait()")
    monkeypatch.setattr(ablation_stages, "GRACE_S", 1.0)
    threading.Thread(target=interrupt_when_there, args=(grandchild,)).start()
    with pytest.raises(KeyboardInterrupt):
        run_chains([(slow,)], 1, {}, lambda line: None)
    left = int(grandchild.read_text())
    assert slow.seconds is None
    assert not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE


def interrupt_when_there(path: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (path.exists() and path.read_text()):
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)


def test_the_time_left_is_told_once_every_kind_of_stage_is_known(tmp_path):
    sft, rl = stage(tmp_path, "a", ""), stage(tmp_path, "a", "", "rl")
    assert time_left([(sft, rl)], [], {"sft": 10.0}, 1) is None
    # one whole chain waits: 10 + 100; another is 4 s into its SFT and has RL to come: 6 + 100; two at a time
    assert time_left([(sft, rl)], [(sft, 4.0, (rl,))], {"sft": 10.0, "rl": 100.0}, 2) == 108.0


SMALL = """
name = "small"
jobs = 2
sft = "sft/configs/tiny.toml"
rl = "rl/configs/tiny.toml"
sft_set = ["data.max_examples=32", "model.max_length=768"]
rl_set = ["steps=1", "rollout.questions=4", "rollout.samples=2", "evaluation.limit=12", "evaluation.samples=1",
          "evaluation.base=false", "engine.kv_cache_gib=0.1"]
variants = [
    { name = "compact", set = ["data.prompt_style=compact"] },
    { name = "ddl", set = ["data.prompt_style=ddl"], rl = false },
]
"""


@pytest.mark.long
def test_a_small_ablation_trains_scores_and_reports_and_the_same_line_again_does_nothing(tmp_path):
    config = tmp_path / "small.toml"
    config.write_text(SMALL)
    line = [sys.executable, "-m", "rl.ablate", "--config", str(config), f"dir={tmp_path}/runs"]
    began = time.monotonic()
    first = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=400)
    print(f"the small ablation took {time.monotonic() - began:.0f} s")
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    report = tmp_path / "runs" / "small" / "report" / "ablation.json"
    summary = json.loads(report.read_text())
    assert [(row["variant"], row["stage"]) for row in summary["rows"]] == [
        ("compact", "sft"),
        ("compact", "rl"),
        ("ddl", "sft"),
    ]
    n = summary["questions"]
    assert n["all"] == 12 >= n["multi-table"] >= n["bridge-table"]
    assert summary["variants"]["ddl"]["prompt_tokens"] > summary["variants"]["compact"]["prompt_tokens"]
    names = {path.name for path in (tmp_path / "runs" / "small" / "ddl" / "seed0" / "rl" / "evaluations").iterdir()}
    assert names == {"sft.json"}
    again = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert again.returncode == 0 and "4 of 4 stages are finished: nothing to do" in again.stdout
    assert "start" not in again.stdout and json.loads(report.read_text()) == summary
    changed = load_config(AblationConfig, config, [f"dir={tmp_path}/runs", 'rl_set=["steps=2"]'])
    with pytest.raises(UserError, match="with other settings .*was"):
        ablate(changed)
