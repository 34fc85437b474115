"""What an adapter has been through, in the words of reports: "SFT", "SFT + RL", …"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CARD = "rollsql.json"
NEW, GIVEN = "new adapter", "given adapter"


def trained(adapter: str | Path) -> str:
    """By its card, or for one without by the run that it lies in; NEW for "" and GIVEN when nothing is known."""
    if not str(adapter):
        return NEW
    if said := _read(Path(adapter) / CARD).get("trained"):
        return str(said)
    config = _read(Path(adapter).parent / "config.json")
    if "rollout" in config:
        return then(trained(config.get("init_adapter", "")), "RL")
    return "SFT" if "train" in config else GIVEN


def shots(adapter: str | Path | None) -> int:
    """How many solved examples the prompts had that it was trained with, by its card."""
    return int(_read(Path(adapter) / CARD).get("shots", 0)) if adapter else 0


def then(before: str, stage: str) -> str:
    """
    >>> then("SFT", "RL"), then(NEW, "RL")
    ('SFT + RL', 'RL')
    """
    return stage if before == NEW else f"{before} + {stage}"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
