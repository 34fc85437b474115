"""A page of blocks as one HTML file that needs nothing else: its style, its scripts and its figures are inside."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

STATIC = Path(__file__).with_name("static")
SCRIPTS = ("dom.js", "charts.js", "blocks.js")
_START = """
const { title, blocks } = JSON.parse(document.getElementById("figures").textContent);
document.getElementById("main").append(rollsql.h("h1", {}, rollsql.text(title)), ...rollsql.blocks(blocks));
"""


def document(title: str, blocks: Sequence[dict[str, Any]]) -> str:
    """The HTML. No text of a run can leave its place: figures are JSON without "<", and only our scripts may run."""
    style = (STATIC / "style.css").read_text(encoding="utf-8")
    script = "\n".join([*((STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS), _START])
    figures = json.dumps({"title": title, "blocks": _finite(list(blocks))}).replace("<", "\\u003c")
    policy = f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; base-uri 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<main id="main"></main>\n<script type="application/json" id="figures">{figures}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _finite(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value
