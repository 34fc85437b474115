"""The pages in a browser: from the runs to differing rows, by keys alone, with hostile content, and from a disk."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evaluation.benchmarks import load_examples
from rl.report.write import write_report
from rl.view.__main__ import main
from rl.view.control import Control
from tests.rl.view.fabricate import fabricate, rollouts
from tests.rl.view.test_pages import lucky_run

Served = Callable[..., str]
WIDTHS = (1280, 390)
VIEWS = (
    "", "runs/small", "runs/small/steps/3", "runs/small/steps/3/groups/0", "runs/small/questions",
    "runs/small/questions/1/0", "runs/small/dev", "runs/small/dev/1", "compare/small+small",
)  # fmt: skip
RAN = "window.ran = true"
HOSTILE = {
    "script": f"</script><script>{RAN}</script>",
    "picture": f"<img src=x onerror='{RAN}'>",
    "svg": f"<svg onload='{RAN}'><foreignObject><body onload='{RAN}'></foreignObject></svg>",
    "attribute": f"\" onmouseover='{RAN}' autofocus onfocus='{RAN}' x=\"",
    "link": f"[a](javascript:{RAN}) <a href='javascript:{RAN}'>b</a> javascript:{RAN}",
    "template": "{{constructor.constructor('window.ran = true')()}} ${window.ran = true}",
    "style": "<style>main { display: none }</style>",
    "turned": "safe \u202e txet denrut \u2066 \u200b\u2028 \x07 end",
    "huge": "W" * 1_000_000,
}


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that tells of every error in it."""
    errors: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    made = context.new_page()
    made.on("pageerror", lambda error: errors.append(str(error)))
    made.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield made
    context.close()
    assert not errors


def settled(page: Any, url: str) -> None:
    """The view is drawn; what it asks for afterwards may still come."""
    page.goto(url)
    view = url.partition("#/")[2]
    page.wait_for_function("view => document.body.dataset.shown === view", arg=view)


@pytest.mark.slow
def test_four_clicks_lead_from_the_runs_to_the_rows_that_differ(page: Any, served: Served, runs: Path) -> None:
    page.goto(served(runs))
    page.click("text=small")
    page.click("a[aria-label^='step 3']")
    page.click("table tbody tr:nth-child(1) a")
    page.wait_for_selector("table.rows tr.differ, table.rows tr.extra")
    assert page.locator("table.rows .mark").all_inner_texts()
    assert "differ" in page.inner_text("#answer")
    assert page.locator("del, ins").count() > 0


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_every_view_fits_its_window_and_has_a_name(page: Any, served: Served, runs: Path, width: int) -> None:
    url = served(runs)
    page.set_viewport_size({"width": width, "height": 800})
    for view in VIEWS:
        settled(page, f"{url}#/{view}")
        assert page.inner_text("h1").strip(), view
        assert "Not shown" not in page.inner_text("h1"), view
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view


