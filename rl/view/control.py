"""Runs started, watched and stopped from the page: each is one command line, the one that is shown.

What is started goes on when the viewer ends; Ctrl-C is what stop sends. As a Ray job the line goes through
cluster.submit, and stopping ends what follows the job, which `ray job stop` ends.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluation.errors import UserError
from rl.view.files import tail
from sft.settings.table import settings

ROOT = Path(__file__).resolve().parent.parent.parent
COMMANDS = ("sft.train", "rl.train")
OUTPUT_BYTES = 20_000
PLAN_S = 180.0
_KEY = re.compile(r"[a-z_0-9]+(\.[a-z_0-9]+)*")


@dataclass
class Started:
    """A command that this viewer has started. output: where both its streams go."""

    number: int
    words: list[str]
    process: subprocess.Popen[bytes]
    output: Path
    began: float = field(default_factory=time.time)

    def shown(self) -> dict[str, Any]:
        code = self.process.poll()
        state = "running" if code is None else "finished" if code == 0 else f"ended with exit code {code}"
        text, _ = tail(self.output, OUTPUT_BYTES)
        return {"number": self.number, "line": line(self.words), "state": state, "output": text, "began": self.began}


class Control:
    """The commands of one viewer. folder: where they run, and where further configs lie."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path.cwd()
        self._logs = Path(tempfile.mkdtemp(prefix="rollsql-view-"))
        self._started: dict[int, Started] = {}
        self._numbers, self._lock = itertools.count(1), threading.Lock()

    def choices(self) -> dict[str, Any]:
        """What can be started: commands, their configs, their settings with ranges and meanings."""
        return {
            "commands": [
                {
                    "name": name,
                    "configs": self.configs(name),
                    "settings": [_setting(one) for one in settings(_class(name))],
                }
                for name in COMMANDS
            ],
            "started": [one.shown() for one in self._started.values()],
        }

    def configs(self, command: str) -> list[str]:
        """TOML files that ship with the project, then those of the folder."""
        folder = ROOT / command.partition(".")[0] / "configs"
        names = [str(path.relative_to(ROOT)) for path in sorted(folder.glob("*.toml")) if _is_of(path, command)]
        own = [
            str(path.relative_to(self.folder)) for path in sorted(self.folder.glob("*.toml")) if _is_of(path, command)
        ]
        return [*names, *own]

    def words(self, asked: Mapping[str, Any]) -> list[str]:
        """The command line for {"command", "config", "data", "settings": {key: text}, "job"}. UserError: not ours."""
        command, config = asked.get("command"), asked.get("config")
        if command not in COMMANDS:
            raise UserError(f"command must be one of {', '.join(COMMANDS)}, got {command!r}")
        if config not in self.configs(str(command)):
            raise UserError(f"config must be one of those listed, got {config!r}")
        given = asked.get("settings") or {}
        known = {one.key for one in settings(_class(str(command)))}
        for key, value in given.items():
            if not _KEY.fullmatch(key) or key not in known or not isinstance(value, str):
                raise UserError(f"there is no setting {key!r} of {command}")
        words = ["python", "-m", str(command), "--config", str(config)]
        words += ["--data", str(asked["data"])] if asked.get("data") else []
        words += [f"{key}={value}" for key, value in given.items()]
        return ["python", "-m", "cluster.submit", "--", *words] if asked.get("job") else words

    def plan(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The command line, and what it would take, as the plan's own command says it."""
        words = self.words({**asked, "job": False})
        rl = asked["command"] == "rl.train"
        planned = [*words[:2], "rl.plan", *words[3:]] if rl else [*words, "--dry-run"]
        try:
            done = subprocess.run(
                _run(planned), cwd=self.folder, capture_output=True, text=True, timeout=PLAN_S,
                stdin=subprocess.DEVNULL, env=_environment(), errors="replace",
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise UserError(f"the plan took longer than {PLAN_S:.0f} s") from None
        return {"line": line(self.words(asked)), "plan": done.stdout, "error": done.stderr if done.returncode else ""}

    def start(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return self._start(self.words(asked))

    def again(self, number: int) -> dict[str, Any]:
        """The same line once more: a stopped run goes on. UserError while it runs."""
        one = self._of(number)
        if one.process.poll() is None:
            raise UserError("it still runs: stop it first")
        return self._start(one.words)

    def stop(self, number: int) -> dict[str, Any]:
        """What Ctrl-C does."""
        one = self._of(number)
        if one.process.poll() is None:
            one.process.send_signal(signal.SIGINT)
        return one.shown()

    def _start(self, words: list[str]) -> dict[str, Any]:
        with self._lock:
            number = next(self._numbers)
            output = self._logs / f"{number}.txt"
            with output.open("wb") as file:
                process = subprocess.Popen(
                    _run(words), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                    start_new_session=True, env=_environment(),
                )  # fmt: skip
            self._started[number] = Started(number, words, process, output)
        return self._started[number].shown()

    def _of(self, number: int) -> Started:
        if number not in self._started:
            raise UserError(f"this viewer has started no command {number}")
        return self._started[number]


def line(words: Sequence[str]) -> str:
    """As it would be typed."""
    return shlex.join(words)


def _run(words: Sequence[str]) -> list[str]:
    """The same with the Python that runs the viewer."""
    return [sys.executable if word == "python" else word for word in words]


def _environment() -> dict[str, str]:
    """The project importable from any folder."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def _class(command: str) -> Any:
    if command == "rl.train":
        from rl.config import RlConfig

        return RlConfig
    from sft.config import SftConfig

    return SftConfig


def _is_of(path: Path, command: str) -> bool:
    """Whether the sections of a config are those of the command."""
    import tomllib

    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    own = {"rl.train": {"rollout", "reward", "engine", "learner"}, "sft.train": {"train"}}[command]
    fields = set(_class(command).model_fields)
    return bool(own & set(found)) and set(found) <= fields


def _setting(one: Any) -> dict[str, str]:
    return {"key": one.key, "default": one.default, "may_be": one.may_be, "meaning": one.meaning}
