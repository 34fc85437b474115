"""ex_instances: ex_strict, on the database and on every instance of it (`evaluation.instances`)."""

from __future__ import annotations

from evaluation.rulers.ruler import Ruler

RULERS = (Ruler("ex_instances", lambda judged: float(judged.verdict.ex_strict and not judged.shown_wrong), asked=True),)