@pytest.mark.slow
def test_names_and_contrast_pass_axe(browser: Any, served: Served, runs: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(viewport={"width": 390, "height": 800}, bypass_csp=True)  # the checker is a script
    page, axe, url = context.new_page(), Axe(), served(runs)
    for view in VIEWS:
        settled(page, f"{url}#/{view}")
        page.wait_for_load_state("networkidle")
        found = axe.run(page)
        assert found.violations_count == 0, (view, found.generate_report())
    context.close()


@pytest.mark.slow
def test_names_and_contrast_of_report_and_control_pass_axe(browser: Any, served: Served, tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    report = write_report(fabricate(tmp_path / "small", steps=2)) / "index.html"
    context = browser.new_context(viewport={"width": 390, "height": 800}, bypass_csp=True)
    page, axe = context.new_page(), Axe()
    page.goto(report.as_uri())
    page.wait_for_load_state("networkidle")
    found = axe.run(page)
    assert found.violations_count == 0, found.generate_report()
    url = served(tmp_path, token="correct-horse", control=Control())
    page.goto(url + "?token=correct-horse")
    settled(page, url + "#/control")
    page.wait_for_load_state("networkidle")
    found = axe.run(page)
    assert found.violations_count == 0, found.generate_report()
    context.close()


@pytest.mark.slow
def test_keys_alone_do_it(page: Any, served: Served, runs: Path) -> None:
    settled(page, served(runs))

    def tab_to(what: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate(
                "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"
            ).startswith(what):
                return
        raise AssertionError(f"no Tab leads to {what}")

    tab_to("small")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('small')")
    tab_to("step 3")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("step 2")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('Step 2')")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("h1:has-text('Step 3')")
    page.keyboard.press("/")
    page.keyboard.type("zzz no such text")
    page.wait_for_selector("text=0 of 4")
    page.keyboard.press("Tab")
    page.keyboard.press("u")
    page.wait_for_selector("h1:has-text('Step 3')")  # a letter in a menu is no command
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("u")
    page.wait_for_selector("h1:has-text('small')")
    page.keyboard.press("?")
    page.wait_for_selector("dialog")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")


def test_filters_find_what_became_better_and_stay_from_page_to_page(page: Any, served: Served, runs: Path) -> None:
    url = served(runs)
    settled(page, f"{url}#/runs/small/questions")
    settled(page, f"{url}#/runs/small/steps/3")
    page.select_option("#f-change", "fixed")
    page.fill("#f-since", "1")
    # of the questions of step 1 (1, 2, 3 and 4 of 4 right) step 3 has 3, 4, 0 and 1
    page.wait_for_selector("text=2 of 4")
    page.click("a:has-text('← step 2')")
    page.wait_for_selector("h1:has-text('Step 2')")
    assert page.input_value("#f-change") == "fixed"
    page.click("text=Clear")
    page.wait_for_selector("text=4 of 4")


@pytest.mark.slow
def test_each_filter_of_a_step_leaves_the_groups_that_it_names(page: Any, served: Served, runs: Path) -> None:
    """At step 3, 3, 4, 0 and 1 of 4 samples are right, see `fabricate`."""
    url = served(runs)
    settled(page, f"{url}#/runs/small/questions")
    settled(page, f"{url}#/runs/small/steps/3")
    page.wait_for_selector("#f-hardness option:nth-child(2)", state="attached", timeout=20_000)
    groups = page.locator("main table").last
    names = {
        name: page.locator(f"#f-{name} option").evaluate_all("all => all.slice(1).map(one => one.value)")
        for name in ("verdict", "signal", "database", "hardness", "tables", "change")
    }
    counts: dict[str, dict[str, int]] = {}
    for name, values in names.items():
        for value in values:
            page.select_option(f"#f-{name}", value)
            counts.setdefault(name, {})[value] = groups.locator("tbody tr").count()
        page.select_option(f"#f-{name}", "")
    assert counts["signal"] == {"signal": 2, "none": 2, "wrong": 1, "right": 1}
    assert counts["verdict"] == {"correct": 3, "error": 2, "wrong": 3}
    assert all(sum(counts[name].values()) == 4 for name in ("database", "hardness", "tables"))
    assert counts["change"]["never"] == 1 == counts["change"]["always"]
    page.select_option("#f-sort", "worst")
    assert groups.locator("tbody tr:nth-child(1) td:nth-child(2)").inner_text() == "0 of 4"
    page.select_option("#f-sort", "best")
    assert groups.locator("tbody tr:nth-child(1) td:nth-child(2)").inner_text() == "4 of 4"
    page.click("text=Clear")


def test_right_answers_that_are_luck_can_be_found_and_filtered(
    page: Any, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLSQL_CACHE", str(tmp_path / "cache"))
    lucky_run(tmp_path / "runs" / "small")
    settled(page, served(tmp_path / "runs") + "#/runs/small/steps/1")
    page.click("text=Check for luck")
    page.wait_for_selector("text=2 by luck", timeout=30_000)
    page.select_option("#f-luck", "earned")
    page.wait_for_selector("text=0 of 1")
    page.select_option("#f-luck", "lucky")
    page.wait_for_selector("text=1 of 1")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.slow) if k == "huge" else k for k in HOSTILE])
def test_hostile_content_is_text(page: Any, served: Served, tmp_path: Path, kind: str) -> None:
    bad = HOSTILE[kind]
    run = fabricate(tmp_path / "runs" / "small", steps=1, questions=2, samples=2)
    examples = load_examples("tiny", "train")[:2]
    first = replace(
        examples[0], question=bad, gold_sql=f"SELECT name -- {bad[:30_000]}\nFROM customer", db_id=bad[:500]
    )
    table = rollouts([first, examples[1]], 1, 2)
    for name in ("sql", "error", "verdict"):
        values = [bad if name != "verdict" else bad[:300]] * table.num_rows
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values, pa.string()))
    pq.write_table(table, run / "rollouts" / "step_000001.parquet")
    config = json.loads((run / "config.json").read_text())
    config["model"]["path"], config["init_adapter"] = bad, bad
    (run / "config.json").write_text(json.dumps(config))
    (run / "log.txt").write_text(f"{bad}\nALARM step 1: {bad}\n", encoding="utf-8")
    found = json.loads((run / "evaluations" / "rl.json").read_text())
    found["per_question"] = [{**found["per_question"][0], "question": bad, "sql": bad, "status": bad[:300], "id": bad}]
    (run / "evaluations" / "rl.json").write_text(json.dumps(found))
    url = served(tmp_path / "runs")
    for view in ("", "runs/small", "runs/small/steps/1", "runs/small/steps/1/groups/0", "runs/small/questions/1/0",
                 "runs/small/questions", "compare/small+small", "runs/small/dev", "runs/small/dev/60"):  # fmt: skip
        settled(page, f"{url}#/{view}")
        if page.locator("#log summary").count():
            page.click("#log summary")
        assert page.evaluate("window.ran") is None, view
        assert page.is_visible("main h1"), view
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        outside = "[...document.querySelectorAll('main script, main img, main iframe, main style, main a')]"
        assert (
            page.evaluate(
                f"{outside}.filter(e => e.tagName !== 'A' || !e.getAttribute('href').startsWith('#/')).length"
            )
            == 0
        )
    if kind == "turned":
        assert "⟨U+202E⟩" in page.inner_text("main")


