"""What a run has taken, by part, over all its invocations: seconds.json."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from evaluation.score import write_whole
from rl.config import RlConfig


class Clock:
    """Seconds that all invocations of a run have taken, kept in its directory: those of one that is killed up to its
    last `stamp`."""

    FILE = "seconds.json"

    def __init__(self, run_dir: Path, began: float) -> None:
        """began: when this invocation did, by time.perf_counter."""
        self.path, self.began = run_dir / self.FILE, began
        self.known = json.loads(self.path.read_text()) if self.path.exists() else {}

    def stamp(self) -> float:
        """Writes and returns the seconds up to now."""
        total = self.known.get("driver", 0.0) + time.perf_counter() - self.began
        write_whole(self.path, json.dumps({**self.known, "driver": total}, indent=1))
        return float(total)



def write_seconds(config: RlConfig, clock: Clock) -> None:
    """Seconds by part; what no part accounts for is "other": starting, checking, saving."""
    directory = config.run.path
    metrics, dev = _rows(directory / "metrics.jsonl"), _rows(directory / "dev.jsonl")
    evaluations = [json.loads(path.read_text()) for path in (directory / "evaluations").glob("*.json")]
    driver = clock.stamp()
    seconds = {
        "sft": _of_the_warm_up(config),
        "rl": sum(row["seconds"]["step"] for row in metrics),
        "evaluation": sum(row.get("seconds", 0.0) for row in [*evaluations, *dev]),
    }
    seconds["other"] = max(0.0, driver + seconds["sft"] - sum(seconds.values()))
    write_whole(clock.path, json.dumps({**seconds, "driver": driver, "total": sum(seconds.values())}, indent=1))


def keep_warm_up(config: RlConfig) -> None:
    """The warm-up's metrics beside ours, for the report, where they are known."""
    if source := _warm_up(config):
        write_whole(config.run.path / "sft_metrics.jsonl", source.read_text())


def _of_the_warm_up(config: RlConfig) -> float:
    """0 when it is not known, or there was none."""
    source = _warm_up(config)
    summary = source.parent / "report" / "summary.json" if source else None
    return sum(json.loads(summary.read_text())["seconds"].values()) if summary and summary.exists() else 0.0


def _warm_up(config: RlConfig) -> Path | None:
    """metrics.jsonl of the SFT that made init_adapter."""
    source = Path(config.sft_metrics or Path(config.init_adapter).parent / "metrics.jsonl")
    known = config.init_adapter and source.exists() and not any("reward" in row for row in _rows(source))
    return source if known else None


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
