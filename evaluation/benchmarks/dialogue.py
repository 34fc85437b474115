"""Dialogues as SParC, CoSQL and CHASE publish them: a turn is a question, and the turns before it are its history."""

from __future__ import annotations

from evaluation.benchmarks.layout import Example, Source, Turn, Unreadable, check_db_id, first, text
from evaluation.text_files import Record


def read(record: Record, number: str, source: Source) -> list[Example]:
    """{"database_id", "interaction": [{"utterance", "query"}, …]}; ids are that of the dialogue and the turn's number.

    A turn without a query (CoSQL has turns that are no question) is part of no history.
    """
    turns = record.get("interaction")
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise Unreadable(f"'interaction' must be a list of turns, got {turns!r:.80}; it has {', '.join(record)}")
    db_id, found, history = check_db_id(first(record, ("database_id", "db_id"))), [], tuple[Turn, ...]()
    for place, turn in enumerate(turns):
        if not turn.get("query"):
            continue
        question, sql = text(turn, ("utterance", "question")), text(turn, "query")
        found.append(Example(f"{number}-{place}", db_id, question, "", sql, "", "", history))
        history = (*history, Turn(question, sql))
    return found
