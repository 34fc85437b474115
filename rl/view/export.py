"""The viewer as files: every page of every run, to be opened from a disk or put on any web server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from evaluation.console import Count
from evaluation.score import write_whole
from rl.view.files import as_json
from rl.view.pages import Pages
from rl.view.runs import Place, places
from rl.view.server import STATIC, files

EXPORTED = "window.rollsql = { exported: true, mode: {} };\n"
_FIRST = '<script src="dom.js">'


def export(roots: Sequence[Path], out: Path, data: Path | None = None) -> Path:
    """Writes out/index.html and what it loads; returns it. Golds and answers are executed once more, in the sandbox."""
    pages = Pages(roots, data, patience_s=float("inf"))
    try:
        for name, path in files().items():
            shutil.copyfile(path, out / name)
        (out / "exported.js").write_text(EXPORTED, encoding="utf-8")
        index = (STATIC / "index.html").read_text(encoding="utf-8")
        write_whole(out / "index.html", index.replace(_FIRST, f'<script src="exported.js"></script>\n{_FIRST}'))
        _write(out, pages, "runs")
        for place in places(roots).values():
            _export_run(out, pages, place)
    finally:
        pages.close()
    return out / "index.html"


def _export_run(out: Path, pages: Pages, place: Place) -> None:
    run = f"runs/{place.slug}"
    if place.kind == "ablation":
        _write(out, pages, f"{run}/ablation")
        return
    for split in ("train", "dev") if place.kind == "rl" else ():
        pages.databases.known(place.path, split, wait=True)
    for address in (run, f"{run}/log", f"{run}/questions", f"{run}/dev"):
        _write(out, pages, address)
    index, _ = pages.index(place)
    for step in [*index.steps, *index.damaged]:
        _write(out, pages, f"{run}/steps/{step}")
    for first in (index.history(number)[0] for number in range(len(index.questions))):
        _write(out, pages, f"{run}/questions/{first.step}/{first.number}")
    groups = {step: len(found) for step, found in index.steps.items()}
    answered = list(_answered(run, groups, len(pages.get(f"{run}/dev").get("rows", []))))
    count = Count(f"exporting {place.name}", len(answered), "questions")
    for done, address in enumerate(answered, start=1):
        _write(out, pages, address)
        count(done)


def _answered(run: str, groups: Mapping[int, int], dev: int) -> Iterator[str]:
    """Addresses of pages with answers. groups: how many each step has; dev: how many dev questions there are."""
    for step, count in groups.items():
        yield from (f"{run}/steps/{step}/groups/{number}" for number in range(count))
    yield from (f"{run}/dev/{number}" for number in range(dev))


def _write(out: Path, pages: Pages, address: str) -> None:
    """A page as a script, and in it those that it asks for at once: schema, and rows of each answer."""
    page = pages.get(address)
    asked = [f"rows/{number}" for number in range(len(page["answers"]))] + ["schema"] if "answers" in page else []
    found = {address: page} | {f"{address}/{name}": pages.get(f"{address}/{name}") for name in asked}
    path = out / "data" / f"{address}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"rollsql.put({as_json(name)},{as_json(one)});\n" for name, one in found.items()))
