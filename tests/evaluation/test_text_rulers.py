import pytest

from evaluation.benchmarks import Example
from evaluation.databases.sandbox import Execution
from evaluation.judge import Verdict
from evaluation.rulers.exact_match import MatchSchema
from evaluation.rulers.ruler import Judged
from evaluation.rulers.text import bleu, corpus_bleu, rouge_l


def judged(gold: str, sql: str) -> Judged:
    example = Example("1", "shop", "?", "", gold, "/shop.sqlite", "")
    run = Execution("ok")
    return Judged(example, sql, Verdict("wrong", False, run), run, run, MatchSchema({}, {}), False)


def test_equal_queries_share_all_of_their_text_whatever_their_blanks() -> None:
    same = judged("SELECT a FROM t WHERE b = 1", "SELECT a\nFROM t  WHERE b = 1;")
    assert (bleu(same), rouge_l(same)) == (pytest.approx(1.0), 1.0)


def test_the_longest_common_subsequence_is_counted_in_words() -> None:
    # select … from t: 3 of 4 words on both sides
    assert rouge_l(judged("SELECT a FROM t", "SELECT b FROM t")) == pytest.approx(0.75)


def test_bleu_of_a_file_is_that_of_its_texts_together() -> None:
    rows = [{"gold": "SELECT a FROM t", "sql": "SELECT a FROM t"}, {"gold": "SELECT x , y FROM u", "sql": ""}]
    # all n-grams of what was predicted are right, and 4 words stand for 10: exp(1 - 10 / 4)
    assert corpus_bleu(rows) == pytest.approx(0.2231, abs=1e-4)
