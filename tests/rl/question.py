"""A question for tests that look at what became of it only."""

from evaluation.benchmarks import Example


def question(name: str = "q") -> Example:
    return Example(name, "db", "?", "", "SELECT 1", "db.sqlite", "")
