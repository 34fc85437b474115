"""The page in a real browser: asked, edited, run again, looked at, corrected; by keyboard, on a phone; with hostile
texts in every place that a stranger fills."""

import json
import os
import re
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import uvicorn

from rl.asker import Asker
from rl.policies import Policies, Policy
from rl.selection import Selector
from rl.serve.app import Parts, application
from rl.serve.batcher import Batcher
from rl.serve.databases import Databases
from rl.serve.feedback import Feedback
from tests.rl.serve.conftest import SHOP, Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow  # starts a server
QUESTION = "How many customers live in each city?"
RIGHT = "SELECT city, count(*) AS customers FROM customers GROUP BY city ORDER BY 2 DESC LIMIT 8"
SCRIPT = "<img src=x onerror=document.title='hit'><script>document.title='hit'</script>"
TOKEN = "a-token-of-many-letters"
ALLOWED = re.compile("status of 4|Content Security Policy")  # a refusal that a test asked for
SHOTS = os.environ.get("ROLLSQL_SCREENSHOTS")  # a folder that keeps what was seen


@pytest.fixture
def page(browser: "Browser", server: Server) -> Iterator["Page"]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.url)
    page.wait_for_selector("#schema svg")
    yield page
    assert page.title() == "Ask a database" and not [one for one in complaints if not ALLOWED.search(one)]
    assert all(one.startswith((server.url, "data:")) for one in asked)  # works offline: nothing from elsewhere
    context.close()


def seen(page: "Page", name: str) -> None:
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def ask(page: "Page", question: str, database: str = "shop") -> None:
    page.select_option("#database", database)
    page.fill("#question", question)
    page.press("#question", "Enter")
    page.wait_for_selector(".card", timeout=60_000)


def test_a_question_is_asked_its_query_edited_run_charted_and_corrected(page: "Page", server: Server) -> None:
    ask(page, QUESTION)
    assert "customers" in page.inner_text("#schema-note")
    assert page.locator("#schema .box.linked").count() > 0
    page.fill(".card textarea.sql", RIGHT)
    page.press(".card textarea.sql", "Control+Enter")
    page.wait_for_selector(".card table td")
    assert page.locator(".card tbody tr").count() == 8 and "8 rows" in page.inner_text(".card")
    assert page.locator(".chart rect.bar").count() == 8
    assert page.inner_text(".card th >> nth=1") == "customers"
    seen(page, "answer")
    page.click("[aria-label^=Wrong]")
    page.wait_for_selector(".card .good")
    row = json.loads(server.feedback.read_text().splitlines()[-1])
    assert (row["question"], row["sql"], row["corrected"]) == (QUESTION, RIGHT, True)
    page.select_option("[aria-label=Chart]", label="No chart")
    assert page.locator(".chart svg").count() == 0
    page.fill(".card textarea.sql", "SELECT nothing_of_it FROM customers")
    page.click("text=Run")
    page.wait_for_selector(".card .bad")
    assert "no such column" in page.inner_text(".card .bad")


def test_policies_answer_side_by_side(page: "Page") -> None:
    page.select_option("#policy", label="all, side by side")
    ask(page, QUESTION)
    page.wait_for_function("document.querySelectorAll('.card').length === 2")
    assert [title.split()[0] for title in page.locator(".card h3").all_inner_texts()] == ["base", "tiny"]
    left, right = (page.locator(".card").nth(place).bounding_box() for place in (0, 1))
    assert left and right and left["y"] == right["y"] and left["x"] < right["x"]
    seen(page, "side_by_side")


def test_a_join_path_is_lit(page: "Page") -> None:
    ask(page, "Which customers returned an order?")
    page.wait_for_selector("#schema .join.path")
    seen(page, "schema")


