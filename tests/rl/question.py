"""A question for tests that look at what became of it only."""

from evaluation.benchmarks import Example


def question(name: str = "q", database: str = "db") -> Example:
    return Example(name, database, "?", "", "SELECT 1", f"{database}.sqlite", "")
