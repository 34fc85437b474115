"""Files that are written while they are read, half-written or damaged: what can be read of them, and what is wrong.

A `Problems` collects one line per fault, for the page; nothing here raises for what a file holds.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LARGEST_JSON = 256 * 2**20  # bytes; a larger file is not what a run writes
LONGEST_INT = 300  # digits; a float holds up to 308
Problems = list[str]


def read_json(path: Path, problems: Problems) -> dict[str, Any]:
    """The object in a file; {} when it is not there, or with a line in `problems` when it is no JSON object."""
    text = _text(path, problems)
    if not text:
        return {}
    try:
        found = _parsed(text)
    except (ValueError, RecursionError) as error:
        problems.append(f"{path.name} is damaged: {_short(error)}")
        return {}
    if isinstance(found, dict):
        return found
    problems.append(f"{path.name} is damaged: it must hold a JSON object")
    return {}


def read_rows(path: Path, problems: Problems) -> list[dict[str, Any]]:
    """The objects of a .jsonl file that have a whole number as their step, one per step (the last), in order.

    A last line without its end is being written, and left out without a word.
    """
    rows: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(_whole_lines(_text(path, problems)), start=1):
        try:
            row = _parsed(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict) and isinstance(row.get("step"), int) and not isinstance(row["step"], bool):
            rows[row["step"]] = row
        elif line.strip():
            problems.append(f"{path.name}, line {number} is damaged and left out")
    return [rows[step] for step in sorted(rows)]


def tail(path: Path, size: int) -> tuple[str, bool]:
    """The end of a text file, at most `size` bytes, and whether that is all of it; "" when it cannot be read."""
    try:
        with path.open("rb") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - size))
            return file.read(size).decode("utf-8", "replace"), length <= size
    except OSError:
        return "", True


def number(value: Any) -> float | None:
    """A finite number, or None for all else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) else None


def as_json(value: Any) -> str:
    """JSON as browsers read it; numbers that it does not have become null."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(finite(value), allow_nan=False, separators=(",", ":"))


def finite(value: Any) -> Any:
    """The same value with None in the place of numbers that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def changed(path: Path) -> float:
    """When the file last changed, seconds since 1970; 0.0 when it is not there."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def is_locked(path: Path) -> bool:
    """Whether a process of this machine holds flock on the file; asked of the kernel, so that no lock is taken."""
    try:
        found = path.stat()
        held = Path("/proc/locks").read_text()
    except OSError:
        return False
    place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    return any(line.split()[1] == "FLOCK" and place in line.split() for line in held.splitlines() if "->" not in line)


def _parsed(text: str) -> Any:
    """JSON with None for numbers that no float holds: NaN, infinities, endless digits."""
    return json.loads(text, parse_constant=lambda name: None, parse_float=_float, parse_int=_int)


def _float(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _int(text: str) -> int | None:
    return int(text) if len(text) <= LONGEST_INT else None


def _whole_lines(text: str) -> Iterator[str]:
    return iter(text[: text.rfind("\n") + 1].split("\n")[:-1])


def _text(path: Path, problems: Problems) -> str:
    try:
        if path.stat().st_size > LARGEST_JSON:
            problems.append(f"{path.name} is larger than {LARGEST_JSON >> 20} MiB and not read")
            return ""
        return path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        problems.append(f"{path.name} cannot be read: {error.strerror}")
        return ""


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
