"""Learner ranks as one learner that survives the loss of any of them.

What is done since the newest saved state is kept as a list of calls. When a rank is lost, all are started again from
that state and the calls are made once more: the same numbers on a CPU, on a GPU the same up to rounding.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.actor import REPORT_EVERY_S, Handle, Pending
from cluster.errors import LOST
from cluster.lives import Lives
from rl.packing import packed_length, side_by_side
from rl.types import Episode, Group
from sft.policy.base import PolicyVersion

log = logging.getLogger(__name__)

SAME_NORM = 1e-3
"""Relative difference of the norms of one gradient on GPUs of different models, at most."""
_POLL_S, _FETCH_S = 0.005, 5.0


@dataclass(frozen=True)
class _Call:
    """A call that changes the weights or the gradient: its arguments for each rank."""

    method: str
    step: int
    args: Sequence[tuple[Any, ...]]


class Learners:
    """The learner ranks. A step is `add` for each part of its groups, then `finish`."""

    def __init__(self, handles: Sequence[Handle], timeout_s: float, learns_all: bool = False) -> None:
        """learns_all: groups without gradient of the surrogate are learned from, too."""
        self.handles, self.timeout_s, self.learns_all = list(handles), timeout_s, learns_all
        self.lives = Lives(handles, timeout_s, self._as_before)
        self._saved: dict[str, bytes] | None = None
        self._saving: tuple[int, Pending] | None = None
        self._since: list[_Call] = []
        self._pending: list[Pending] = []
        self.lives.begin()

    @property
    def restarts(self) -> int:
        return self.lives.count

    def notice(self) -> str:
        """What the learners have to say about the model; "" when nothing."""
        said: str = self.lives.guarded(lambda: self._one("notice"))
        return said

    def add(self, groups: Sequence[Group], step: int) -> None:
        """Groups of the step, shared out among the ranks; returns before they are learned from."""
        self.lives.guarded(self._settle)
        shares = share_out(groups, len(self.handles), self.learns_all)
        self._since.append(_Call("add", step, [(share,) for share in shares]))
        self._pending += self._send(self._since[-1])

    def finish(self, step: int) -> dict[str, float]:
        """The step's update, when all that was added has been learned from; its metrics."""
        call = _Call("finish", step, [(step,)] * len(self.handles))
        metrics = self.lives.guarded(lambda: self._finish(call))
        self._since.append(call)
        return metrics

    def publish(self, step: int) -> PolicyVersion:
        """The adapter after `step`. The state follows while others work."""
        return self.lives.guarded(lambda: self._publish(step))

    def score(
        self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]
    ) -> Callable[[], list[list[float]]]:
        """Queues the call now; what is returned waits for the log-probabilities of the first rank."""
        return self.lives.later("score", prompts, completions)

    def rate(self, groups: Sequence[Sequence[Episode]]) -> list[list[float]]:
        """Scores of the reward model, by the first rank; safe beside whatever else is asked of it."""
        found: list[list[float]] = self.lives.later("rate", groups)()
        return found

    def state(self) -> dict[str, bytes]:
        """What a resumed run needs, after the newest step."""
        self.lives.guarded(self._settle)
        if self._saved is None or self._since:
            self._saved, self._since = self.lives.guarded(lambda: self._one("state")), []
        return self._saved

    def restore(self, files: dict[str, bytes]) -> None:
        """Go on from a saved state."""
        self._saved, self._saving, self._since = files, None, []
        self.lives.guarded(lambda: _gather(self.lives.all("restore", files), self.timeout_s))

    def _finish(self, call: _Call) -> dict[str, float]:
        _gather(self._pending, self.timeout_s)
        self._pending = []
        metrics: list[dict[str, float]] = _gather(self._send(call), self.timeout_s)
        norms = [one["grad_norm"] for one in metrics]
        if not same_step(norms):
            raise RuntimeError(f"step {call.step}: the learner ranks must take the same step, got gradients of {norms}")
        return metrics[0]

    def _publish(self, step: int) -> PolicyVersion:
        pending = self.handles[0].call("publish", step)
        self._saving = (step, self.handles[0].call("state"))
        version: PolicyVersion = pending.result(self.timeout_s)
        return version

    def _settle(self) -> None:
        """Wait for the state that is on its way: from then on, nothing before it is needed again."""
        if self._saving is None:
            return
        step, pending = self._saving
        self._saved = pending.result(self.timeout_s)
        self._since = [call for call in self._since if call.step > step]
        self._saving = None

    def _as_before(self) -> None:
        """What makes a new life the old one: the newest state, then the calls since."""
        self._saving, self._pending = None, []
        self._join()
        if self._saved is not None:
            _gather(self.lives.all("restore", self._saved), self.timeout_s)
        for call in self._since:
            _gather(self._send(call), self.timeout_s)

    def _join(self) -> None:
        if (size := len(self.handles)) > 1:
            address = self._one("meeting_point")
            _gather([handle.call("join", address, r, size) for r, handle in enumerate(self.handles)], self.timeout_s)

    def _send(self, call: _Call) -> list[Pending]:
        return [handle.call(call.method, *args) for handle, args in zip(self.handles, call.args, strict=True)]

    def _one(self, method: str, *args: Any) -> Any:
        return self.handles[0].call(method, *args).result(self.timeout_s)


def _gather(pending: Sequence[Pending], timeout_s: float) -> list[Any]:
    """All answers. A rank that was lost leaves the others waiting or failing: its loss is what is raised, at once."""
    if len(pending) == 1:
        return [pending[0].result(timeout_s)]
    began = said = time.monotonic()
    answers, failed = dict[Pending, Any](), list[Exception]()
    while len(answers) < len(pending):
        for one in pending:
            if one not in answers and (one.done() or time.monotonic() - began > timeout_s):
                try:
                    answers[one] = one.result(_FETCH_S)
                except LOST:
                    raise
                except Exception as error:  # of this rank, or of a neighbour that it misses
                    answers[one] = None
                    failed.append(error)
        if time.monotonic() - said > REPORT_EVERY_S:
            said = time.monotonic()
            names = ", ".join(one.what for one in pending if one not in answers)
            log.info("waiting %.0f s for %s, deadline %.0f s", said - began, names, timeout_s)
        time.sleep(_POLL_S)
    if failed:
        raise failed[0]
    return [answers[one] for one in pending]


def same_step(norms: Sequence[float]) -> bool:
    """Whether these norms, of one gradient on every rank, differ by no more than the order of summation explains."""
    return max(norms) - min(norms) <= SAME_NORM * max(norms)


def share_out(groups: Sequence[Group], ranks: int, learns_all: bool = False) -> list[list[Group]]:
    """Each group to the rank with the fewest tokens so far, the longest first, those of one database together as far as
    that is fair; what is not learned from costs nothing. The same groups give the same shares."""
    if ranks == 1:
        return [list(groups)]
    learned = [group for group in groups if learns_all or group.has_gradient]
    fair = sum(packed_length([group.episodes]) for group in learned) // ranks
    rows = [(packed_length([group.episodes for group in row]), row) for row in side_by_side(learned, fair)]
    shares: list[list[Group]] = [[] for _ in range(ranks)]
    loads = [0] * ranks
    for cost, row in sorted(rows, key=lambda pair: -pair[0]):
        rank = loads.index(min(loads))
        shares[rank] += row
        loads[rank] += cost
    for group in groups:
        if not (learns_all or group.has_gradient):
            min(shares, key=len).append(group)
    return shares
