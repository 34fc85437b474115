"""What DB-GPT-Hub and LLaMA-Factory train on: JSON of instruction, input, output, history, and dataset_info.json."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from evaluation.benchmarks.layout import Example, Layout, Source, Turn, Unreadable
from evaluation.benchmarks.with_schema import keep, make, parted, unmarked
from evaluation.text_files import Record, read_text

COLUMNS = {"prompt": "instruction", "query": "input", "response": "output", "history": "history"}
INFO = "dataset_info.json"
DEV, TEST = ("dev", "eval", "valid"), ("test",)


def read(record: Record, number: str, source: Source) -> list[Example]:
    """The schema and the question are taken out of the instruction and the input; the answer may go on from SELECT."""
    names = COLUMNS | columns(source.file)
    prompt, asked, answer = (record.get(names[part]) or "" for part in ("prompt", "query", "response"))
    if not all(isinstance(part, str) for part in (prompt, asked, answer)) or not prompt or not answer:
        raise Unreadable(f"{names['prompt']!r} and {names['response']!r} must be texts, it has {', '.join(record)}")
    statements, question, _ = parted(f"{prompt}\n{asked}" if "CREATE TABLE" in asked.upper() else prompt)
    question = question or unmarked(asked)
    if not question:
        raise Unreadable("the question must stand in the input, or at the end of the instruction as a comment")
    begun = prompt.rstrip().upper().endswith("\nSELECT") and not answer.lstrip().upper().startswith(("SELECT", "WITH"))
    turns = tuple(Turn(unmarked(str(q)), str(a)) for q, a in record.get(names["history"]) or ())
    sql = f"SELECT {answer}" if begun else answer
    return [Example(number, keep(statements), question, "", sql.strip(), "", "", turns)]


@lru_cache(maxsize=8)
def columns(file: Path) -> dict[str, str]:
    """The names of the columns, where dataset_info.json says other ones for this file."""
    listed = (entry.get("columns") for entry in info(file.parent).values() if entry.get("file_name") == file.name)
    found = next((names for names in listed if isinstance(names, dict)), {})
    return {part: name for part, name in found.items() if isinstance(name, str)}


def info(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads(read_text(folder / INFO)) if (folder / INFO).is_file() else {}
    except ValueError:
        return {}
    return {name: entry for name, entry in found.items() if isinstance(entry, dict)} if isinstance(found, dict) else {}


def files(data: Path, split: str) -> list[Path]:
    """By the words in their names; of a set in one shot and without, that without."""
    listed = {str(entry.get("file_name")) for entry in info(data).values() if not entry.get("ranking")}
    there = sorted(path for path in data.glob("*.json*") if path.name in listed or "text2sql" in path.name)
    return [path for path in there if path.name != INFO and split_of(path.stem) == split]


def split_of(stem: str) -> str:
    words = stem.lower()
    shot = "one_shot_" * ("one_shot" in words)
    return shot + ("test" if any(w in words for w in TEST) else "dev" if any(w in words for w in DEV) else "train")


LAYOUT = Layout(
    "DB-GPT-Hub and LLaMA-Factory: instruction, input, output, history",
    splits={f"{shot}{split}": ("*text2sql*.json",) for shot in ("", "one_shot_") for split in ("train", "dev", "test")},
    files=files,
    read=read,
    make=make,
    licence="that of its sources",
    source="https://github.com/eosphoros-ai/DB-GPT-Hub",
)
