"""The best of many candidates: those that return the same vote together, on the database and on instances of it.

    candidates → canonical text (equal ones are one, with counts) → what each returns → groups → the largest one

Errors do not vote, empty results do. Equal groups: the more probable one, then the one with the greedy answer, then
fewer tables, then the shorter text. The share of the votes is the confidence. After self-consistency (Wang et al. 2022,
arXiv 2203.11171), with results in place of texts.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol, get_args

from sqlglot import exp

from evaluation.command import at_least, positive, share
from evaluation.databases.sandbox import Execution, Request
from evaluation.errors import UserError
from evaluation.judge import Instances
from evaluation.ordering import is_ordered, parse
from sft.policy.sampling import Sampling

Signature = tuple[Any, ...]
Select = Literal["greedy", "vote", "vote_instances"]
SELECTS: tuple[Select, ...] = get_args(Select)
INSTANCES = 4
MOST_REPAIRS = 15


@dataclass(frozen=True)
class Selection:
    """How an answer is found. candidates: the greedy answer, and one sample less at `temperature`; abstain_below: the
    least confidence of an answer; repairs: how often one that fails or returns nothing may be written again; revise:
    whether the model sees the answers of the two largest groups, and answers once more."""

    candidates: int = 1
    select: Select = "greedy"
    abstain_below: float = 0.0
    temperature: float = 1.0
    seed: int = 0
    repairs: int = 0
    revise: bool = False

    def __post_init__(self) -> None:
        if self.select != "greedy" and self.candidates < 2:
            raise UserError(f"select {self.select} needs at least 2 candidates to choose among, got {self.candidates}")
        if self.select == "greedy" and self.revise:
            raise UserError("a revision needs select vote or vote_instances: it shows the two largest groups")
        if self.select == "greedy" and self.abstain_below:
            raise UserError("abstaining needs select vote or vote_instances: a greedy answer has no confidence")

    def why_not(self, confidence: float | None) -> str:
        """What is said in place of an answer of which too few candidates are; "" for an answer."""
        if confidence is None or confidence >= self.abstain_below:
            return ""
        return f"no answer: the confidence is {confidence:.2f}, and {self.abstain_below:.2f} is asked for"

    def drawn(self, max_tokens: int) -> list[Sampling]:
        """What is sampled beside the greedy answer: nothing, or all the others at once."""
        others = self.candidates - 1
        return [Sampling(others, self.temperature, max_tokens, self.seed)] if others else []


GREEDY = Selection()


def add_options(parser: argparse.ArgumentParser) -> None:
    """The same words wherever an answer is chosen; `selection` reads them."""
    parser.add_argument("--candidates", type=at_least(1), metavar="N", help="choose among the greedy and N - 1 samples")
    parser.add_argument("--select", choices=SELECTS, default=SELECTS[0], help="how to choose (default greedy)")
    parser.add_argument("--instances", type=at_least(1), metavar="K", help=f"of vote_instances (default {INSTANCES})")
    parser.add_argument("--abstain-below", type=share, metavar="C", help="no answer where the confidence is below this")
    parser.add_argument("--repair", type=_repairs, default=0, metavar="R", help="rewrite failing answers up to R times")
    parser.add_argument("--revise", action="store_true", help="the model sees the two largest groups, and decides")
    parser.add_argument("--temperature", type=positive, help="of the samples; 1.0 when not given")


def _repairs(text: str) -> int:
    """The type of --repair: the turns that an episode of `RunAndRepair` has, less the first."""
    if not text.isdecimal() or int(text) > MOST_REPAIRS:
        raise argparse.ArgumentTypeError(f"it must be a whole number from 0 to {MOST_REPAIRS}, got {text!r}")
    return int(text)


def selection(args: argparse.Namespace) -> Selection:
    """Of the options. UserError for what makes no sense together."""
    if args.instances is not None and args.select != "vote_instances":
        raise UserError(f"--instances needs --select vote_instances, got --select {args.select}")
    if args.temperature is not None and not vars(args).get("samples") and (args.candidates or 1) < 2:
        raise UserError("--temperature is of samples, and none is drawn: give --candidates of at least 2")
    return Selection(
        args.candidates or 1,
        args.select,
        args.abstain_below or 0.0,
        args.temperature or 1.0,
        args.seed,
        args.repair,
        args.revise,
    )


class Answered(Protocol):
    """What is asked of a candidate: `rl.asker.Candidate` is one. log_prob: of all its tokens."""

    @property
    def sql(self) -> str: ...
    @property
    def log_prob(self) -> float: ...
    @property
    def tokens(self) -> int: ...


@dataclass(frozen=True)
class Chosen:
    """place: of the candidate that is the answer. confidence: the share of all candidates that vote for it; 0 when it
    was not voted for by what it returns. second: the place of the second largest group's answer, -1 for none."""

    place: int
    confidence: float
    second: int = -1


NO_SQL = Execution("error", error="the model's answer holds no SQL")


