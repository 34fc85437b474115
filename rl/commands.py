"""`rollsql COMMAND …`: any command of the project from any folder; alone it lists them.

`rollsql train …` is `python -m rl.train …`: of commands with the same last name the one of the upper folder has it.
"""

from __future__ import annotations

import ast
import difflib
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation.errors import USER_ERROR_EXIT

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("graph", "cluster", "evaluation", "sft", "rl")  # from the ground up
NAMES = {"sft": "sft.train"}


def commands() -> dict[str, str]:
    """Module of each command -> the first line of its docstring. Read, not imported."""
    found = {}
    for file in sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if "def main(argv" in text and file != Path(__file__):
            module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
            found[module] = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    return found


def short_names(modules: Sequence[str]) -> dict[str, str]:
    """Last name -> module.

    >>> short_names(["sft.train", "rl.train", "graph.show"])
    {'show': 'graph.show', 'train': 'rl.train', 'sft': 'sft.train'}
    """
    upwards = sorted(modules, key=lambda module: FOLDERS.index(module.partition(".")[0]))
    return {module.rpartition(".")[2]: module for module in upwards} | NAMES


def main(words: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if words is None else words
    known = commands()
    short = short_names(list(known))
    if not words or words[0] in ("-h", "--help"):
        print(listing(known, short))
        return 0
    name = words[0].replace("-", "_")
    module = short.get(name, name)
    if module not in known:
        close = difflib.get_close_matches(name, [*short, *known], n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        print(f"error: there is no command {words[0]}{hint} `rollsql` alone lists them", file=sys.stderr)
        return USER_ERROR_EXIT
    sys.argv = [f"rollsql {words[0]}", *words[1:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    return 0


def listing(known: dict[str, str], short: dict[str, str]) -> str:
    """A line per command."""
    name_of = {module: name for name, module in short.items()}
    rows = [(name_of.get(module, module), module, about) for module, about in known.items()]
    lines = [f"  {name:<15} {module:<24} {about}" for name, module, about in rows]
    return "\n".join(["usage: rollsql COMMAND …, which is python -m MODULE …", *lines])


if __name__ == "__main__":
    raise SystemExit(main())
