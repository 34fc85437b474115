"""What the charts of a run show, as plain values: each says in one sentence what it means.

A chart is {"kind": "chart", "title", "says", "x", "y", "percent", "series": [{"name", "points": [[x, y]], "band":
[[x, low, high]]}]}; with "stack" its series are areas on top of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from evaluation.metrics import wilson_interval

Row = Mapping[str, Any]
Block = dict[str, Any]


def chart(title: str, says: str, y: str, series: Iterable[Block], x: str = "step", **more: Any) -> list[Block]:
    """In a list, which is empty when no series has a point."""
    drawn = [one for one in series if one["points"]]
    return [{"kind": "chart", "title": title, "says": says, "x": x, "y": y, "series": drawn, **more}] if drawn else []


def line(name: str, rows: Sequence[Row], value: str | Callable[[Row], Any], **more: Any) -> Block:
    """The values of a key by step; rows where it is no number are left out."""
    read = (lambda row: row.get(value)) if isinstance(value, str) else value
    points = [[row["step"], found] for row in rows if _is_number(found := read(row))]
    return {"name": name, "points": points, **more}


def sft_charts(rows: Sequence[Row], dev: Sequence[Row]) -> list[Block]:
    """Of metrics.jsonl and dev.jsonl."""
    blocks = chart(
        "Loss", "How surprised the model is by the gold answers; flat means that nothing more is learned.",
        "nats per answer token", [line("loss", rows, "loss")], zero=True,
    )  # fmt: skip
    blocks += chart(
        "Tokens guessed right", "Share of the gold answers' tokens that the model would have written itself.",
        "share of tokens", [line("tokens", rows, "token_accuracy")], percent=True,
    )  # fmt: skip
    scored = [row for row in dev if _is_number(row.get("n"))]
    shares = [
        line("ex_strict", scored, "ex_strict", band=band(scored, "ex_strict", "n")),
        line("em_spider", scored, "em_spider"),
    ]
    blocks += chart(
        "Right on dev", "Greedy answers to dev questions, with Wilson's 95 % interval; the best step is kept.",
        "share of questions", shares, percent=True,
    )  # fmt: skip
    blocks += chart(
        "Gradient norm", "How hard each update pulls, before clipping; a jump is a batch unlike the others.",
        "norm", [line("gradient norm", rows, "grad_norm")], zero=True,
    )  # fmt: skip
    return blocks + chart(
        "Speed", "Tokens learned per second.", "tokens per second", [line("tokens per second", rows, "tokens_per_s")],
        zero=True,
    )  # fmt: skip


def band(rows: Sequence[Row], key: str, n: str | int) -> list[list[float]]:
    """[step, low, high] by Wilson; n: how many questions, or the key that says it."""
    found = []
    for row in rows:
        share, count = row.get(key), row.get(n) if isinstance(n, str) else n
        if (
            share is not None
            and count is not None
            and _is_number(share)
            and _is_number(count)
            and count > 0
            and 0 <= share <= 1
        ):
            found.append([row["step"], *wilson_interval(share * count, count)])
    return found


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and value == value
        and abs(value) != float("inf")
    )
