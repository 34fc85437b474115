"""Files of records as users have them: JSON, JSON lines, CSV, Parquet, in any Unicode encoding that names itself.

`read_records` wants a file without a fault. `read_questions` keeps what can be read of a file of questions and says
what cannot.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.errors import UserError

Record = dict[str, Any]
TABULAR = (".csv", ".tsv", ".parquet")
# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LONGEST_ROW = 1000  # lines of a row of a CSV file
_BETWEEN = re.compile(r"[\s,]*")
_LOST_BYTE = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class Fault:
    """A question that cannot be read. where: file and line or place; why: what must hold."""

    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


class Placed(Record):
    """A record that knows where it stands: file and line, or place."""

    def __init__(self, record: Record, where: str) -> None:
        super().__init__(record)
        self.where = where


def encoding_of(start: bytes) -> str:
    """What the byte-order mark at the start says; without one UTF-16 where every second byte is zero, else UTF-8.

    >>> encoding_of(b"\\xff\\xfeS\\0"), encoding_of(b"S\\0E\\0"), encoding_of(b"SELECT")
    ('utf-16', 'utf-16-le', 'utf-8')
    """
    bare = {"1010": "utf-16-le", "0101": "utf-16-be"}.get("".join("01"[byte > 0] for byte in start[:4]))
    return next((name for mark, name in _MARKS if start.startswith(mark)), bare or "utf-8")


def read_text(path: Path) -> str:
    """The text, without a byte-order mark. UserError names the file and, in one that is not text, the byte."""
    data = _read_bytes(path)
    encoding = encoding_of(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding.upper().removesuffix("-SIG")
        raise UserError(f"{path} must be {name} text; byte {error.start} is not") from None


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None


def read_records(path: Path) -> list[Record]:
    """The objects of a file that holds a JSON list, or an object per line. UserError names file and line."""
    records = parse_json(read_text(path), path)
    if not all(isinstance(record, dict) for record in records):
        raise UserError(f"{path} must hold a list of JSON objects, one per question")
    if not records:
        raise UserError(f"{path} holds no questions")
    return records


def read_questions(path: Path) -> Iterator[Placed | Fault]:
    """The records of a file in its order, a Fault in the place of each that cannot be read.

    UserError when the file as a whole cannot be read.
    """
    if path.suffix.lower() == ".parquet":
        yield from _parquet(path)
        return
    text, whole = _lenient_text(path)
    found = _csv(text, path) if path.suffix.lower() in TABULAR else _json(text, path)
    for record in found:
        if isinstance(record, Fault) or whole or not (lost := _LOST_BYTE.search(repr_of(record))):
            yield record
        else:
            yield Fault(_place_of(lost.group(), text, path), f"byte 0x{ord(lost.group()) - 0xDC00:02x} is not UTF-8")


def repr_of(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False, default=str)


def _place_of(character: str, text: str, path: Path) -> str:
    return f"{path}, line {text.count(chr(10), 0, text.find(character)) + 1}"


def _lenient_text(path: Path) -> tuple[str, bool]:
    """The text, with a surrogate for each byte that is not of its encoding; and whether there is none."""
    try:
        return read_text(path), True
    except UserError:
        data = _read_bytes(path)
        if encoding_of(data) != "utf-8" or b"\0" in data[:1000]:
            raise
        return data.decode("utf-8", "surrogateescape"), False


def _json(text: str, path: Path) -> Iterator[Placed | Fault]:
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if _is_list(text, lines):
        try:
            values = parse_json(text, path)
        except UserError:
            found = list(_salvaged(text, path))
            if not any(isinstance(item, Placed) for item in found):
                raise
            yield from found
        else:
            yield from (_object(value, f"{path}, question {place}") for place, value in enumerate(values, 1))
        return
    for number, line in lines:
        try:
            yield _object(_parse(line, path, number), f"{path}, line {number}")
        except UserError as error:
            yield Fault(f"{path}, line {number}", str(error).partition(": ")[2])


def _salvaged(text: str, path: Path) -> Iterator[Placed | Fault]:
    """The objects of a list that is broken somewhere; one that cannot be read goes on until one stands where the first
    does in its line or, where all are on one line, until a comma between two brackets."""
    opening = re.match(r"\s*\[([\s,]*)", text)
    if opening is None:
        return
    _, own_line, indent = opening[1].rpartition("\n")
    again = re.compile(rf"^{indent}(?=\{{)", re.MULTILINE) if own_line else re.compile(r"\}\s*,\s*(?=\{)")
    place, decoder, lost = opening.end(), json.JSONDecoder(), False
    while place < len(text) and text[place] != "]":
        where = f"{path}, line {text.count(chr(10), 0, place) + 1}"
        try:
            value, end = decoder.raw_decode(text, place)
            yield _object(value, where)
        except (ValueError, RecursionError) as error:
            line = error.lineno if isinstance(error, json.JSONDecodeError) else text.count("\n", 0, place) + 1
            yield Fault(f"{path}, line {line}", f"malformed JSON ({getattr(error, 'msg', 'nested too deeply')})")
            found = again.search(text, place + 1)
            end, lost = (found.end(), False) if found else (len(text), True)
        place = _BETWEEN.match(text, end).end()  # type: ignore[union-attr]  # it matches nothing, too
    if not lost and text[place:].strip() != "]":
        yield Fault(f"{path}, line {text.count(chr(10), 0, place) + 1}", "the list must end here with a ]")


def _is_list(text: str, lines: list[tuple[int, str]]) -> bool:
    """Whether it is one JSON value, rather than one per line; of lines, one of the first few is whole."""
    return text.lstrip().startswith("[") or not any(line.startswith("{") and _is_json(line) for _, line in lines[:10])


def _object(value: Any, where: str) -> Placed | Fault:
    if isinstance(value, dict):
        return Placed(value, where)
    return Fault(where, f"must be a JSON object, got {json.dumps(value)[:80]}")


def _csv(text: str, path: Path) -> Iterator[Placed | Fault]:
    """Rows under a header line; the cells are parted by what occurs most in it: comma, semicolon, tab or bar."""
    csv.field_size_limit(2**31 - 1)
    lines = list(io.StringIO(text, newline=""))
    head = lines[0] if lines else ""
    delimiter = max(",;\t|", key=head.count)
    names, start = _row(lines, 0, delimiter)
    while start < len(lines):
        where = f"{path}, line {start + 1}"
        row, taken = _row(lines, start, delimiter)
        if len(row) == len(names):
            yield Placed(dict(zip(names, row, strict=True)), where)
        elif row:
            yield Fault(where, f"must have {len(names)} cells, has {len(row)}")
            taken = 1 if len(row) < len(names) else taken  # a quote that is not closed takes the lines below
        start += taken


def _row(lines: Sequence[str], start: int, delimiter: str) -> tuple[list[str], int]:
    """The cells of the row that begins at a line, and its lines; where quotes are not as they must be, of the line
    alone, which is one cell when a quote of it is not closed."""
    taken = (lines[n] for n in range(start, min(start + LONGEST_ROW, len(lines))))
    try:
        reader = csv.reader(taken, delimiter=delimiter, strict=True)
        return next(reader, []), max(1, reader.line_num)
    except csv.Error:
        reader = csv.reader([lines[start], ""], delimiter=delimiter)
        row = next(reader)
        return (row if reader.line_num == 1 else [lines[start]]), 1


def _parquet(path: Path) -> Iterator[Placed]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            rows = (row for batch in file.iter_batches() for row in batch.to_pylist())
            yield from (Placed(row, f"{path}, question {place}") for place, row in enumerate(rows, 1))
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path} must be a Parquet file: {str(error).splitlines()[0]}") from None


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
