"""What a folder of a dataset holds: questions by split, databases, golds that run, and all that was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from evaluation.benchmarks import Example, Split, known_layouts, load_split, present_splits
from evaluation.benchmarks.find import fits
from evaluation.databases.sandbox import Limits, Sandbox
from evaluation.errors import UserError
from evaluation.ordering import parse
from graph.introspect import is_declared

CHUNK, SAMPLES, DEADLINE_S = 64, 3, 30.0


def inventory(benchmark: str, data: Path | None, limit: int = 0, workers: int = 1) -> dict[str, Any]:
    """{"splits": questions per split, "questions", "databases", "executed", "failed", "parsed", "hardness", "problems",
    "samples"}.

    A question that stands in several splits of one file counts once in "questions" and what follows. executed: golds
    that ran where there are rows, failed: those that did not; parsed: by sqlglot; limit: of the first so many only.
    """
    found = loaded_splits(benchmark, data)
    questions = {pair for split in found.values() for pair in zip(split.files, split.questions, strict=True)}
    examples = {
        (split.files[place], e.id): e
        for split in found.values()
        for place, e in zip(split.positions, split.examples, strict=True)
    }
    golds = [e for e in examples.values() if e.gold_sql]
    executable = [e for e in golds if not is_declared(e.database)]
    statuses = run(executable[: limit or None], workers)
    lost = Counter[str]()
    for split in found.values():
        missing = split.dropped - split.not_carried
        lost += Counter({"unreadable": len(split.faults), "no_database": missing, "not_carried": split.not_carried})
    without = sum(is_declared(e.database) for e in golds)
    lost += Counter({"no_rows": without, "abstain": len(examples) - len(golds)})
    return {
        "splits": {split: loaded.total for split, loaded in found.items()},
        "questions": len(questions),
        "databases": len({e.database for e in examples.values()}),
        "executed": sum(status == "ok" for status in statuses),
        "failed": sum(status != "ok" for status in statuses),
        "parsed": sum(parse(e.gold_sql) is not None for e in golds[: limit or None]),
        "hardness": dict(Counter(e.hardness for e in examples.values() if e.hardness).most_common(8)),
        "problems": dict(lost),
        "samples": [sample(e) for e in list(examples.values())[:: max(1, len(examples) // SAMPLES)][:SAMPLES]],
    }


def loaded_splits(benchmark: str, data: Path | None) -> dict[str, Split]:
    """The splits whose files are there and hold questions. UserError when there are none."""
    splits = present_splits(benchmark, data)
    if not splits:
        load_split(benchmark, "dev", data)  # says what is missing
    found = {split: loaded for split in splits if (loaded := _load(benchmark, split, data))}
    if not found:
        load_split(benchmark, splits[0], data, rows=False)
    return found


def own_questions(benchmark: str, data: Path | None) -> dict[str, list[Example]]:
    """Split -> its questions; one that stands in several splits of the same files is the first one's."""
    known: set[tuple[Path, str]] = set()
    found = {}
    for name, split in loaded_splits(benchmark, data).items():
        placed = [(split.files[place], e) for place, e in zip(split.positions, split.examples, strict=True)]
        found[name] = [e for file, e in placed if (file, e.id) not in known]
        known |= {(file, e.id) for file, e in placed}
    return {name: examples for name, examples in found.items() if examples}


def sample(example: Example) -> dict[str, str]:
    return {"id": example.id, "db_id": example.db_id, "question": example.question, "sql": example.gold_sql}


def run(examples: Sequence[Example], workers: int = 1) -> list[str]:
    """The status of each gold, in order."""
    requests = [(e.database, e.gold_sql) for e in examples]
    chunks = [requests[start : start + CHUNK] for start in range(0, len(requests), CHUNK)]

    def work(share: Sequence[Sequence[tuple[str, str]]]) -> list[list[str]]:
        sandbox = Sandbox(Limits(deadline_s=DEADLINE_S))
        try:
            return [[execution.status for execution in sandbox.execute(chunk)] for chunk in share]
        finally:
            sandbox.close()

    with ThreadPoolExecutor(workers) as pool:
        done = list(pool.map(work, [chunks[k::workers] for k in range(workers)]))
    return [status for place in range(len(chunks)) for status in done[place % workers][place // workers]]


def found_in(folder: Path) -> dict[str, list[Path]]:
    """Which layouts can read the folder, or folders up to two levels below it."""
    inner = [path for depth in ("*", "*/*") for path in sorted(folder.glob(depth)) if path.is_dir()]
    found: dict[str, list[Path]] = {}
    for path in [folder, *inner[:500]]:
        if not any(child.is_file() for child in path.iterdir()):
            continue
        for name, layout in known_layouts().items():
            if layout.bundled is None and fits(layout, path, outer=False):
                found.setdefault(name, []).append(path)
    return found


def _load(benchmark: str, split: str, data: Path | None) -> Split | None:
    """None where no question of these files is in the split."""
    try:
        return load_split(benchmark, split, data, rows=False)
    except UserError as error:
        if "holds no questions" in str(error):
            return None
        raise
