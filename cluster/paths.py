"""A command that is to run elsewhere: which module it runs, and its files by absolute paths.

    python -m rl.train --config rl/configs/tiny.toml steps=3
    → python -m rl.train --config rl/configs/tiny.toml steps=3 run.dir=/home/me/rollsql/runs

The config and whatever else the package holds is named as it is: the job finds it in its own folder.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import ClusterError

OPTIONS_WITH_FILES = ("--config", "--data")
WRITTEN = ("run.dir", "checkpoint.dir")  # need not be there yet
MODELS = ("model.path",)  # may be a name of the Hugging Face hub


@dataclass(frozen=True)
class Place:
    """Where the command is given, and where it will run.

    is_here: the job sees the files of this machine; ships: whether the package holds a path; head: for messages.
    """

    cwd: Path
    is_here: bool
    ships: Callable[[Path], bool]
    head: str = "the head"


def module_of(command: Sequence[str]) -> str | None:
    """rl.train of `python -m rl.train …`; None when the command is something else."""
    if len(command) >= 3 and Path(command[0]).name.startswith("python") and command[1] == "-m":
        return command[2]
    return None


def option(arguments: Sequence[str], name: str) -> str | None:
    """The value of `--name VALUE` or `--name=VALUE`, the last one given."""
    found = None
    for index, word in enumerate(arguments):
        if word == name and index + 1 < len(arguments):
            found = arguments[index + 1]
        elif word.startswith(f"{name}="):
            found = word.partition("=")[2]
    return found


def without_option(arguments: Sequence[str], name: str) -> list[str]:
    """The words but for `--name VALUE` and `--name=VALUE`."""
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == name:
            next(words, None)
        elif not word.startswith(f"{name}="):
            kept.append(word)
    return kept


def absolute_paths(command: Sequence[str], settings: Mapping[str, str], place: Place) -> list[str]:
    """The command of `python -m MODULE …` with every file that the package does not hold by its absolute path.

    Args:
        settings: those that name files, by dotted key, as the config and the command set them; URLs stay as they are.

    Raises:
        ClusterError: a file that is not there, or a relative path of this machine for a job on another one.
    """
    words = list(command)
    for name in OPTIONS_WITH_FILES:
        if (given := option(words, name)) is not None:
            words = _replace(words, name, given, _found(name, given, place))
    changed = {key: _found(key, value, place) for key, value in settings.items() if value and "://" not in value}
    return insert_overrides(words, [f"{key}={path}" for key, path in changed.items() if path != settings[key]])


def insert_overrides(command: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """Put `key=value` words behind those that are there: argparse wants them in one place, and the last one counts."""
    words = list(command)
    places = [i for i, word in enumerate(words) if _is_override(words, i, word)]
    at = places[-1] + 1 if places else len(words)
    return [*words[:at], *overrides, *words[at:]]


def _is_override(words: Sequence[str], index: int, word: str) -> bool:
    before = words[index - 1] if index else ""
    return "=" in word and not word.startswith("-") and before not in OPTIONS_WITH_FILES


def _replace(words: Sequence[str], name: str, old: str, new: str) -> list[str]:
    """Every `--name old`, also written `--name=old`, gets the new value."""
    changed = [f"{name}={new}" if word == f"{name}={old}" else word for word in words]
    return [new if word == old and i and words[i - 1] == name else word for i, word in enumerate(changed)]


def _found(key: str, value: str, place: Place) -> str:
    """The path by which the job will find the file."""
    local = place.cwd / Path(value).expanduser()
    if Path(value).is_absolute():
        if place.is_here and key not in WRITTEN and not local.exists():
            raise ClusterError(f"{key}: {value} does not exist on this machine, where the job will run")
        return value
    if place.ships(local) or (key in MODELS and not local.exists()):
        return value
    if not place.is_here:
        raise ClusterError(
            f"{key} = {value} must be an absolute path: the job runs in a temporary folder on {place.head}, and the "
            f"package does not hold it. Copy it to a disk there and give {_form(key)}"
        )
    if key not in WRITTEN and not local.exists():
        raise ClusterError(f"{key} = {value}: {local} does not exist; give {_form(key)}, or make it first")
    return str(local.resolve())


def _form(key: str) -> str:
    return f"{key} /absolute/path" if key.startswith("--") else f"{key}=/absolute/path"
