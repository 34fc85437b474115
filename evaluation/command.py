"""What the command lines of all folders above have in common.

A command reads and checks its arguments before it imports anything slow (torch, transformers, ray, vllm, pyarrow,
matplotlib), so that --help and every wrong argument answer at once. What is wrong is said in one line.
"""

from __future__ import annotations

import argparse
import difflib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from cluster.needs import DEVICES, OPTION, File, Needs, Use
from evaluation.benchmarks import named
from evaluation.errors import USER_ERROR_EXIT, UserError

LONGEST_DEADLINE_S = 3600
BENCHMARK_HELP = "its layout, as spider (python -m evaluation.data list names them), or package.module:LAYOUT"
_USES: dict[str, Use] = {"--out": "written", "--model": "model"}


class CommandLine(argparse.ArgumentParser):
    """An argument parser whose complaints are one line, with what was probably meant. module: as in `python -m`."""

    def __init__(self, module: str, about: str) -> None:
        super().__init__(prog=f"python -m {module}", description=about, allow_abbrev=False)
        self.add_argument(OPTION, choices=DEVICES, help="as JSON, what it would ask of a cluster; nothing is started")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """With --needs, the answer is printed, and the command ends."""
        self.relax(sys.argv[1:] if args is None else args)
        found = super().parse_args(args, namespace)
        if found.needs:
            self.answer(Needs({}, files=self.files(found)))
        return found

    def relax(self, words: Sequence[str]) -> None:
        """A command that is to run elsewhere may name files that are not here."""
        for action in self._actions if OPTION in words else ():
            action.type = Path if action.type in (folder, file) else action.type

    def files(self, args: argparse.Namespace) -> list[File]:
        """The files that the arguments name: those of type Path, and a model."""
        found = []
        for action in self._actions:
            name = next(iter(action.option_strings), "")
            if action.type is Path or name in _USES:
                given = getattr(args, action.dest)
                values = given if isinstance(given, list) else [given]
                found += [File(name, str(value), _USES.get(name, "read")) for value in values if value is not None]
        return found

    def answer(self, needs: Needs) -> NoReturn:
        print(needs.as_json())
        raise SystemExit(0)

    def error(self, message: str) -> NoReturn:
        if "unrecognized arguments: " in message:
            message = self._unknown(message.partition("unrecognized arguments: ")[2])
        print(f"error: {message}; {self.prog} --help lists all arguments", file=sys.stderr)
        raise SystemExit(USER_ERROR_EXIT)

    def _unknown(self, words: str) -> str:
        option = next((word for word in words.split() if word.startswith("-")), "")
        if not option:
            return f"unknown argument {words!r}"
        options = [name for action in self._actions for name in action.option_strings]
        close = difflib.get_close_matches(option.partition("=")[0], options, n=1)
        return f"unknown option {option}" + (f", did you mean {close[0]}?" if close else "")


def add_benchmark(parser: argparse.ArgumentParser, split: str = "dev") -> None:
    """--benchmark, --data and --split."""
    parser.add_argument("--benchmark", type=benchmark, required=True, help=BENCHMARK_HELP)
    add_data(parser)
    parser.add_argument("--split", default=split, help=f"which questions (default {split})")


def add_data(parser: argparse.ArgumentParser) -> None:
    """--data: a folder that is there."""
    parser.add_argument("--data", type=folder, metavar="DIR", help="folder of the benchmark; tiny needs none")


def benchmark(text: str) -> str:
    """The type of an option that names a layout."""
    try:
        named(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def folder(text: str) -> Path:
    """The type of an option that names a folder to read."""
    path = Path(text).expanduser()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} must be an existing folder" + (", not a file" * path.exists()))
    return path


def file(text: str) -> Path:
    """The type of an option that names a file to read."""
    path = Path(text).expanduser()
    if not path.exists() or path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} must be an existing file" + (", not a folder" * path.is_dir()))
    return path


def at_least(low: int) -> Callable[[str], int]:
    """The type of a whole number with a lower bound."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None
        if value < low:
            raise argparse.ArgumentTypeError(f"must be at least {low}, got {text}")
        return value

    return number


def positive(text: str) -> float:
    """The type of a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text}")
    return value


def share(text: str) -> float:
    """The type of a number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1, got {text}")
    return value


def seconds(text: str) -> float:
    """The type of a deadline."""
    value = positive(text)
    if value > LONGEST_DEADLINE_S:
        raise argparse.ArgumentTypeError(f"must be at most {LONGEST_DEADLINE_S} seconds, got {text}")
    return value


def check_output(path: Path, name: str = "--out", suffixes: tuple[str, ...] = ()) -> Path:
    """A file that can be written, checked before the work; its folder is made. UserError otherwise."""
    if suffixes and path.suffix not in suffixes:
        raise UserError(f"{name} must end with {' or '.join(suffixes)}, got {path}")
    if path.is_dir():
        raise UserError(f"{name} must be a file, {path} is a folder")
    check_folder(path.parent, name)
    return path


def check_folder(path: Path, name: str = "--out") -> Path:
    """A folder that can be written to, made if need be. UserError otherwise."""
    with _written(path, name):
        path.mkdir(parents=True, exist_ok=True)
    return check_room(path, name)


def check_room(path: Path, name: str) -> Path:
    """A folder that can be written to, or be made where it would lie; nothing is made. UserError otherwise."""
    there = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
    with _written(path, name), tempfile.TemporaryFile(dir=there):
        return path


@contextmanager
def _written(path: Path, name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{name}: the folder {path} cannot be written to: {error.strerror}") from None
