"""A mutation: a copy of the tree with one snippet replaced, in which every named test must fail, by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evaluation.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
_LEFT_OUT = (".git", ".venv", "runs", "build", "dist", "__pycache__", ".*_cache")

Outcome = Literal["passed", "failed", "error", "skipped"]


@dataclass(frozen=True)
class Mutation:
    """pitfall: its number. name: what goes wrong, as a sentence. old stands once in file and becomes new.

    tests: pytest node ids, each of which must fail.
    """

    pitfall: str
    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """caught: every named test failed. survived: one passed. broken: nothing can be said, see detail."""

    mutation: Mutation
    verdict: Literal["caught", "survived", "broken"]
    seconds: float
    detail: str = ""


def mutated(mutation: Mutation, root: Path = ROOT) -> str:
    """The text of the file with the mistake in it. UserError when the snippet does not stand there exactly once."""
    path = root / mutation.file
    text = path.read_text() if path.is_file() else ""
    if (found := text.count(mutation.old)) != 1:
        raise UserError(
            f"{mutation.file} must hold the snippet of mutation {mutation.pitfall} {mutation.name!r} exactly once, "
            f"but holds it {found} times: {mutation.old!r}. The code has changed: fit the snippet in tests/mutations"
        )
    return text.replace(mutation.old, mutation.new)


def judge(mutation: Mutation, timeout_s: float, root: Path = ROOT) -> Result:
    """Makes the mistake in a copy and runs the named tests there."""
    started = time.monotonic()
    with _copy(root) as copy:
        (copy / mutation.file).write_text(mutated(mutation, copy))
        outcomes, output = outcomes_of(mutation.tests, copy, timeout_s)
    verdict, detail = _verdict(outcomes, output)
    return Result(mutation, verdict, time.monotonic() - started, detail)


def check_unmutated(mutations: Sequence[Mutation], timeout_s: float, root: Path = ROOT) -> None:
    """UserError unless all named tests pass as the code is: only then their failing means something."""
    tests = sorted({test for mutation in mutations for test in mutation.tests})
    with _copy(root) as copy:
        outcomes, output = outcomes_of(tests, copy, timeout_s)
    bad = [f"{name} ({outcome})" for name, outcome in outcomes.items() if outcome != "passed"]
    if bad or not outcomes:
        raise UserError(f"without any mutation all named tests must pass, but not so: {', '.join(bad) or output}")


def outcomes_of(tests: Sequence[str], tree: Path, timeout_s: float) -> tuple[dict[str, Outcome], str]:
    """Test name → outcome of pytest in `tree`, and the end of its output; no outcomes when it did not get so far."""
    report = tree / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"]
    command += [f"--junitxml={report}", f"--basetemp={tree / 'tmp'}", *tests]
    # What a mutation writes must not meet what the code as it is has cached, nor the other way round.
    env = os.environ | {"ROLLSQL_CACHE": str(tree / "cache"), "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return {}, f"not done after {timeout_s:g} s"
    output = (done.stdout + done.stderr)[-2000:]
    return (_read(report) if report.is_file() and done.returncode in (0, 1) else {}), output


def _read(report: Path) -> dict[str, Outcome]:
    marks: dict[str, Outcome] = {"failure": "failed", "error": "error", "skipped": "skipped"}
    found: dict[str, Outcome] = {}
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        found[name] = next((marks[child.tag] for child in case if child.tag in marks), "passed")
    return found


def _verdict(outcomes: dict[str, Outcome], output: str) -> tuple[Literal["caught", "survived", "broken"], str]:
    """A fixture that breaks or a test that is skipped has not noticed anything."""
    passed = [name for name, outcome in outcomes.items() if outcome == "passed"]
    if passed:
        return "survived", f"passed: {', '.join(passed)}"
    if outcomes and set(outcomes.values()) == {"failed"}:
        return "caught", ""
    return "broken", output


@contextmanager
def _copy(root: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rollsql-mutation-", ignore_cleanup_errors=True) as directory:
        tree = Path(directory) / "tree"
        shutil.copytree(root, tree, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        yield tree
