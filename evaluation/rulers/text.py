"""bleu and rouge_l: how much the texts of gold and prediction have in common, as DB-GPT-Hub and LLaMA-Factory report.

By sacrebleu and rouge-score, on the query as one line. They say nothing of what a query answers: beside execution only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from evaluation.rulers.ruler import Judged, Ruler


def bleu(judged: Judged) -> float:
    """Sentence BLEU of one query, in 0..1."""
    import sacrebleu

    return sacrebleu.sentence_bleu(line(judged.sql), [line(judged.example.gold_sql)]).score / 100


def corpus_bleu(rows: Sequence[dict[str, Any]]) -> float:
    """BLEU of all queries as one text, in 0..1, which is not the mean over queries."""
    import sacrebleu

    return sacrebleu.corpus_bleu([line(row["sql"]) for row in rows], [[line(row["gold"]) for row in rows]]).score / 100


def rouge_l(judged: Judged) -> float:
    """F-measure of the longest common subsequence of words."""
    return scorer().score(line(judged.example.gold_sql), line(judged.sql))["rougeL"].fmeasure


@cache
def scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"])


def line(sql: str) -> str:
    return " ".join(sql.split()).rstrip("; ")


RULERS = (
    Ruler("bleu", bleu, share=False, asked=True, total=corpus_bleu),
    Ruler("rouge_l", rouge_l, share=False, asked=True),
)
