"""Counters of the server, in Prometheus' text form."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """waiting: questions that wait for the engine now; tokens: all that it has sampled."""

    def __init__(self, waiting: Callable[[], float], tokens: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "rollsql_requests", "Requests by path and status", ["path", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "rollsql_request_seconds", "Seconds of a request by path", ["path"], registry=self._registry
        )
        self.queries = Counter(
            "rollsql_queries", "Queries executed, by what became of them", ["status"], registry=self._registry
        )
        Gauge("rollsql_waiting", "Questions that wait for the engine", registry=self._registry).set_function(waiting)
        Gauge("rollsql_sampled_tokens", "Tokens sampled so far", registry=self._registry).set_function(tokens)

    def text(self) -> bytes:
        return generate_latest(self._registry)
