"""The verdict on a predicted query, for the reward and for the scorer alike."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal, Protocol, cast

from evaluation.benchmarks import Example
from evaluation.compare import Columns, all_tied, both_empty, is_tied, ranking_of, same_answer, same_bag
from evaluation.databases.effort import efficiency
from evaluation.databases.sandbox import Execution, Limits, Request, Sandbox
from evaluation.openness import Doubts, doubts
from evaluation.ordering import Ranking, chooses, is_distinct, keyed_query

VerdictStatus = Literal[
    "correct",  # the same answer as gold, with rows
    "empty_both",  # the same answer as gold, which is no row at all
    "reordered",  # the same answer as gold, with its columns in another order, where a judge looks for that
    "lucky",  # the same answer as gold, and another one on an instance of the database
    "wrong",
    "open",  # another answer than gold's, which is one of several that gold's own meaning allows: nothing can be said
    "no_sql",  # nothing was predicted
    "error",
    "refused",
    "timeout",
    "too_large",
    "crashed",
    "gold_failed",  # gold did not run, so nothing can be said about the prediction
]
Key = tuple[str, str]  # database path, gold SQL
Item = tuple[Example, str]  # a question and its predicted SQL


class Instances(Protocol):
    """Database path -> other databases of its schema: a dict, or what makes them when it is first asked."""

    def get(self, database: str, default: tuple[str, ...], /) -> Sequence[str]: ...


KEPT_CELLS = 4_000_000  # of gold results in a judge's memory; the least recently used go first
GOLD_PATIENCE = 10  # a gold query may take this many deadlines: it is trusted, and its failure loses the question


@dataclass(frozen=True)
class Verdict:
    """status; ex_strict: the same answer, columns in gold's order; execution: None when there was nothing to run.

    efficiency: `evaluation.databases.effort`, of a right answer where effort is measured; else 0.
    """

    status: VerdictStatus
    ex_strict: bool
    execution: Execution | None
    efficiency: float = 0.0

    @property
    def right(self) -> bool:
        """ex_strict, or ex_any for a judge that takes any order of columns."""
        return self.ex_strict or self.status == "reordered"


@dataclass(frozen=True)
class Gold:
    """A gold query's execution, and its rows with tie groups where they are ordered or cut.

    open: it may have returned something else as rightly, in ways that the ranking does not show.
    """

    execution: Execution
    ranking: Ranking | None
    open: bool = False


class Judge:
    """Two sandboxes, for predictions and for golds; gold results are kept, up to KEPT_CELLS, unless volatile.

    columns: "any" tells answers whose columns stand in another order than gold's from wrong ones. instances: of each
    database, by its path, others of the same schema on which a right answer must be right as well.
    """

    def __init__(
        self, limits: Limits | None = None, columns: Columns = "given", instances: Instances | None = None
    ) -> None:
        self.limits, self.columns, self.instances = limits or Limits(), columns, instances or {}
        self._sandbox = Sandbox(self.limits)
        self._gold_sandbox = Sandbox(replace(self.limits, deadline_s=GOLD_PATIENCE * self.limits.deadline_s))
        self._golds: OrderedDict[tuple[str, str], Gold] = OrderedDict()
        self._cells = 0

    def judge(self, items: Sequence[tuple[Example, str]]) -> list[Verdict]:
        """One Verdict per (example, predicted SQL), in order. Equal predictions of a question are judged once."""
        verdicts = self._judge(items)
        right = [place for place, found in enumerate(verdicts) if found.right and self.instances]
        shown = self.shown_wrong([items[place] for place in right], self.instances)
        for place in (place for place, instance in zip(right, shown, strict=True) if instance):
            verdicts[place] = Verdict("lucky", False, verdicts[place].execution)
        return verdicts

    def shown_wrong(self, items: Sequence[Item], instances: Instances) -> list[str]:
        """Of each answer that is right on its database, the first instance on which it is wrong; "" for none.

        An instance on which gold fails or is open tells nothing, nor one that ties rows between which gold must choose
        when the prediction returns all of them; but whatever a DISTINCT gold returns, no row is there twice. What is
        shown to be wrong runs on no further instance.
        """
        shown = [""] * len(items)
        files = [instances.get(example.database, ()) for example, _ in items]
        for number in range(max(map(len, files), default=0)):
            left = [
                (place, (replace(example, database=files[place][number]), sql))
                for place, (example, sql) in enumerate(items)
                if not shown[place] and number < len(files[place])
            ]
            for (place, (example, _)), found in zip(left, self._judge([item for _, item in left]), strict=True):
                if not (found.right or _is_undecided(example, found) or self._all_tied(example, found)):
                    shown[place] = example.database
        return shown

    def _all_tied(self, example: Example, found: Verdict) -> bool:
        """Whether a prediction returned every row that gold could have chosen."""
        gold = self.golds([example])[0]
        if found.status != "wrong" or found.execution is None or not is_tied(gold.execution, gold.ranking):
            return False
        return gold.ranking is not None and same_bag(all_tied(gold.ranking, gold.execution), found.execution.rows)

    def _judge(self, items: Sequence[Item]) -> list[Verdict]:
        golds = self.golds([example for example, _ in items])
        wanted = list(dict.fromkeys((example.database, sql) for example, sql in items if sql.strip()))
        executions = dict(zip(wanted, self._sandbox.execute(wanted), strict=True))
        verdicts: dict[tuple[str, str, str], Verdict] = {}
        for (example, sql), gold in zip(items, golds, strict=True):
            key = (example.database, example.gold_sql, sql)
            if key not in verdicts:
                ran = executions.get((example.database, sql))
                answered = abstention(ran) if not example.gold_sql else None
                verdicts[key] = answered or verdict(example.gold_sql, gold, ran, self.columns)
        return [verdicts[example.database, example.gold_sql, sql] for example, sql in items]

    def golds(self, examples: Sequence[Example]) -> list[Gold]:
        """The gold of each example, in order."""
        wanted = dict.fromkeys((example.database, example.gold_sql) for example in examples)
        known = {key: self._golds[key] for key in wanted if key in self._golds}
        fresh = self._run_golds([key for key in wanted if key not in known])
        self._keep(known, {key: gold for key, gold in fresh.items() if _lasting(gold)})
        known.update(fresh)
        return [known[example.database, example.gold_sql] for example in examples]

    def run(self, requests: Sequence[Request]) -> list[Execution]:
        """Executions of (database path, SQL) within the limits of predictions."""
        return self._sandbox.execute(requests)

    def run_trusted(self, requests: Sequence[Request]) -> list[Execution]:
        """Executions of (database path, SQL) with the patience of golds."""
        return self._gold_sandbox.execute(requests)

    def close(self) -> None:
        self._sandbox.close()
        self._gold_sandbox.close()

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _keep(self, known: Iterable[tuple[str, str]], fresh: dict[tuple[str, str], Gold]) -> None:
        for key in known:
            self._golds.move_to_end(key)
        self._golds.update(fresh)
        self._cells += sum(map(_cells, fresh.values()))
        while self._cells > KEPT_CELLS:
            self._cells -= _cells(self._golds.popitem(last=False)[1])

    def _run_golds(self, keys: Sequence[Key]) -> dict[Key, Gold]:
        golds = self._ranked(keys)
        doubtful = {key: doubts(key[1]) for key, gold in golds.items() if gold.execution.status == "ok"}
        inner = self._ranked(
            list(dict.fromkeys((key[0], sql) for key, doubt in doubtful.items() for sql in doubt.inner))
        )
        asked = list(dict.fromkeys((key[0], sql) for key, doubt in doubtful.items() for sql in doubt.probes))
        told = dict(zip(asked, self._gold_sandbox.execute(asked), strict=True))

        def is_open(key: Key, doubt: Doubts) -> bool:
            return (
                doubt.always
                or (golds[key].ranking is None and chooses(key[1]))
                or any(_chose(inner[key[0], sql]) for sql in doubt.inner)
                or any(told[key[0], sql].status != "ok" or bool(told[key[0], sql].rows) for sql in doubt.probes)
            )

        return golds | {key: replace(golds[key], open=is_open(key, doubt)) for key, doubt in doubtful.items()}

    def _ranked(self, keys: Sequence[Key]) -> dict[Key, Gold]:
        executions = dict(zip(keys, self._gold_sandbox.execute(keys), strict=True))
        queries = {key: query for key in keys if (query := keyed_query(key[1])) and executions[key].status == "ok"}
        requests = [(key[0], query.sql(len(executions[key].columns))) for key, query in queries.items()]
        shown = dict(zip(queries, self._gold_sandbox.execute(requests), strict=True))
        rankings = {key: ranking_of(query, shown[key], executions[key]) for key, query in queries.items()}
        return {key: Gold(executions[key], rankings.get(key)) for key in keys}


def _chose(inner: Gold) -> bool:
    """Whether a query inside a gold returned some of several tied rows, for all that is known."""
    return inner.execution.status != "ok" or inner.ranking is None or is_tied(inner.execution, inner.ranking)


def _is_undecided(example: Example, found: Verdict) -> bool:
    """Whether gold says nothing of an answer that differs from its own."""
    rows = found.execution.rows if found.execution else ()
    repeats = len(set(rows)) < len(rows) and is_distinct(example.gold_sql)
    return found.status == "gold_failed" or (found.status == "open" and not repeats)


def verdict(gold_sql: str, gold: Gold, execution: Execution | None, columns: Columns = "given") -> Verdict:
    """The verdict on an executed prediction; None stands for no prediction."""
    if gold.execution.status != "ok":
        return Verdict("gold_failed", False, execution)
    if execution is None:
        return Verdict("no_sql", False, None)
    if execution.status != "ok":
        return Verdict(cast(VerdictStatus, execution.status), False, execution)
    cheap = efficiency(gold.execution, execution)
    if same_answer(gold_sql, gold.execution, execution, gold.ranking):
        return Verdict("empty_both" if both_empty(gold.execution, execution) else "correct", True, execution, cheap)
    if columns == "any" and same_answer(gold_sql, gold.execution, execution, gold.ranking, "any"):
        return Verdict("reordered", False, execution, cheap)
    return Verdict("open" if gold.open else "wrong", False, execution)


def abstention(execution: Execution | None) -> Verdict:
    """The verdict where no query answers the question: right is to give none."""
    return Verdict("correct", True, None, 1.0) if execution is None else Verdict("wrong", False, execution)


def _cells(gold: Gold) -> int:
    """Cells held: of the answer, and of the same rows with their sort keys."""
    held = [gold.execution.rows, *((gold.ranking.rows, gold.ranking.keys) if gold.ranking else ())]
    return 20 + sum(len(rows) * len(rows[0]) for rows in held if rows)


def _lasting(gold: Gold) -> bool:
    return not gold.execution.volatile and gold.execution.status not in ("timeout", "crashed")
