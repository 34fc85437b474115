"""Text files as users have them: any Unicode encoding that names itself, JSON as a list or as lines."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

from evaluation.errors import UserError

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(start: bytes) -> str:
    """What the byte-order mark at the start says; UTF-8 without one.

    >>> encoding_of(b"\\xff\\xfeS\\0"), encoding_of(b"SELECT")
    ('utf-16', 'utf-8')
    """
    return next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")


def read_text(path: Path) -> str:
    """The text, without a byte-order mark. UserError names the file and, in one that is not text, the byte."""
    try:
        data = path.read_bytes()
        encoding = encoding_of(data)
        return data.decode(encoding)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except UnicodeDecodeError as error:
        name = encoding.upper().removesuffix("-SIG")
        raise UserError(f"{path} must be {name} text; byte {error.start} is not") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None


def read_records(path: Path) -> list[dict[str, Any]]:
    """The objects of a file that holds a JSON list, or an object per line. UserError names file and line."""
    records = parse_json(read_text(path), path)
    if not all(isinstance(record, dict) for record in records):
        raise UserError(f"{path} must hold a list of JSON objects, one per question")
    if not records:
        raise UserError(f"{path} holds no questions")
    return records


def parse_json(text: str, path: Path) -> list[Any]:
    """The values of a JSON list or of JSON lines, whichever the text is; one value that is no list is a list of one."""
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not text.lstrip().startswith("[") and lines and _is_json(lines[0][1]):
        return [_parse(line, path, number) for number, line in lines]
    whole = _parse(text, path, 1) if lines else []
    return whole if isinstance(whole, list) else [whole]


def holds_json(text: str) -> bool:
    """Whether it is a JSON list, an object, or lines of objects."""
    start = text.lstrip()
    return start[:1] in ("{", "[") and (_is_json(start.partition("\n")[0]) or _is_json(start))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _parse(text: str, path: Path, first_line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise UserError(f"{path}, line {line}, column {error.colno}: malformed JSON ({error.msg})") from None
    except RecursionError:
        raise UserError(f"{path}, line {first_line}: JSON nested too deeply") from None
