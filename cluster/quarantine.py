"""The items that killed workers, on file: a JSON line each, honoured by every later pool that reads the file.

{"key": "dev/17", "reason": "judge-1.judge overran 30 s and was ended", "when": "2026-…", "worker": "judge-1"}
"""

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path

from cluster.errors import ClusterError

log = logging.getLogger(__name__)


class Quarantine:
    """Keys that are never sent to a worker again. Several pools may append to one file."""

    def __init__(self, path: Path) -> None:
        """Reads the file where it exists.

        Raises:
            ClusterError: a line that is no entry, unless it is a torn last one: a driver died while it wrote that.
        """
        self.path = path
        text = path.read_text() if path.is_file() else ""
        whole, _, self._torn = text.rpartition("\n")
        if self._torn:
            log.warning("%s ends in a torn line, which is left out: %.80r", path, self._torn)
        self._keys = {self._read(line, number) for number, line in enumerate(whole.split("\n"), 1) if line.strip()}

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: str, reason: str, worker: str) -> None:
        """Records one item; one write, so that lines of several pools do not mix."""
        self._keys.add(key)
        entry = {
            "key": key,
            "reason": reason,
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "worker": worker,
        }
        line = ("\n" if self._torn else "") + json.dumps(entry, ensure_ascii=False) + "\n"
        self._torn = ""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)

    def _read(self, line: str, number: int) -> str:
        try:
            return str(json.loads(line)["key"])
        except (ValueError, KeyError, TypeError):
            raise ClusterError(
                f'{self.path}:{number}: a quarantine file must hold one JSON object with a "key" per line, got '
                f"{line[:80]!r}. Mend or delete that line, or name another file."
            ) from None
