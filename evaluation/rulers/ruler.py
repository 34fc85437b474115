"""A ruler: a number for a predicted query. A file of this folder names its own in RULERS; others come by reference."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.benchmarks import Example
from evaluation.databases.sandbox import Execution
from evaluation.errors import UserError
from evaluation.judge import Verdict
from graph.reference import is_reference, load

if TYPE_CHECKING:
    from evaluation.rulers.exact_match import MatchSchema


@dataclass(frozen=True)
class Judged:
    """A predicted query, and what is known of it.

    sql: as a reader may take it, "(too long)" where it is too long to be run. execution: as the official tools would
    have seen it. agrees: with gold on every database file of the folder, as Spider's test suite has it. shown_wrong:
    the first instance of the database on which an answer that is right on it is wrong.
    """

    example: Example
    sql: str
    verdict: Verdict
    gold: Execution
    execution: Execution
    schema: MatchSchema
    agrees: bool
    shown_wrong: str = ""


@dataclass(frozen=True)
class Ruler:
    """of: 0 to 1 for one prediction. share: every value is 0 or 1, so that the mean is a share, with an interval.
    asked: only where --ruler names it. total: of all verdict rows, where that is not the mean."""

    name: str
    of: Callable[[Judged], float]
    share: bool = True
    asked: bool = False
    total: Callable[[Sequence[dict[str, Any]]], float] | None = None


@cache
def known_rulers() -> dict[str, Ruler]:
    modules = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    found = [getattr(import_module(f"evaluation.rulers.{name}"), "RULERS", ()) for name in modules]
    return {ruler.name: ruler for rulers in found for ruler in rulers}


def chosen(names: Iterable[str] = ()) -> list[Ruler]:
    """Those that always measure, then these: a name, or "package.module:function" of a function of a Judged.

    UserError: no such ruler.
    """
    known = known_rulers()
    rulers = [ruler for ruler in known.values() if not ruler.asked]
    for name in names:
        if is_reference(name):
            rulers.append(_outside(name))
        elif name not in known:
            raise UserError(f'the ruler must be one of {", ".join(known)}, or "package.module:function", got {name!r}')
        elif known[name].asked:
            rulers.append(known[name])
    return rulers


def _outside(reference: str) -> Ruler:
    try:
        found = load(reference)
    except ValueError as error:
        raise UserError(f"the ruler {error}") from None
    return found if isinstance(found, Ruler) else Ruler(reference.rpartition(":")[2], found, share=False)