def test_cells_with_markup_are_text(page: Any, served: Served, tmp_path: Path) -> None:
    run = fabricate(tmp_path / "small", steps=1, questions=1, samples=2)
    example = load_examples("tiny", "train")[1]
    table = rollouts([example], 1, 2)
    from_table = example.gold_sql.split(" FROM ")[-1].split()[0]
    cells = f"'<img src=x onerror=\"window.ran=1\">', '{'W' * 40_000}', char(8238) || 'a'"
    sql = f"SELECT {cells} FROM {from_table} LIMIT 3"
    table = table.set_column(table.schema.get_field_index("sql"), "sql", pa.array([sql] * 2, pa.string()))
    pq.write_table(table, run / "rollouts" / "step_000001.parquet")
    settled(page, served(tmp_path) + "#/runs/small/steps/1/groups/0")
    page.wait_for_selector("table.rows")
    shown = page.inner_text("table.rows")
    assert "<img src=x" in shown and "… 40,000 characters" in shown and "⟨U+202E⟩a" in shown
    assert page.evaluate("window.ran") is None


@pytest.mark.slow
def test_a_page_follows_its_run(page: Any, served: Served, tmp_path: Path) -> None:
    run = fabricate(tmp_path / "small", steps=2, finished=False)
    settled(page, served(tmp_path, follow=True) + "#/runs/small")
    assert page.locator(".bar a").count() == 2
    table = rollouts(load_examples("tiny", "train")[:4], 3, 4)
    page.wait_for_timeout(3200)
    pq.write_table(table, run / "rollouts" / "step_000003.parquet")
    page.wait_for_selector("a[aria-label^='step 3']", timeout=10_000)


def test_runs_of_other_benchmarks_are_not_compared(page: Any, served: Served, runs: Path, tmp_path: Path) -> None:
    other = fabricate(tmp_path / "other", steps=1)
    config = json.loads((other / "config.json").read_text())
    config["data"]["benchmark"] = "spider"
    (other / "config.json").write_text(json.dumps(config))
    settled(page, served(runs, tmp_path) + "#/compare/small+other")
    assert "rl on tiny and rl on spider" in page.inner_text("main")


@pytest.mark.slow
def test_the_export_opens_from_a_disk_with_every_view(page: Any, runs: Path, tmp_path: Path) -> None:
    assert main([str(runs), "--export", str(tmp_path / "out")]) == 0
    url = (tmp_path / "out" / "index.html").as_uri()
    for view in VIEWS:
        settled(page, f"{url}#/{view}")
        assert "Not shown" not in page.inner_text("h1"), view
    settled(page, f"{url}#/runs/small/steps/3/groups/0")
    page.wait_for_selector("table.rows tr.differ, table.rows tr.extra")
    page.wait_for_selector("#schema svg")
    assert not [
        file
        for file in (tmp_path / "out").rglob("*.js")
        if "http://" in file.read_text().replace("http://www.w3.org", "")
    ]


def test_a_token_in_the_address_opens_the_pages(page: Any, served: Served, runs: Path) -> None:
    url = served(runs, token="correct-horse")
    page.goto(url + "?token=correct-horse")
    page.wait_for_selector("text=small")
    assert "correct-horse" not in page.url
