"""The databases behind a run, where they are at hand: hardness of questions, schemas, rows. Opened behind the page."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from evaluation.benchmarks import Example, load_split
from evaluation.databases.sandbox import Limits
from evaluation.errors import UserError
from evaluation.instances.folder import Cached
from evaluation.judge import Gold as GoldAnswer
from evaluation.judge import Judge, Verdict
from graph.introspect import schema_from_sqlite
from graph.schema import SchemaError
from graph.values import sample_values
from graph.writer import PromptStyle, PromptWriter
from rl.view.files import read_json
from sft import finished

INSTANCES = 3  # of a database, on which answers are tried that are right on it
Key = tuple[str, str, str]  # benchmark, split, data directory


class Databases:
    """Questions by id of the benchmarks that runs name, and one judge for all that is executed again.

    data: the benchmark's folder, where it is not the one that a finished run names.
    """

    def __init__(self, data: Path | None = None) -> None:
        self.data = data
        self._found: dict[Key, dict[str, Example] | str] = {}
        self._reading: dict[Key, threading.Thread] = {}
        self._lock, self._judging = threading.Lock(), threading.Lock()
        self._judge = Judge(Limits())
        self._instances = Cached(INSTANCES)

    def known(self, run: Path, split: str, wait: bool = False) -> Mapping[str, Example]:
        """The examples of a run's benchmark by id; while they are read, none, unless `wait`."""
        key = self._key(run, split)
        with self._lock:
            if key not in self._found and key not in self._reading:
                self._reading[key] = threading.Thread(target=self._read, args=(key,), daemon=True)
                self._reading[key].start()
        if wait and key not in self._found:
            self._reading[key].join()
        found = self._found.get(key, {})
        return {} if isinstance(found, str) else found

    def opening(self, run: Path, split: str) -> bool:
        """Whether `known` will know more in a moment."""
        return self._key(run, split) not in self._found

    def why_not(self, run: Path, split: str) -> str:
        """Why a question's database is not at hand."""
        found = self._found.get(self._key(run, split))
        return found if isinstance(found, str) else "this question is not in the benchmark's files"

    def judged(self, example: Example, sql: str) -> tuple[GoldAnswer, Verdict]:
        """Gold and answer executed again, in the sandbox."""
        with self._judging:
            verdict = self._judge.judge([(example, sql)])[0]
            return self._judge.golds([example])[0], verdict

    def lucky(self, items: Sequence[tuple[Example, str]]) -> list[bool]:
        """Of each answer that is right on its database, whether it is wrong on an instance of it."""
        with self._judging:
            return [bool(shown) for shown in self._judge.shown_wrong(items, self._instances)]

    def close(self) -> None:
        with self._judging:
            self._judge.close()

    def _key(self, run: Path, split: str) -> Key:
        config = read_json(run / "config.json", [])
        benchmark = config.get("data", {}).get("benchmark") if isinstance(config.get("data"), dict) else None
        named = read_json(run / finished.FILE, []).get("data", "")
        return str(benchmark), split, str(self.data or named or "")

    def _read(self, key: Key) -> None:
        benchmark, split, data = key
        try:
            examples = load_split(benchmark, split, Path(data) if data else None).examples
            self._found[key] = {example.id: example for example in examples}
        except (UserError, OSError) as error:
            self._found[key] = str(error)


@lru_cache(maxsize=64)
def writer_of(database: str, _state: Any) -> PromptWriter:
    """Schema, graph and linker of a database; `_state`: what changes with the file. SchemaError: cannot be read."""
    schema = schema_from_sqlite(Path(database))
    return PromptWriter(schema, PromptStyle.parse("compact+graph"), sample_values(Path(database), schema))


def writer(database: str) -> PromptWriter:
    try:
        found = Path(database).stat()
    except OSError as error:
        raise SchemaError(f"the database {database} cannot be read: {error.strerror}") from None
    return writer_of(database, (found.st_mtime_ns, found.st_size))
