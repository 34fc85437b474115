"""Every command of the project: what it says of itself, and how fast it answers a wrong argument."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from rl.commands import commands, short_names
from rl.settings import document
from sft.wheels import is_cuda_build, option

ROOT = Path(__file__).resolve().parent.parent
SLOW = ("torch", "transformers", "ray", "vllm", "pyarrow", "matplotlib", "datasets", "peft", "trl", "bitsandbytes")
# Runs main(argv) of a module in one process, and tells what it left: exit code, both streams, slow imports.
PROBE = """
import contextlib, importlib, io, json, sys
for line in sys.stdin:
    module, argv = json.loads(line)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = importlib.import_module(module).main(argv)
        except SystemExit as left:
            code = left.code
    slow = [name for name in sys.argv[1:] if name in sys.modules]
    print(json.dumps([code, out.getvalue(), err.getvalue(), slow]))
"""


@cache
def answers(words: tuple[str, ...]) -> dict[str, tuple[int, str, str, list[str]]]:
    """What each command answers to these words."""
    names = modules()
    asked = "".join(json.dumps([module, words]) + "\n" for module in names.values())
    done = subprocess.run([sys.executable, "-c", PROBE, *SLOW], input=asked, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return dict(zip(names, map(json.loads, done.stdout.splitlines()), strict=True))


def modules() -> dict[str, str]:
    """Command -> the module with its main."""
    packages = {name for name in commands() if (ROOT / name.replace(".", "/")).is_dir()}
    return {name: f"{name}.__main__" if name in packages else name for name in commands()}


def test_all_commands_are_found_and_each_has_a_short_name() -> None:
    known = commands()
    some = {"sft.train", "sft.pretraining", "rl.ablate", "evaluation.score", "graph.show", "cluster.submit"}
    assert some <= set(known)
    assert all(known.values())
    short = short_names(list(known))
    assert (short["train"], short["sft"], short["predict"]) == ("rl.train", "sft.train", "rl.predict")
    assert (short["score"], short["show"], short["plan"]) == ("evaluation.score", "graph.show", "rl.plan")


@pytest.mark.parametrize("command", commands())
def test_help_needs_no_slow_import(command: str) -> None:
    code, out, err, slow = answers(("--help",))[command]
    assert (code, err, slow) == (0, "", [])
    assert f"usage: python -m {command}" in out


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_a_wrong_option_is_one_line_and_needs_no_slow_import(command: str) -> None:
    code, out, err, slow = answers(("--no-such-thing", "5"))[command]
    assert (code, out, slow) == (2, "", [])
    assert err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err


def rollsql(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """As the installed command runs: from any folder, the project behind everything else on the path."""
    code = "import sys; sys.path[0] = sys.argv.pop(1); from rl.commands import main; sys.exit(main())"
    return subprocess.run([sys.executable, "-c", code, str(ROOT), *words], cwd=cwd, capture_output=True, text=True)


@pytest.mark.slow
def test_rollsql_runs_a_command_from_any_folder(tmp_path: Path) -> None:
    listed = rollsql(cwd=tmp_path)
    assert listed.returncode == 0 and all(name in listed.stdout for name in commands())
    short, whole = (rollsql(name, "--help", cwd=tmp_path) for name in ("check-data", "evaluation.check_data"))
    assert short.stdout == whole.stdout and "usage: python -m evaluation.check_data" in short.stdout
    wrong = rollsql("trian", cwd=tmp_path)
    assert wrong.returncode == 2 and "did you mean train?" in wrong.stderr
    planned = rollsql("plan", "--config", "rl/configs/tiny.toml", "steps=no", cwd=tmp_path)
    assert planned.stderr == 'error: the command line: steps = "no": it must be a whole number, at least 0\n'


def test_the_list_of_settings_is_the_one_of_the_code() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == document(), "python -m rl.settings --out docs/settings.md"


def test_wheels_of_torch_come_from_its_own_index_where_the_other_has_a_cuda_build() -> None:
    def report(version: str, *needs: str) -> dict[str, object]:
        return {"install": [{"metadata": {"name": "torch", "version": version, "requires_dist": list(needs)}}]}

    cuda = report("2.13.0", "sympy", 'nvidia-cublas-cu12==12.6; platform_system == "Linux"')
    assert is_cuda_build(cuda) and is_cuda_build(report("2.13.0+cu126"))
    assert is_cuda_build(report("2.13.0", "cuda-bindings>=13; platform_system == 'Linux'"))
    assert not is_cuda_build(report("2.13.0", "sympy", "jinja2")) and not is_cuda_build(report("2.13.0+cpu"))
    assert option(json.dumps(cuda)) == "--extra-index-url https://download.pytorch.org/whl/cpu"
    assert option(json.dumps(report("2.13.0+cpu"))) == option("") == option("no report") == ""


WRONG = [
    ("rl.train", "--config rl/configs/tiny.toml --data /no/such", "--data: /no/such must be an existing folder"),
    ("rl.train", "--config rl/configs/none.toml", "rl/configs/none.toml does not exist; there are "),
    ("rl.train", "--config rl/configs/tiny.toml init_adapter=no/such", "init_adapter must be the folder of an adapter"),
    ("rl.train", "--config rl/configs/tiny.toml init_adapter= model.path=no", "the model path no does not exist"),
    ("rl.train", "--config rl/configs/spider-tiny.toml", "spider needs its data directory: pass --data DIR"),
    ("rl.train", "--config rl/configs/tiny.toml init_adapter= engine.kv_cache_gib=1e6", "engine.kv_cache_gib = 1e+06"),
    ("rl.train", "--config rl/configs/tiny.toml init_adapter= run.dir=/dev/null/x", "run.dir: the folder /dev/null/x"),
    ("rl.train", "--config rl/configs/tiny.toml init_adapter= data.checked=no", "data.checked must be a file of"),
    ("rl.train", "--config rl/configs/tiny.toml --steps 5", "settings are given without dashes, as steps=5"),
    ("rl.train", "--config rl/configs/tiny.toml --lr=1e-4", "as learner.learning_rate=1e-4"),
    ("sft.train", "--config sft/configs/tiny.toml --epochs 2", "as train.epochs=2"),
    ("sft.train", "--config sft/configs/tiny.toml dev.every=1 dev.kv_cache_gib=1e6", "dev.kv_cache_gib = 1e+06"),
    ("sft.train", "--config sft/configs/tiny.toml run.dir=/dev/null/x", "run.dir: the folder /dev/null/x cannot be"),
    ("sft.train", "--config rl/configs/tiny.toml", "is a config of rl.train"),
    ("sft.pretraining", "--config sft/configs/pretrain.toml work=/dev/null/x", "work: the folder /dev/null/x cannot"),
    ("rl.ablate", "--config rl/configs/ablation-tiny.toml dir=/dev/null/x", "/dev/null/x/ablation-tiny cannot be"),
    (
        "rl.predict",
        "--model sft/tiny --benchmark tiny --out /dev/null/x.jsonl",
        "--out: the folder /dev/null cannot be",
    ),
    ("rl.predict", "--model sft/tiny --benchmark tiny --out x.txt", "--out must end with .jsonl"),
    ("rl.predict", "--model no --benchmark tiny --out x.jsonl", "the model path no does not exist"),
    ("rl.predict", "--model sft/tiny --benchmark tiny --split no --out x.jsonl", "tiny has the splits train, dev"),
    ("rl.init", "x --database no", "--database: no must be an existing file"),
    ("rl.init", "x --database README.md", "the database README.md must be a SQLite 3 file"),
    ("rl.init", "README.md --database docs/shop/shop.sqlite", "DIR must be a folder, "),
    ("rl.init", "/dev/null/x --database docs/shop/shop.sqlite", "DIR: the folder /dev/null/x cannot be written to"),
    ("rl.init", "x --database docs/shop/shop.sqlite --propose -1", "must be at least 0, got -1"),
    ("rl.ask", "--database no.sqlite how?", "--database: no.sqlite must be an existing file"),
    ("rl.ask", "--database README.md how?", "README.md is not an SQLite 3 file"),
    ("rl.ask", "--database docs/shop/shop.sqlite --model no how?", "the model path no does not exist"),
    ("rl.serve", "--database no", "no must be an existing file or folder"),
    ("rl.serve", "--database graph", "must be a SQLite file, or a folder with some"),
    ("rl.serve", "--database docs/shop --token short", "the token must have at least 16 characters"),
    ("rl.serve", "--database docs/shop --port 70000", "must be at most 65535"),
    ("rl.serve", "--database docs/shop --adapter base=docs", "and not base, got 'base'"),
    ("rl.serve", "--database docs/shop --feedback x.csv", "--feedback must end with .jsonl"),
    ("rl.serve", "--database docs/shop --host 203.0.113.1", "cannot listen on 203.0.113.1"),
    ("sft.merge", "--model sft/tiny --adapter /no --out x", "--adapter: /no must be an existing folder"),
    ("evaluation.score", "--benchmark tiny --predictions no --out x", "--predictions: no must be an existing file"),
    ("evaluation.check_data", "--benchmark spidre", "got 'spidre'; did you mean spider?"),
    ("evaluation.execute", "--db README.md --deadline-s 0", "must be a number above 0, got 0"),
    ("evaluation.score", "--benchmark tiny --wokers 2 --predictions README.md --out x", "did you mean --workers?"),
]


@pytest.mark.slow
@pytest.mark.parametrize("command, words, says", WRONG)
def test_a_wrong_argument_is_one_line_before_any_slow_import(command: str, words: str, says: str) -> None:
    code, _, err, slow = asked()[command, words]
    assert (code, slow) == (2, [])
    assert err.startswith("error: ") and says in err and err.count("\n") == 1


@cache
def asked() -> dict[tuple[str, str], tuple[int, str, str, list[str]]]:
    """What each command answers to its wrong words: all in one process."""
    lines = "".join(json.dumps([modules()[command], words.split()]) + "\n" for command, words, _ in WRONG)
    done = subprocess.run([sys.executable, "-c", PROBE, *SLOW], input=lines, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    answers = map(json.loads, done.stdout.splitlines())
    return dict(zip([(command, words) for command, words, _ in WRONG], answers, strict=True))
