"""Answers as JSON, for programs and for the page: the same keys from the terminal and from the API."""

from __future__ import annotations

from typing import Any

from evaluation.databases.sandbox import Execution
from evaluation.execute import json_cell
from evaluation.row_text import whole as text
from rl.asker import Answer, Asker, Candidate

_EXACT = 2**53  # beyond it a browser's numbers skip some


def answer(asker: Asker, found: Answer, database: str, evidence: str = "") -> dict[str, Any]:
    """{"sql", "columns", "rows", "truncated", "status", "error", "linked", "seconds", "policy"}; where several were
    drawn, "candidates" with what each did, "chosen", the place of the answer, and "confidence" where they voted."""
    row = {"sql": text(found.sql), **execution(found.execution)}
    row |= {"linked": asker.linked(found, database, evidence)}
    row |= {"seconds": round(found.seconds, 4), "policy": found.policy}
    if len(found.candidates) > 1:
        row |= {"candidates": [candidate(one) for one in found.candidates], "chosen": found.place}
    if found.confidence is not None:
        row["confidence"] = round(found.confidence, 4)
    return row


def execution(found: Execution) -> dict[str, Any]:
    """{"columns", "rows", "truncated", "status", "error"}."""
    return {
        "columns": [text(name) for name in found.columns],
        "rows": [[cell(value) for value in row] for row in found.rows],
        "truncated": found.truncated,
        "status": found.status,
        "error": text(found.error),
    }


def candidate(found: Candidate) -> dict[str, Any]:
    """Without its rows: those of the answer are enough to send."""
    assert found.execution is not None, "several candidates have run"
    told = {"status": found.execution.status, "error": text(found.execution.error)}
    return {"sql": text(found.sql), "log_prob": found.log_prob, **told}


def cell(value: Any) -> Any:
    """As `evaluation.execute` writes it; whole numbers beyond 2**53 as {"integer": "…"}.

    >>> cell(7), cell(2**60), cell(b"\\x00"), cell("a\\udcff")
    (7, {'integer': '1152921504606846976'}, {'hex': '00'}, 'a\ufffd')
    """
    if isinstance(value, int) and abs(value) > _EXACT:
        return {"integer": str(value)}
    return text(value) if isinstance(value, str) else json_cell(value)
