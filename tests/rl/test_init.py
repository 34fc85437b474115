"""rollsql init: from a SQLite file to a dataset, configs and the commands that come next."""

import csv
import json
import shlex
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from evaluation.benchmarks import load_split
from evaluation.check_data import check
from evaluation.errors import UserError
from evaluation.own.split import structure
from graph.introspect import schema_from_sqlite
from rl.config import RlConfig
from rl.init import WRITTEN, main
from rl.starter import Prompts, configs, measured, start
from sft.config import SftConfig
from sft.settings.file import load_config
from sft.train.__main__ import main as sft_main

DOCS = Path(__file__).resolve().parents[2] / "docs" / "shop"
SHOP, PAIRS = DOCS / "shop.sqlite", DOCS / "pairs.csv"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder made of the shop with its pairs and a few proposals; and what was printed."""
    folder = tmp_path_factory.mktemp("own") / "my shop"
    out = folder.parent / "out.txt"
    with pytest.MonkeyPatch.context() as patch, out.open("w") as stream:
        patch.setattr("sys.stdout", stream)
        assert main([str(folder), "--database", str(SHOP), "--pairs", str(PAIRS), "--propose", "40"]) == 0
    return folder, out.read_text()


def init(*words: object) -> int:
    return main(list(map(str, words)))


def test_the_folder_is_a_dataset_whose_splits_share_no_query(made: tuple[Path, str]) -> None:
    folder, _ = made
    train, dev = (load_split("own", split, folder).examples for split in ("train", "dev"))
    schema = schema_from_sqlite(SHOP)
    assert not {structure(e.gold_sql, schema) for e in train} & {structure(e.gold_sql, schema) for e in dev}
    with PAIRS.open(encoding="utf-8", newline="") as file:
        given = {(row["question"], row["query"]) for row in csv.DictReader(file)}
    assert {(e.question, e.gold_sql) for e in (*train, *dev) if e.hardness == "given"} == given
    assert sum(e.hardness == "synthetic" for e in (*train, *dev)) == 40
    assert {e.database for e in (*train, *dev)} == {str(folder / "shop.sqlite")}
    assert len(dev) >= 10 and check([*train, *dev]) == []


def test_the_configs_fit_and_every_line_says_what_it_is(made: tuple[Path, str]) -> None:
    folder, _ = made
    sft, rl = load_config(SftConfig, folder / "sft.toml"), load_config(RlConfig, folder / "rl.toml")
    prompts = measured(start("sft/tiny", None), load_split("own", "train", folder).examples)
    assert prompts.longest + prompts.answer <= sft.model.max_length < 1024
    assert prompts.longest + rl.rollout.max_tokens <= rl.model.max_length
    assert rl.init_adapter == str(sft.run.path / "adapter") == str(folder / "runs" / "shop-sft" / "adapter")
    assert (sft.model.path, sft.data.benchmark, sft.data.prompt_style) == ("sft/tiny", "own", "compact")
    assert (rl.model.quantization, rl.lora) == (sft.model.quantization, sft.lora)
    assert rl.data.model_dump() == sft.data.model_dump() | {"difficulty": ""}
    for name in ("sft.toml", "rl.toml"):
        values = [line for line in (folder / name).read_text().splitlines() if " = " in line and line[0] != "#"]
        assert [line for line in values if "  # " not in line] == []


@pytest.mark.slow
def test_the_next_commands_are_printed_and_work_as_printed_from_any_folder(
    made: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = made
    monkeypatch.chdir(tmp_path)
    lines = [line.strip() for line in out.partition("next:\n")[2].splitlines()]
    sft, rl, ask = (shlex.split(line) for line in lines)
    assert sft_main([*sft[sft.index("--config") :], "--dry-run"]) == 0
    assert "0 dropped" in capsys.readouterr().out
    begun = subprocess.run(lines[1], shell=True, capture_output=True, text=True)
    assert begun.returncode == 2 and "train it by SFT first" in begun.stderr  # all is found but what SFT is to make
    assert ask[ask.index("--database") + 1] == str(folder / "shop.sqlite") and ask[-1].endswith("?")


@pytest.mark.slow
def test_what_was_edited_is_not_lost(made: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = made
    (folder / "runs").mkdir(exist_ok=True)
    before = {name: (folder / name).read_bytes() for name in WRITTEN}
    (folder / "sft.toml").write_text("edited")
    words = (folder, "--database", SHOP, "--pairs", PAIRS, "--propose", 40)
    assert init(*words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "already holds train.jsonl, dev.jsonl" in said and "--force" in said
    assert (folder / "sft.toml").read_text() == "edited"
    assert init(*words, "--force") == 0
    assert {name: (folder / name).read_bytes() for name in WRITTEN} == before and (folder / "runs").is_dir()


def test_problems_are_printed_and_kept_with_the_good_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("question,sql\nHow many orders?,SELECT COUNT(*) FROM orders\nWho?,SELECT nam FROM customers\n")
    assert init(tmp_path / "own", "--database", SHOP, "--pairs", bad, PAIRS, "--propose", 0) == 0
    out = capsys.readouterr().out
    assert f"pairs: 65 of 66 kept\n  {bad}, line 3: no such column: nam (left out)\n" in out
    assert (tmp_path / "own" / "problems.txt").read_text() == f"{bad}, line 3: no such column: nam (left out)\n"


def test_without_pairs_questions_are_proposed_and_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(tmp_path / "own", "--database", SHOP, "--propose", 25) == 0
    rows = [json.loads(line) for name in ("train", "dev") for line in (tmp_path / "own" / f"{name}.jsonl").open()]
    assert len(rows) == 25 and {row["hardness"] for row in rows} == {"synthetic"}
    assert "(0 given, " in capsys.readouterr().out


def test_a_database_in_the_folder_itself_stays_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "shop.sqlite"
    own.write_bytes(SHOP.read_bytes())
    assert init(tmp_path, "--database", own, "--pairs", PAIRS, "--propose", 0) == 0
    assert own.read_bytes() == SHOP.read_bytes() and load_split("own", "dev", tmp_path).examples


@pytest.mark.parametrize(
    "name, content, says",
    [
        ("shop.sqlite", b"", "is empty"),
        ("shop.db", bytes(range(128, 256)) * 32, "is encrypted or of another kind"),
        ("shop.csv", b"id,name\n1,a\n", "is not an SQLite 3 file"),
        ("shop.sqlite", SHOP.read_bytes()[:5000], "must be a SQLite database that can be read whole"),
    ],
)
def test_a_file_that_is_no_database_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert init(tmp_path / "own", "--database", tmp_path / name) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and says in said
    assert not (tmp_path / "own").exists()


def test_a_database_without_tables_or_rows_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "shop.sqlite"
    for script, says in (("PRAGMA user_version = 1", "no tables"), ("CREATE TABLE t (a)", "too few to train on")):
        with closing(sqlite3.connect(file)) as connection:
            connection.executescript(script)
        assert init(tmp_path / "own", "--database", file) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and says in said


def test_a_folder_with_other_questions_is_not_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.csv").write_bytes(PAIRS.read_bytes())
    assert init(tmp_path, "--database", SHOP, "--pairs", tmp_path / "train.csv") == 2
    assert "must not hold train.csv, which would be read beside train.jsonl" in capsys.readouterr().err


def test_a_wide_schema_is_shown_in_part_and_an_adapter_keeps_its_prompt(tmp_path: Path) -> None:
    file = tmp_path / "wide.sqlite"
    tables = [f"CREATE TABLE room_{i} (room_{i}_id INTEGER PRIMARY KEY, {', '.join(f'c{j}_{i}' for j in range(12))})"
              for i in range(40)]  # fmt: skip
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(";".join(tables))
        connection.executescript("INSERT INTO room_7 (c1_7) VALUES (5), (6), (7)")
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(
        "question,sql\nHow many room 7?,SELECT count(*) FROM room_7\nc1 7 of room 7?,SELECT c1_7 FROM room_7\n"
    )
    assert init(tmp_path / "own", "--database", file, "--pairs", pairs, "--propose", 0) == 0
    config = load_config(SftConfig, tmp_path / "own" / "sft.toml")
    assert config.data.prompt_style == "compact+linked" and config.model.max_length <= 1024 + 64


def test_an_adapter_to_begin_with_sets_what_must_agree_with_it(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"r": 8, "lora_alpha": 64}')
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    (tmp_path / "rollsql.json").write_text('{"prompt_style": "ddl", "prompt_budget": 700, "quantization": "none"}')
    begin = start("sft/tiny", tmp_path)
    for name, text in configs("x", tmp_path, begin, Prompts("ddl", 700, 1.0, 700, 20), 50).items():
        (tmp_path / name).write_text(text)
    config = load_config(SftConfig, tmp_path / "sft.toml")
    assert (config.lora.r, config.lora.alpha, config.init_adapter) == (8, 64, str(tmp_path))
    assert (config.data.prompt_budget, config.model.quantization, config.train.mode) == (700, "none", "lora")
    assert load_config(RlConfig, tmp_path / "rl.toml").lora == config.lora
    (tmp_path / "adapter_config.json").write_text('{"r": 12, "lora_alpha": 64}')
    with pytest.raises(UserError, match=r"^sft.toml: lora.r = 12: it must be one of 1, 8"):
        configs("x", tmp_path, start("sft/tiny", tmp_path), Prompts("ddl", 700, 1.0, 700, 20), 50)
