"""Every page of the viewer as plain values, by its address: the server sends them, the export writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rl.view.ablation import ablation_page
from rl.view.databases import Databases
from rl.view.dev import asked_of, dev_page, dev_question
from rl.view.rollouts import Damaged, Index
from rl.view.run import log_page, run_page
from rl.view.runs import Place, places, stamp, summary
from rl.view.steps import (
    MOST_ANSWERS,
    Missing,
    answers_of,
    group_page,
    luck_page,
    question_page,
    questions_page,
    rows_page,
    schema_page,
    step_page,
)

INDEX_S = 0.4
"""Of one page, for samples that were not read before; a page says how many steps it knows."""
Page = dict[str, Any]


class Pages:
    """The runs below `roots`. data: the folder of their benchmark, where they do not name it themselves."""

    def __init__(self, roots: Sequence[Path], data: Path | None = None, patience_s: float = INDEX_S) -> None:
        self.roots, self.patience_s = [Path(root) for root in roots], patience_s
        self.databases = Databases(data)
        self._indexes: dict[Path, Index] = {}
        run, step, group = r"runs/([^/]+)", r"steps/(\d{1,9})", r"groups/(\d{1,6})"
        self._routes: list[tuple[re.Pattern[str], Callable[..., Page]]] = [
            (re.compile(pattern), page)
            for pattern, page in (
                ("runs", self._runs),
                (run, self._run),
                (f"{run}/stamp", lambda slug: {"stamp": stamp(self.place(slug).path)}),
                (f"{run}/log", lambda slug: log_page(self.place(slug))),
                (f"{run}/ablation", lambda slug: ablation_page(self.place(slug))),
                (f"{run}/{step}", self._step),
                (f"{run}/{step}/luck", self._luck),
                (f"{run}/{step}/{group}", self._group),
                (f"{run}/{step}/{group}/schema", self._group_schema),
                (rf"{run}/{step}/{group}/rows/(\d{{1,6}})", self._group_rows),
                (f"{run}/questions", self._questions),
                (rf"{run}/questions/(\d{{1,9}})/(\d{{1,6}})", self._question),
                (f"{run}/dev", lambda slug: dev_page(self.place(slug), self.databases)),
                (rf"{run}/dev/(\d{{1,9}})", lambda slug, n: dev_question(self.place(slug), int(n), self.databases)),
                (rf"{run}/dev/(\d{{1,9}})/schema", self._dev_schema),
                (rf"{run}/dev/(\d{{1,9}})/rows/(\d{{1,6}})", self._dev_rows),
            )
        ]

    def get(self, address: str) -> Page:
        """The page at an address such as runs/tiny-rl/steps/3. Missing: there is none. A file that is damaged makes a
        page that says so, under "damaged"."""
        for pattern, page in self._routes:
            if match := pattern.fullmatch(address):
                try:
                    return page(*match.groups())
                except Damaged as error:
                    return {"damaged": str(error)}
        raise Missing(f"there is no page {address}")

    def place(self, slug: str) -> Place:
        found = places(self.roots).get(slug)
        if found is None:
            raise Missing(f"there is no run {slug} in {', '.join(map(str, self.roots))}")
        return found

    def index(self, place: Place) -> tuple[Index, list[int]]:
        """The index of a run's samples, and [steps known, steps there]."""
        index = self._indexes.setdefault(place.path, Index(place.path))
        return index, list(index.update(self.patience_s))

    def close(self) -> None:
        self.databases.close()

    def _runs(self) -> Page:
        return {"runs": [summary(place) for place in places(self.roots).values()]}

    def _run(self, slug: str) -> Page:
        return run_page(self.place(slug))

    def _step(self, slug: str, step: str) -> Page:
        place = self.place(slug)
        index, indexed = self.index(place)
        if int(step) not in index.steps and int(step) not in index.damaged:
            index.add(int(step))
        return step_page(place, index, int(step), self.databases) | {"indexed": indexed}

    def _luck(self, slug: str, step: str) -> Page:
        place, index = self._at(slug, step)
        return luck_page(place, index, int(step), self.databases)

    def _group(self, slug: str, step: str, group: str) -> Page:
        place, index = self._at(slug, step)
        return group_page(place, index, int(step), int(group), self.databases)

    def _group_rows(self, slug: str, step: str, group: str, answer: str) -> Page:
        place, index = self._at(slug, step)
        question, answers = answers_of(place, index, int(step), int(group))
        if int(answer) >= len(answers):
            raise Missing(f"group {group} of step {step} has no answer {answer}")
        return rows_page(place, "train", question, *answers[int(answer)], self.databases)

    def _group_schema(self, slug: str, step: str, group: str) -> Page:
        place, index = self._at(slug, step)
        question, answers = answers_of(place, index, int(step), int(group))
        return schema_page(place, "train", question, [sql for sql, _ in answers[:MOST_ANSWERS]], self.databases)

    def _questions(self, slug: str) -> Page:
        place = self.place(slug)
        index, indexed = self.index(place)
        if indexed[0] < indexed[1]:  # half of the questions would be no answer
            return {"questions": [], "opening": False, "indexed": indexed}
        return questions_page(place, index, self.databases) | {"indexed": indexed}

    def _question(self, slug: str, step: str, group: str) -> Page:
        place, index = self._at(slug, step)
        indexed = list(index.update(0.0))
        return question_page(place, index, int(step), int(group), self.databases) | {"indexed": indexed}

    def _dev_rows(self, slug: str, number: str, answer: str) -> Page:
        place = self.place(slug)
        question, stages = asked_of(place, int(number))
        rows = list(stages.values())
        if int(answer) >= len(rows):
            raise Missing(f"dev question {number} has no answer {answer}")
        row = rows[int(answer)]
        sql, status = str(row.get("sql", "")), str(row.get("status", ""))
        return rows_page(place, "dev", question, sql, status, self.databases)

    def _dev_schema(self, slug: str, number: str) -> Page:
        place = self.place(slug)
        question, stages = asked_of(place, int(number))
        queries = [str(row.get("sql", "")) for row in stages.values()]
        return schema_page(place, "dev", question, queries, self.databases)

    def _at(self, slug: str, step: str) -> tuple[Place, Index]:
        place = self.place(slug)
        index, _ = self.index(place)
        if int(step) not in index.steps and int(step) not in index.damaged:
            index.add(int(step))
        return place, index
