"""A command that is to run elsewhere, with its files by absolute paths.

    python -m MODULE --config a.toml steps=3
    → python -m MODULE --config a.toml steps=3 run.dir=/home/me/rollsql/runs

What the package holds is named as it is: the job finds it in its own folder.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import ClusterError
from cluster.needs import File


@dataclass(frozen=True)
class Place:
    """Where the command is given, and where it will run.

    is_here: the job sees the files of this machine; ships: whether the package holds a path; head: for messages.
    """

    cwd: Path
    is_here: bool
    ships: Callable[[Path], bool]
    head: str = "the head"


def absolute_path(command: Sequence[str], file: File, place: Place) -> tuple[list[str], str]:
    """The command of `python -m MODULE …` with the file as the job will find it, and that path. A URL stays as it is.

    Raises:
        ClusterError: a file that is not there, or a relative path of this machine for a job on another one.
    """
    path = file.value if "://" in file.value else _found(file, place)
    return (list(command) if path == file.value else replaced(command, file, path)), path


def replaced(words: Sequence[str], file: File, path: str) -> list[str]:
    """`--name VALUE`, `--name=VALUE`, `name=VALUE` or the word VALUE with the new path. A setting that the command does
    not have goes behind the last word `key=value`: argparse wants them in one place, and the last one counts.

    >>> replaced(["python", "-m", "m", "x=1", "--to", "d"], File("run.dir", "runs", "written"), "/runs")
    ['python', '-m', 'm', 'x=1', 'run.dir=/runs', '--to', 'd']
    """
    if f"{file.name}={file.value}" in words:
        return [f"{file.name}={path}" if word == f"{file.name}={file.value}" else word for word in words]
    if file.name and not file.name.startswith("--"):
        at = max((i + 1 for i, word in enumerate(words) if _is_setting(words, i, word)), default=len(words))
        return [*words[:at], f"{file.name}={path}", *words[at:]]
    if file.name and file.name not in words:  # its default
        return [*words, file.name, path]
    start = words.index(file.name) if file.name else 2
    return [path if word == file.value and i > start else word for i, word in enumerate(words)]


def _is_setting(words: Sequence[str], index: int, word: str) -> bool:
    return "=" in word and not word.startswith("-") and not (index and words[index - 1].startswith("--"))


def _found(file: File, place: Place) -> str:
    """The path by which the job will find the file."""
    name, value = file.name or "the file", file.value
    local = place.cwd / Path(value).expanduser()
    missing = file.use != "written" and not local.exists()
    if Path(value).is_absolute():
        if place.is_here and missing:
            raise ClusterError(f"{name}: {value} does not exist on this machine, where the job will run")
        return value
    if place.ships(local) or (file.use == "model" and missing):
        return value
    if not place.is_here:
        raise ClusterError(
            f"{name} = {value} must be an absolute path: the job runs in a temporary folder on {place.head}, and the "
            f"package does not hold it. Copy it to a disk there and give {_form(file)}"
        )
    if missing:
        raise ClusterError(f"{name} = {value}: {local} does not exist; give {_form(file)}, or make it first")
    return str(local.resolve())


def _form(file: File) -> str:
    return f"{file.name}=/absolute/path" if "." in file.name else f"{file.name} /absolute/path".strip()
