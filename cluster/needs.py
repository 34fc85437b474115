"""What a command needs of a cluster: it says so itself, before anything slow, when it is asked.

`python -m MODULE ARGUMENTS… --needs DEVICE` (auto, cpu or cuda: where its work would run) checks the arguments, prints
one JSON object as its last line and ends with 0; it starts nothing. Wrong arguments end with 2 and one line on stderr.

    {"layouts": [{"name": "a GPU each", "bundles": [
        {"name": "trainer", "count": 2, "cpus": 1, "gpus": 1, "gpu_bytes": 21474836480, "host_bytes": 4294967296}]}],
     "driver": {"name": "driver", "count": 1, "cpus": 0, "gpus": 0, "gpu_bytes": 0, "host_bytes": 1073741824},
     "files": [{"name": "--data", "value": "bank", "use": "read"}],
     "about": "what it would take, in words"}

layouts: ways to lay its actors out, the best first; any that fits will do, [] where it starts none. driver: the process
of the command itself. files: by option (`--data bank`), by setting (`out.dir=bank`, added to the command where it comes
from a file) or, without a name, by the word alone. use: read; written, and perhaps not there yet; or model, which may
also be a name of a hub. Every key but `files` may be left out.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from cluster.errors import ClusterError, WaitTimeout
from cluster.fit import Bundle, Misfit, Node, fit

OPTION = "--needs"
DEVICES = ("auto", "cpu", "cuda")
ASK_TIMEOUT_S = 300.0
PROJECT = Path(__file__).resolve().parent.parent
Use = Literal["read", "written", "model"]


@dataclass(frozen=True)
class File:
    """name: the option or setting that names it, "" for a word of its own."""

    name: str
    value: str
    use: Use


@dataclass(frozen=True)
class Needs:
    """See the module. layouts: by name, in order."""

    layouts: Mapping[str, Sequence[Bundle]]
    driver: Bundle = Bundle("driver")
    files: Sequence[File] = ()
    about: str = ""

    def layout_on(self, nodes: Sequence[Node]) -> tuple[str | None, dict[str, Misfit | None]]:
        """The first layout that fits, or None; and the misfit of each that was tried."""
        tried: dict[str, Misfit | None] = {}
        for name, bundles in (self.layouts or {"one process": ()}).items():
            tried[name] = misfit = fit(bundles, nodes, self.driver)
            if misfit is None:
                return name, tried
        return None, tried

    def as_json(self) -> str:
        layouts = [{"name": name, "bundles": list(map(asdict, found))} for name, found in self.layouts.items()]
        files = [asdict(file) for file in self.files if file.value]
        return json.dumps({"layouts": layouts, "driver": asdict(self.driver), "files": files, "about": self.about})

    @classmethod
    def from_json(cls, text: str) -> Needs:
        """ValueError, KeyError or TypeError for anything else."""
        found = json.loads(text)
        layouts = {one["name"]: [Bundle(**b) for b in one["bundles"]] for one in found.get("layouts", ())}
        driver = Bundle(**found.get("driver", {"name": "driver"}))
        return cls(layouts, driver, [File(**file) for file in found["files"]], found.get("about", ""))


def ask(command: Sequence[str], root: Path, device: str = "auto") -> Needs | None:
    """What `python -m MODULE …` needs, run in the folder `root`; None for any other command, and for a module that does
    not know the option.

    Raises:
        ClusterError: its message, when it refuses the arguments.
    """
    module = module_of(command)
    if module is None or not _is_command(module, root):
        return None
    line = [sys.executable, *command[1:], OPTION, device]
    try:
        done = subprocess.run(
            line, cwd=root, env=_environment(root), capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise WaitTimeout(f"{module} has not said what it needs in {ASK_TIMEOUT_S:g} s") from None
    if done.returncode:
        said = done.stderr.strip().removeprefix("error: ")
        if OPTION in said.rpartition("\n")[2]:  # after argparse's usage: unrecognized arguments: --needs
            return None
        raise ClusterError(said or f"{module} {OPTION} ended with code {done.returncode}")
    try:
        return Needs.from_json((done.stdout.splitlines() or [""])[-1])
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterError(f"{module} {OPTION} must print a JSON object as its last line: {error}") from None


def module_of(command: Sequence[str]) -> str | None:
    """The module of `python -m MODULE …`; None when the command is something else."""
    if len(command) >= 3 and Path(command[0]).name.startswith("python") and command[1] == "-m":
        return command[2]
    return None


def _is_command(module: str, root: Path) -> bool:
    """Whether it is a file of that folder or of this project with a main(argv): only such a one is started."""
    places = [folder.joinpath(*module.split(".")) for folder in (root, PROJECT)]
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__main__.py") if file.is_file()]
    return any(re.search(r"^def main\(argv", file.read_text(errors="replace"), re.MULTILINE) for file in files)


def _environment(root: Path) -> dict[str, str]:
    """`python -m` finds modules of the folder first."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(PROJECT), os.environ.get("PYTHONPATH", "")])}
