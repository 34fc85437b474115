"""Several engines as one sampler that survives the loss of any of them.

Every question of a step goes to one engine, next to others about the same database, whose schema it shares in the
prefix cache. An engine that dies, or does not answer in time, is started again, given the policy versions in use, and
asked again for what it owed: same questions, same seeds, same batch, so the same samples (on a GPU, whose
batches do not repeat bit for bit, samples of the same policy).
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.actor import Handle, Pending
from cluster.lives import Lives
from sft.config import ModelConfig
from sft.policy.base import PolicyVersion, served_base
from sft.policy.generator import Generator, GeneratorConfig
from sft.policy.sampling import Sample, Sampling

SLICE_S = 0.5  # an engine answers at least this often while it samples, so that other calls get in between
AHEAD = 2  # calls queued at an engine, so that it never waits for the driver
Seen = Callable[[int], None]
"""Hears how many answers are there."""
Awaited = Callable[[], Any]
"""Waits for an answer that is on its way."""


class SamplesMissing(RuntimeError):
    """An engine returned another number of samples than it was asked for."""


class ServedGenerator(Generator):
    """A `Generator` of the base that the learner trains on, de-quantised where this actor runs."""

    def __init__(self, model: ModelConfig, **settings: Any) -> None:
        served = str(served_base(model))
        super().__init__(GeneratorConfig(model=served, dtype=model.dtype, max_model_len=model.max_length, **settings))

    def take_timed(self, ticket: str, within_s: float) -> tuple[list[list[Sample]], float]:
        """`take`, and the seconds that it took here."""
        before = self.stats.seconds
        return self.take(ticket, within_s), self.stats.seconds - before


class Engine:
    """One engine actor that comes back when it is lost, serving what it served."""

    def __init__(self, handle: Handle, timeout_s: float, keep: int) -> None:
        """keep: policy versions that the engine serves at once."""
        self.handle, self.keep = handle, keep
        self.lives = Lives([handle], timeout_s, self._serve_again)
        self._versions: dict[int, PolicyVersion] = {}
        self._warm_up: tuple[Any, ...] | None = None

    def ready(self) -> None:
        """Waits until it is up."""
        self.lives.begin()

    def load(self, version: PolicyVersion) -> Awaited:
        """Serve this version, too, in this life and in later ones."""
        self._versions[version.step] = version
        for old in list(self._versions)[: -self.keep]:
            del self._versions[old]
        return self.lives.later("load", version)

    def score(self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], step: int) -> Awaited:
        """Log-probabilities; a later life of the engine begins with the same call, so that it caches the same."""
        self._warm_up = (prompts, completions, step)
        return self.lives.later("score", prompts, completions, step)

    def _serve_again(self) -> None:
        for version in self._versions.values():
            self.handle.call("load", version).result(self.lives.timeout_s)
        if self._warm_up and self._warm_up[-1] in self._versions:
            self.handle.call("score", *self._warm_up).result(self.lives.timeout_s)


@dataclass(frozen=True)
class Request:
    """Prompts of one step; numbers: of each among all of the step, from which its seed follows. alone: as
    `Generator.submit` has it."""

    prompts: Sequence[list[int]]
    sampling: Sampling
    step: int | None
    numbers: Sequence[int]
    alone: bool = False


class Ticket:
    """What one engine owes: the samples of a request, in order."""

    _names = itertools.count()

    def __init__(self, engine: Engine, request: Request) -> None:
        self.engine, self.request = engine, request
        self.taken, self.seconds = 0, 0.0
        self._begin()

    def _begin(self) -> None:
        """Hand the whole request to this life of the engine."""
        request, self.life, self._again = self.request, self.engine.lives.count, self.taken
        self.name = f"ticket {next(Ticket._names)}"
        args = (self.name, request.prompts, request.sampling, request.step, request.numbers, request.alone)
        self._submitted: Pending | None = self.engine.handle.call("submit", *args)
        self._asked: deque[Pending] = deque()

    def more(self) -> list[list[Sample]]:
        """The next samples that are there; may be none yet."""
        return self.engine.lives.guarded(self._more)

    def _more(self) -> list[list[Sample]]:
        engine, timeout_s = self.engine, self.engine.lives.timeout_s
        if self.life != engine.lives.count:
            self._begin()
        while len(self._asked) < AHEAD:
            self._asked.append(engine.handle.call("take_timed", self.name, SLICE_S))
        if self._submitted is not None:
            self._submitted.result(timeout_s)
            self._submitted = None
        found, seconds = self._asked.popleft().result(timeout_s)
        self.seconds += seconds
        known = min(self._again, len(found))  # of an earlier life: handed out already
        self._again -= known
        fresh = found[known:]
        if any(len(samples) != self.request.sampling.n for samples in fresh):
            counts = sorted({len(samples) for samples in fresh})
            raise SamplesMissing(
                f"{engine.handle.name} must return {self.request.sampling.n} samples per prompt, got {counts}"
            )
        self.taken += len(fresh)
        return fresh


class Engines:
    """All engines, as one sampler."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.engines = list(engines)

    def load(self, version: PolicyVersion) -> None:
        """Every engine serves this version when it returns."""
        for loaded in [engine.load(version) for engine in self.engines]:
            loaded()

    def score(
        self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], step: int
    ) -> list[Awaited]:
        """Per engine, a function that waits for the log-probabilities of each completion."""
        return [engine.score(prompts, completions, step) for engine in self.engines]

    def sample(
        self,
        prompts: Sequence[list[int]],
        databases: Sequence[str],
        sampling: Sampling,
        step: int | None,
        parts: int,
        alone: bool = False,
    ) -> Iterator[tuple[list[tuple[int, list[Sample]]], float]]:
        """(number of the prompt, its samples) of all prompts, in `parts` parts, each as soon as it is whole, and the
        seconds more that the busiest engine has sampled since the part before.

        What is in a part depends on the arguments and the number of engines alone. alone: the samples are the same
        whatever else is asked of the engines.
        """
        shares = divide([len(prompt) for prompt in prompts], databases, len(self.engines))
        pairs = [(engine, share) for engine, share in zip(self.engines, shares, strict=True) if share]
        tickets = [
            Ticket(engine, Request([prompts[i] for i in share], sampling, step, share, alone))
            for engine, share in pairs
        ]
        found: list[list[list[Sample]]] = [[] for _ in tickets]
        told = 0.0
        for part in range(parts):
            numbered: list[tuple[int, list[Sample]]] = []
            for ticket, samples, (_, share) in zip(tickets, found, pairs, strict=True):
                first, end = len(share) * part // parts, len(share) * (part + 1) // parts
                while len(samples) < end:
                    samples += ticket.more()
                numbered += zip(share[first:end], samples[first:end], strict=True)
            if numbered:
                busiest = max(ticket.seconds for ticket in tickets)
                yield sorted(numbered, key=lambda pair: pair[0]), busiest - told
                told = busiest

    @property
    def restarts(self) -> int:
        return sum(engine.lives.count for engine in self.engines)


def divide(lengths: Sequence[int], databases: Sequence[str], shares: int) -> list[list[int]]:
    """Numbers of the prompts for each share: about as many tokens each, the prompts of a database side by side.

    >>> divide([10, 10, 10, 10], ["b", "a", "b", "a"], 2)
    [[1, 3], [0, 2]]
    """
    order = sorted(range(len(lengths)), key=lambda i: (databases[i], i)) if shares > 1 else range(len(lengths))
    total, before = sum(lengths), 0
    found: list[list[int]] = [[] for _ in range(shares)]
    for i in order:
        found[min(shares - 1, (2 * before + lengths[i]) * shares // max(1, 2 * total))].append(i)
        before += lengths[i]
    return [sorted(share) for share in found]
