"""What people say of answers, kept as training rows: {"db_id", "question", "sql"} lines of the benchmark layout `own`.

A thumb up keeps the answer's query, a correction the corrected one, once it has run; a thumb down alone goes to a file
of its own beside it, since it is no gold.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any, Literal

from rl.serve.databases import Full, NotOffered

Verdict = Literal["up", "down"]
MOST_BYTES = 64 * 2**20


class Feedback:
    """file: where rows go, made with the first one; None: none is kept."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self._lock = threading.Lock()

    def keep(self, row: dict[str, Any], verdict: Verdict) -> str:
        """Appends a row; the name of its file. Full when the file has grown too large."""
        if self.file is None:
            raise NotOffered("this server keeps no feedback: start it with --feedback FILE")
        down = verdict == "down" and not row["corrected"]
        target = self.file.with_name(f"{self.file.stem}.down{self.file.suffix}") if down else self.file
        line = json.dumps({**row, "verdict": verdict, "at": time.strftime("%Y-%m-%dT%H:%M:%S")}, ensure_ascii=False)
        with self._lock:
            if target.exists() and target.stat().st_size + len(line) > MOST_BYTES:
                raise Full(f"the feedback has reached {MOST_BYTES // 2**20} MiB, and no more is kept")
            with target.open("a", encoding="utf-8", errors="replace") as out:
                out.write(line + "\n")
        return target.name
