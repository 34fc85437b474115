"""What the documentation says and ships."""

import csv
import re
import runpy
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest

from evaluation.benchmarks import Example
from evaluation.check_data import check
from rl.commands import commands, main, short_names
from rl.settings import CONFIGS
from sft.settings.table import known_keys
from tests.test_commands import answers

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "cluster").rglob("*.md")])
OWN_DATA = ROOT / "docs" / "own-data.md"
# As the installed command runs, with this clone's code.
ROLLSQL = [
    sys.executable,
    "-c",
    f"import sys; sys.path[0] = {str(ROOT)!r}; from rl.commands import main; sys.exit(main())",
]
SHOP = ROOT / "docs" / "shop" / "shop.sqlite"
PAIRS = ROOT / "docs" / "shop" / "pairs.csv"


def test_the_shop_is_what_its_script_builds(tmp_path: Path) -> None:
    runpy.run_path(str(SHOP.with_name("build.py")))["build"](tmp_path / "shop.sqlite")
    assert dump(tmp_path / "shop.sqlite") == dump(SHOP)
    assert SHOP.stat().st_size < 500_000


@pytest.mark.slow
def test_every_pair_of_the_shop_has_an_answer() -> None:
    with PAIRS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    pairs = [Example(str(i), "shop", row["question"], "", row["query"], str(SHOP), "") for i, row in enumerate(rows)]
    assert len(pairs) >= 60
    assert check(pairs) == []


def dump(file: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as database:
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        return list(database.iterdump())


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 1500


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text()
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    wrong = [target for target in targets if not leads_somewhere(page, *target.partition("#")[::2])]
    assert wrong == []


def leads_somewhere(page: Path, path: str, heading: str) -> bool:
    target = page.parent / path if path else page
    if not heading:
        return target.exists()
    titles = [line.lstrip("# ") for line in target.read_text().splitlines() if line.startswith("#")]
    return heading in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_exists_with_its_options_files_and_settings(page: Path) -> None:
    assert [fault for line in command_lines(page) for fault in faults(line)] == []


@cache
def known() -> tuple[str, ...]:
    return tuple(commands())


@cache
def known_settings() -> frozenset[str]:
    return frozenset(key for cls in CONFIGS for key in known_keys(cls))


def faults(line: str) -> list[str]:
    """The command, options, configs and settings of a line that there are none of."""
    name, *words = shlex.split(re.sub(r"[\[\]…]", " ", line), comments=True)
    module = words.pop(0) if name == "rollsql" else words.pop(1)
    module = short_names(known()).get(module.replace("-", "_"), module)
    if module not in known():
        return [] if is_module_of_tests(module) else [line]
    helps, settings = answers(("--help",)), known_settings()
    said = helps[module][1] + helps["rl.train"][1] * (module == "cluster.plan")  # which takes another's words
    options = [word for word in words if re.match(r"--\w", word) and word not in said]
    files = [word for word in words if re.match(r"\w+/configs/", word) and not (ROOT / word).is_file()]
    keys = [word for word in words if re.match(r"[\w.]+=", word) and word.partition("=")[0] not in settings]
    keys = keys if "--settings" in said else []  # other commands have words of their own with a = in them
    return [f"{line}: {word}" for word in (*options, *files, *keys)]


def command_lines(page: Path) -> list[str]:
    """Lines of its blocks of code, and what is quoted in its text, that run a command of the project."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text := page.read_text(), re.M | re.S)
    quoted = [
        " ".join(found.split())
        for found in re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    ]
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()] + quoted
    lines = [part for line in lines for part in line.split(" -- ")]  # cluster.submit -- python -m …
    return [line for line in lines if re.match(r"(python -m|rollsql) [a-z][\w.-]*(?![\w.-]*…)", line)]


def is_module_of_tests(module: str) -> bool:
    path = ROOT / module.replace(".", "/")
    return module.startswith("tests.") and (path.with_suffix(".py").is_file() or (path / "__main__.py").is_file())


def steps(page: Path) -> list[list[str]]:
    """The words of each line that own-data.md tells to run, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the reader's: docs/ lies in it."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / "docs").symlink_to(ROOT / "docs")
    return folder


@pytest.mark.slow
def test_the_first_steps_of_own_data_run_as_they_stand(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(clone)
    first, _, *look = steps(OWN_DATA)[:4]
    run(first)
    printed = capsys.readouterr().out.splitlines()[:4]
    assert "\n".join(printed) in OWN_DATA.read_text()
    for words in look:
        run(words)
    assert "customers" in capsys.readouterr().out


@pytest.mark.long
def test_the_whole_of_own_data_runs_with_a_few_steps(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands, but for how long it trains."""
    less = {
        "sft": ["train.epochs=0.2", "train.log_every=1"],
        "train": ["steps=1", "rollout.questions=4", "rollout.samples=2", "evaluation.samples=1", "evaluation.limit=4"],
    }
    monkeypatch.chdir(clone)
    for words in steps(OWN_DATA):
        if words[0] == "rollsql" and not (words[1] == "init" and Path("shop-data").exists()):
            done = subprocess.run([*ROLLSQL, *words[1:], *less.get(words[1], [])])
            # after so little training an answer may hold no query, or one that does not run
            assert done.returncode == 0 or (words[1] == "ask" and done.returncode == 1), words
    assert Path("shop-data/score-rl/verdicts.jsonl").is_file()


def run(words: list[str]) -> None:
    """A line of own-data.md, in this process."""
    with pytest.raises(SystemExit) as left:
        main(words[1:])
    assert not left.value.code
