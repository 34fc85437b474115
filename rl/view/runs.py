"""Run directories: where they are, what one is, and how it stands."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evaluation import console
from rl.view.files import Problems, changed, is_locked, number, read_json, read_rows
from sft import finished

Kind = Literal["rl", "sft", "ablation"]
DEEPEST = 5  # levels of folders below a root that are searched
SILENT_S = 900.0
"""A run that is not known to be locked, because it is on another machine, runs while it has written this lately."""
WRITTEN = ("metrics.jsonl", "dev.jsonl", console.FILE, "rollouts", "evaluations", "checkpoints", finished.FILE)


@dataclass(frozen=True)
class Place:
    """slug: its name in addresses, of letters, digits and ._~- only; name: as a person would say it."""

    slug: str
    name: str
    path: Path
    kind: Kind


def places(roots: Sequence[Path]) -> dict[str, Place]:
    """Every run and ablation in the roots, by slug; a root may be a run itself."""
    found: dict[str, Place] = {}
    for root in roots:
        for path, kind in _walk(root, DEEPEST):
            name = path.relative_to(root).as_posix() if path != root else path.resolve().name
            slug = base = re.sub(r"[^A-Za-z0-9._~-]", "_", name.replace("/", "~"))
            again = 2
            while slug in found:
                slug, again = f"{base}~{again}", again + 1
            found[slug] = Place(slug, name, path, kind)
    return found


def _walk(folder: Path, levels: int) -> list[tuple[Path, Kind]]:
    """Run directories at or below a folder; runs do not lie inside runs, but inside ablations they do."""
    kind = kind_of(folder)
    here: list[tuple[Path, Kind]] = [(folder, kind)] if kind else []
    if kind in ("rl", "sft") or levels == 0:
        return here
    try:
        with os.scandir(folder) as entries:
            inside = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return here
    return here + [one for name in inside for one in _walk(folder / name, levels - 1)]


def kind_of(folder: Path) -> Kind | None:
    """What a folder is, by the files in it alone."""
    if (folder / "report" / "ablation.json").is_file():
        return "ablation"
    if (folder / "rollouts").is_dir():
        return "rl"
    if not any((folder / name).is_file() for name in ("config.json", "metrics.jsonl")):
        return None
    config = read_json(folder / "config.json", [])
    rows = read_rows(folder / "metrics.jsonl", [])
    if "rollout" in config or any("reward" in row for row in rows[:1]):
        return "rl"
    return "sft" if "train" in config or any("loss" in row for row in rows[:1]) else None


def status(path: Path) -> str:
    """finished, running or stopped."""
    if (path / finished.FILE).is_file():
        return "finished"
    newest = max(changed(path / name) for name in WRITTEN)
    if is_locked(path / ".lock") or (not Path("/proc/locks").exists() and time.time() - newest < SILENT_S):
        return "running"
    return "stopped"


def stamp(path: Path) -> str:
    """Changes whenever the run has written something that a view shows."""
    parts = []
    for name in WRITTEN:
        try:
            found = (path / name).stat()
        except OSError:
            continue
        parts.append(f"{found.st_mtime_ns:x}.{found.st_size:x}")
    return "-".join(parts)


def summary(place: Place) -> dict[str, Any]:
    """A row of the table of runs."""
    problems: Problems = []
    path = place.path
    config = read_json(path / "config.json", problems)
    row: dict[str, Any] = {
        "slug": place.slug,
        "name": place.name,
        "kind": place.kind,
        "status": status(path),
        "changed": max(changed(path / name) for name in WRITTEN),
    }
    if place.kind == "ablation":
        found = read_json(path / "report" / "ablation.json", problems)
        variants = list(
            dict.fromkeys(str(one.get("variant")) for one in found.get("rows", []) if isinstance(one, dict))
        )
        return row | {"status": "finished", "algorithm": f"{len(variants)} variants", "problems": problems}
    rows, dev = (read_rows(path / name, problems) for name in ("metrics.jsonl", "dev.jsonl"))
    shown = "correct" if place.kind == "rl" else "loss"
    spark = [number(one.get(shown)) for one in rows]
    return row | {
        "step": rows[-1]["step"] if rows else 0,
        "steps": config.get("steps") if place.kind == "rl" else None,
        "model": _get(config, "model", "path"),
        "data": _get(config, "data", "benchmark"),
        "algorithm": _algorithm(config, place.kind),
        "best": best_dev(path, dev, problems),
        "spark": spark[:: max(1, len(spark) // 100)],
        "spark_of": shown,
        "problems": problems,
    }


def best_dev(path: Path, dev: Sequence[dict[str, Any]], problems: Problems) -> float | None:
    """The best share of right greedy answers, of the whole dev evaluation where there is one."""
    shares = [read_json(path / "evaluations" / f"{name}.json", problems).get("ex_strict") for name in ("sft", "rl")]
    known = [value for share in shares if (value := number(share)) is not None]
    known = known or [value for row in dev if (value := number(row.get("ex_strict"))) is not None]
    return max(known, default=None)


def _algorithm(config: dict[str, Any], kind: Kind) -> str:
    """In the words of the settings."""
    if kind == "sft":
        return f"SFT, {_get(config, 'train', 'mode') or '?'}"
    named = config.get("algorithm") or _get(config, "rollout", "advantage") or "?"
    return named if isinstance(named, str) else str(named.get("name", "?") if isinstance(named, dict) else named)


def _get(config: dict[str, Any], section: str, key: str) -> Any:
    found = config.get(section)
    return found.get(key) if isinstance(found, dict) else None