def test_the_keyboard_alone_is_enough(page: "Page") -> None:
    assert page.evaluate("document.activeElement.id") == "question"
    page.keyboard.type("How many orders?")
    page.keyboard.press("Enter")
    page.wait_for_selector(".card", timeout=60_000)
    reached = set()
    for _ in range(25):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("(document.activeElement.ariaLabel || document.activeElement.innerText || '').trim()")
        )
    assert {"Ask", "Run", "Query of tiny"} <= reached


def test_a_phone_shows_all_of_it(page: "Page") -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    ask(page, QUESTION)
    page.fill(".card textarea.sql", RIGHT)
    page.click("text=Run")
    page.wait_for_selector(".card table td")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    seen(page, "phone")


def test_no_text_of_a_stranger_is_more_than_text(page: "Page", tmp_path: Path) -> None:
    file = tmp_path / "hostile.sqlite"
    with closing(sqlite3.connect(file)) as db:
        name = SCRIPT.replace('"', "")
        db.execute(f'CREATE TABLE "{name}" (id INTEGER PRIMARY KEY, "{name}" TEXT)')
        db.executemany(f'INSERT INTO "{name}" VALUES (?, ?)', [(n, SCRIPT) for n in range(3)])
        db.commit()
    page.set_input_files("#upload", str(file))
    page.wait_for_selector("#status.good")
    assert page.input_value("#database") == "hostile"
    ask(page, SCRIPT, "hostile")
    page.fill(".card textarea.sql", f'SELECT "{name}", id FROM "{name}"')
    page.click("text=Run")
    page.wait_for_selector(".card table td")
    assert page.inner_text(".card td >> nth=0") == SCRIPT
    page.fill(".card textarea.sql", f"SELECT '{SCRIPT}'".replace("='hit'", "=1"))
    page.click("text=Run")
    page.wait_for_timeout(300)
    assert page.locator("img, main script").count() == 0 and page.title() == "Ask a database"
    seen(page, "hostile")


def test_the_page_may_load_and_run_nothing_else(page: "Page") -> None:
    inline = "const s = document.createElement('script'); s.textContent = 'document.title = 1'; document.body.append(s)"
    page.evaluate(inline)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<b id=b onclick=\"document.title=1\">b</b>')")
    page.click("#b")
    refused = page.evaluate("fetch('http://127.0.0.2:1/').then(() => 'let out', () => 'refused')")
    assert page.title() == "Ask a database" and refused == "refused"


@pytest.fixture
def guarded() -> Iterator[str]:
    """The address of an application that asks for TOKEN; its engine is asked for nothing, and never started."""
    policies = Policies(cast(Any, None), {"base": Policy("base", None, cast(Any, None))})
    batcher, databases = Batcher(cast(Any, None)), Databases([SHOP])
    asker = Asker(policies, lambda requests: [], Selector(lambda requests: []), sampler=batcher)
    app = application(Parts(asker, batcher, databases, Feedback(None), TOKEN))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=lambda: server.run(sockets=[listening]))
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.should_exit = True
        thread.join()
    batcher.close()
    databases.close()


def test_a_token_is_asked_for_until_it_is_right_and_is_left_in_no_address(browser: "Browser", guarded: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(guarded)
    for given in ("no-token-of-this-server", TOKEN):
        page.wait_for_selector("#token-dialog[open]")
        assert page.evaluate("document.activeElement.id") == "token" and page.input_value("#token") == ""
        assert page.locator("#schema svg").count() == 0
        page.keyboard.type(given)
        page.keyboard.press("Enter")
    page.wait_for_selector("#schema svg")
    seen(page, "after_token")
    page.reload()  # it is remembered, by this tab alone
    page.wait_for_selector("#schema svg")
    other = context.new_page()
    other.goto(guarded)
    other.wait_for_selector("#token-dialog[open]")
    other.goto(f"{guarded}#token={TOKEN}")
    other.reload()
    other.wait_for_selector("#schema svg")
    assert other.url == guarded and not other.locator("#token-dialog[open]").count()
    context.close()
