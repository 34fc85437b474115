"""A finished run that is started again says so at once: this imports nothing slow.

finished.json holds what a run was asked for when it ended well: its settings, its data, and a digest of the adapter
that it began with.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

FILE = "finished.json"


def is_finished(config: Any, data: Path | None) -> bool:
    """Whether the run has done just this, and has its report; then it is said on the screen. config: of sft.train or
    rl.train."""
    run_dir, path = config.run.path, config.run.path / FILE
    if config.run.overwrite or not path.is_file() or not (run_dir / "report").is_dir():
        return False
    try:
        stored = json.loads(path.read_text())
    except ValueError:
        return False
    if stored != asked(config, data):
        return False
    say(run_dir)
    return True


def say(run_dir: Path) -> None:
    print(
        f"{run_dir} is finished: nothing to do; its report is {run_dir / 'report'} (run.overwrite=true trains it again)"
    )


def mark(config: Any, data: Path | None) -> None:
    """The run has ended well; the last thing that it writes."""
    partial = config.run.path / f".{FILE}"
    partial.write_text(json.dumps(asked(config, data), indent=1) + "\n")
    partial.replace(config.run.path / FILE)


def unmark(run_dir: Path) -> None:
    """The run goes on."""
    (run_dir / FILE).unlink(missing_ok=True)


def asked(config: Any, data: Path | None) -> dict[str, Any]:
    settings = config.model_dump(mode="json", exclude={"run": {"overwrite", "report_to"}})
    start = digest(Path(config.init_adapter)) if config.init_adapter else ""
    return {"settings": settings, "data": str(data.resolve()) if data else "", "start": start}


def digest(directory: Path) -> str:
    """Of the files of an adapter; "" when there are none."""
    files = [path for path in sorted(directory.glob("adapter_*")) if path.is_file()]
    found = hashlib.sha256()
    for path in files:
        found.update(f"{path.name}\0".encode() + path.read_bytes())
    return found.hexdigest() if files else ""
