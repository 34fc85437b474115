"""ex_strict and ex_any: the same answer as gold, by the project's own judge (`evaluation.judge`)."""

from evaluation.rulers.ruler import Ruler

RULERS = (
    Ruler("ex_strict", lambda judged: judged.verdict.ex_strict),
    Ruler("ex_any", lambda judged: judged.verdict.right),
)