@lru_cache(maxsize=50_000)
def canonical(sql: str) -> str:
    """Texts that differ in blanks, case of keywords or quotes of names are one.

    >>> canonical("select a FROM t  where b='x' ;") == canonical('SELECT a FROM t WHERE b = \\'x\\'')
    True
    """
    tree = parse(sql.strip().rstrip(";"))
    return " ".join(sql.split()) if tree is None else tree.sql("sqlite", comments=False)


def signature(sql: str, executions: Sequence[Execution]) -> Signature | None:
    """What a query returns on each database, the first being the question's own; None when it fails there.

    Rows are a bag, or a list where the query orders them; numbers are rounded to nine digits.
    """
    if executions[0].status != "ok":
        return None
    ordered = is_ordered(sql)
    return tuple(_result(execution, ordered) for execution in executions)


def _result(execution: Execution, ordered: bool) -> Any:
    if execution.status != "ok":
        return execution.status
    rows = [tuple(map(_cell, row)) for row in execution.rows]
    return (len(execution.columns), tuple(rows) if ordered else frozenset(Counter(rows).items()))


def _cell(value: Any) -> Any:
    """1 and 1.0 are one value; text and bytes are none of a number's."""
    if isinstance(value, float) and math.isfinite(value):
        rounded = float(f"{value:.9g}")
        return int(rounded) if rounded.is_integer() else rounded
    return (type(value).__name__, value) if isinstance(value, (str, bytes)) else value


def choose(candidates: Sequence[Answered], signatures: Sequence[Signature | None]) -> Chosen:
    """The candidate to answer with; the first one is greedy, and the answer where nothing else tells.

    Where no candidate runs, the text that most of them share.
    """
    voting = [place for place, found in enumerate(signatures) if found is not None and candidates[place].sql.strip()]
    if not voting:
        return Chosen(_best_of([p for p, c in enumerate(candidates) if c.sql.strip()] or [0], candidates), 0.0)
    groups: dict[Signature, list[int]] = {}
    for place in voting:
        groups.setdefault(signatures[place] or (), []).append(place)
    winner, *others = sorted(groups.values(), key=lambda group: _rank(group, candidates), reverse=True)
    second = _best_of(others[0], candidates) if others else -1
    return Chosen(_best_of(winner, candidates), len(winner) / len(candidates), second)


def _best_of(places: Sequence[int], candidates: Sequence[Answered]) -> int:
    """The first of the candidates whose text most share, by the same order of ties."""
    texts: dict[str, list[int]] = {}
    for place in places:
        texts.setdefault(canonical(candidates[place].sql), []).append(place)
    groups = list(texts.values())
    return max(groups, key=lambda group: _rank(group, candidates))[0]


def _rank(group: Sequence[int], candidates: Sequence[Answered]) -> tuple[Any, ...]:
    """Larger is better: votes, probability, holds the greedy one, fewer tables, shorter, the text itself.

    A text counts once with its probability per token, however often it was drawn: that is what the votes are for.
    """
    texts = {canonical(candidates[place].sql): place for place in reversed(group)}
    likely = sum(math.exp(candidates[p].log_prob / max(1, candidates[p].tokens)) for p in sorted(texts.values()))
    first = min(texts, key=lambda text: (_tables(text), len(text), text))
    return (
        len(group),
        round(likely, 9),
        0 in group,
        -_tables(first),
        -len(first),
        [-ord(character) for character in first],
    )


@lru_cache(maxsize=50_000)
def _tables(sql: str) -> int:
    tree = parse(sql)
    return len(list(tree.find_all(exp.Table))) if tree else 1000


class Selector:
    """Runs candidates on the question's database, for vote_instances also on instances of it, and chooses.

    execute: `Sandbox.execute`, under the limits of evaluation, wherever the answer is shown.
    """

    def __init__(self, execute: Callable[[Sequence[Request]], list[Execution]], instances: Instances | None = None):
        self._execute, self._instances = execute, instances or {}

    def choose(self, database: str, candidates: Sequence[Answered], select: Select) -> tuple[Chosen, list[Execution]]:
        """The place of the answer, and what each candidate does on the database itself."""
        others = self._instances.get(database, ()) if select == "vote_instances" else ()
        queries = list(dict.fromkeys(one.sql for one in candidates if one.sql.strip()))
        requests = [(file, sql) for sql in queries for file in (database, *others)]
        runs = dict(zip(requests, self._execute(requests), strict=True))
        told = {sql: signature(sql, [runs[file, sql] for file in (database, *others)]) for sql in queries}
        executions = [runs.get((database, one.sql), NO_SQL) for one in candidates]
        if select == "greedy":
            return Chosen(0, 0.0), executions
        return choose(candidates, [told.get(one.sql) for one in candidates]), executions


def threshold(confidences: Sequence[float], right: Sequence[bool], wanted: float) -> float:
    """The least confidence from which on the answers of a split are right as often as wanted; above 1 when none is.

    >>> threshold([0.9, 0.6, 0.4, 0.2], [True, True, False, False], 0.9)
    0.6
    """
    best = math.nextafter(1.0, 2.0)
    for least in sorted(set(confidences), reverse=True):
        kept = [good for confidence, good in zip(confidences, right, strict=True) if confidence >= least]
        if sum(kept) >= wanted * len(kept):
            best = least
    return best
