"""Every command of the project: what it says of itself, and how fast it answers a wrong argument."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("graph", "cluster", "evaluation", "sft", "rl")
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
CONFIGS = {
    "sft.train": "sft/configs/tiny.toml",
    "sft.plan": "sft/configs/tiny.toml",
    "sft.pretrain": "sft/configs/pretrain.toml",
    "rl.train": "rl/configs/tiny.toml",
    "rl.plan": "rl/configs/tiny.toml",
    "rl.ablate": "rl/configs/ablation-tiny.toml",
}


def commands() -> dict[str, str]:
    """Command -> the module with its main."""
    found = {}
    for file in sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")):
        if 'if __name__ == "__main__"' in (text := file.read_text()) and "def main(argv" in text:
            module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            found[module.removesuffix(".__main__")] = module
    return found


@cache
def answers(words: tuple[str, ...]) -> dict[str, tuple[int, str, str, list[str]]]:
    """What each command answers to these words."""
    names = commands()
    asked = "".join(json.dumps([module, words]) + "\n" for module in names.values())
    done = subprocess.run([sys.executable, "-c", PROBE, *SLOW], input=asked, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return dict(zip(names, map(json.loads, done.stdout.splitlines()), strict=True))


def test_all_commands_are_found() -> None:
    assert {*CONFIGS, "evaluation.score", "rl.predict", "sft.merge", "cluster.submit", "graph.show"} <= set(commands())


@pytest.mark.parametrize("command", commands())
def test_help_needs_no_slow_import(command: str) -> None:
    code, out, err, slow = answers(("--help",))[command]
    assert (code, err, slow) == (0, "", [])
    assert f"usage: python -m {command}" in out


@pytest.mark.parametrize("command", commands())
def test_a_wrong_option_is_one_line_and_needs_no_slow_import(command: str) -> None:
    code, out, err, slow = answers(("--no-such-thing", "5"))[command]
    assert (code, out, slow) == (2, "", [])
    assert err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err
