"""The report as one page: its figures, and that nothing in it but ours can run."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rl.report.write import write_report
from sft.page.charts import band
from sft.page.document import document
from sft.report import page as sft_page
from tests.rl.view.fabricate import fabricate


def figures(html: str) -> dict[str, Any]:
    [found] = re.findall(r'<script type="application/json" id="figures">(.*?)</script>', html, re.DOTALL)
    return json.loads(found)


def table(blocks: list[dict[str, Any]], caption: str) -> dict[str, list[str]]:
    [found] = [block for block in blocks if block.get("caption", "").startswith(caption)]
    return {row[0]: row[1:] for row in found["rows"]}


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    run = fabricate(tmp_path_factory.mktemp("runs") / "small")
    return figures((write_report(run) / "index.html").read_text())["blocks"]


def test_accuracy_and_its_breakdowns_add_up(blocks: list[dict[str, Any]]) -> None:
    # before RL every third of 60 is right, after it every second
    assert [row[0] for row in table(blocks, "ex_strict on 60").values()] == ["33.3 %", "50.0 %"]
    for name in ("hardness or kind", "tables in gold", "database"):
        rows = table(blocks, f"Right by {name}").values()
        assert sum(int(row[0]) for row in rows) == 60
        right = sum(int(row[0]) * float(row[3].split()[0]) / 100 for row in rows)
        assert right == pytest.approx(30, abs=0.2)


def test_errors_are_counted_by_class_before_and_after(blocks: list[dict[str, Any]]) -> None:
    errors = table(blocks, "Answers that are not right")
    assert [sum(int(row[stage]) for row in errors.values()) for stage in (0, 1)] == [40, 30]


def test_examples_are_those_that_rl_fixed_and_broke_with_their_diffs(blocks: list[dict[str, Any]]) -> None:
    titles = [block["text"] for block in blocks if block["kind"] == "heading"]
    # of 0..59: fixed are even and no multiple of 3 (20), broken are odd multiples of 3 (10)
    assert "Questions that RL fixed: 20, 8 shown" in titles and "Questions that RL broke: 10, 8 shown" in titles
    fixed, broke = [block["items"] for block in blocks if block["kind"] == "diffs"]
    [[before, _], [after, same]] = fixed[0]["diffs"]
    assert (before.partition(": ")[2], after.partition(": ")[2]) == ("wrong", "correct")
    assert all(word[3] for clause in same for word in clause["answer"]) and len(fixed) == len(broke) == 8


def test_a_page_loads_nothing_and_runs_only_its_own_script() -> None:
    bad = "</script><script>window.ran = true</script><!-- <img src=x onerror=alert(1)>"
    html = document(bad, [{"kind": "text", "text": bad}, {"kind": "table", "head": [bad], "rows": [[float("nan")]]}])
    assert html.count("</script>") == 2 and html.count("<script") == 2
    assert figures(html)["blocks"][0]["text"] == bad and figures(html)["blocks"][1]["rows"] == [[None]]
    assert "default-src 'none'" in html and "unsafe" not in html
    assert not re.findall(r'(?:src|href)="', html)


def test_an_sft_run_has_its_page_too() -> None:
    rows = [{"step": n, "loss": 1 / n, "token_accuracy": 1 - 0.5 / n, "grad_norm": 1.0} for n in range(1, 5)]
    dev = [
        {"step": 2, "ex_strict": 0.5, "em_spider": 0.25, "n": 40},
        {"step": 4, "ex_strict": 0.25, "em_spider": 0.25, "n": 40},
    ]
    blocks = figures(sft_page("sft", "a line\nanother", {"kept_step": 2, "seconds": {"learn": 3.0}}, rows, dev))[
        "blocks"
    ]
    charts = {block["title"]: block for block in blocks if block["kind"] == "chart"}
    assert charts["Loss"]["series"][0]["points"] == [[1, 1.0], [2, 0.5], [3, 1 / 3], [4, 0.25]]
    assert table(blocks, "Greedy answers to 40")["2"] == ["50.0%", "35.2 … 64.8", "25.0%", "kept"]


def test_bands_leave_out_what_is_no_number() -> None:
    rows: list[dict[str, Any]] = [
        {"step": 1, "a": 0.5, "n": 4},
        {"step": 2, "a": None, "n": 4},
        {"step": 3, "a": 0.5},
        {"step": 4, "a": "x", "n": 4},
    ]
    assert [row[0] for row in band(rows, "a", "n")] == [1]


@pytest.mark.slow
def test_the_page_is_drawn(browser: Any, tmp_path: Path) -> None:
    report = write_report(fabricate(tmp_path / "small"))
    page = browser.new_page(viewport={"width": 390, "height": 800})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto((report / "index.html").as_uri())
    page.wait_for_selector("figure.chart svg path")
    assert page.inner_text("h1") == "small" and page.locator("ins").count() > 0 and not errors
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()
