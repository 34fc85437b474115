"""What is started from the page is the command line that it shows, and only its own page can start it."""

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from evaluation.errors import UserError
from rl.view.control import Control

ASKED: dict[str, Any] = {
    "command": "rl.train",
    "config": "rl/configs/tiny.toml",
    "settings": {"run.name": "a b; touch x", "init_adapter": "/no/such"},
}


def ended(control: Control, number: int) -> dict[str, Any]:
    for _ in range(600):
        [one] = [one for one in control.choices()["started"] if one["number"] == number]
        if one["state"] != "running":
            return one
        time.sleep(0.1)
    raise AssertionError("it did not end")


def test_the_line_is_that_of_the_command_with_each_setting_one_word(tmp_path: Path) -> None:
    control = Control(tmp_path)
    assert control.words(ASKED)[2:] == [
        "rl.train", "--config", "rl/configs/tiny.toml", "run.name=a b; touch x", "init_adapter=/no/such",
    ]  # fmt: skip
    job = control.words({**ASKED, "job": True, "settings": {}, "data": "/d"})
    assert " ".join(job) == ("python -m cluster.submit -- python -m rl.train --config rl/configs/tiny.toml --data /d")


@pytest.mark.parametrize(
    "wrong",
    [{"command": "os.system"}, {"config": "/etc/passwd"}, {"config": "../x.toml"}, {"settings": {"--data": "x"}},
     {"settings": {"no.such": "1"}}, {"settings": {"steps": 5}}],
)  # fmt: skip
def test_nothing_but_our_commands_configs_and_settings(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        Control(tmp_path).words(ASKED | wrong)


def test_what_is_started_says_what_the_command_says(tmp_path: Path) -> None:
    control = Control(tmp_path)
    asked = ASKED | {"settings": {"init_adapter": "/no/such"}}
    started = control.start(asked)
    assert started["line"] == "python -m rl.train --config rl/configs/tiny.toml init_adapter=/no/such"
    found = ended(control, started["number"])
    assert found["state"] == "ended with exit code 2"
    assert found["output"].startswith("error: init_adapter must be the folder of an adapter")
    again = control.again(started["number"])
    assert again["line"] == started["line"] and again["number"] == 2
    control.stop(again["number"])
    assert ended(control, again["number"])["state"] != "running"
    with pytest.raises(UserError, match="no command 9"):
        control.stop(9)


def test_choices_have_ranges_meanings_and_the_configs_of_each_command(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("steps = 3\n[rollout]\nquestions = 2\n")
    rl = next(one for one in Control(tmp_path).choices()["commands"] if one["name"] == "rl.train")
    assert "mine.toml" in rl["configs"] and "rl/configs/tiny.toml" in rl["configs"]
    assert not [name for name in rl["configs"] if "ablation" in name]
    [steps] = [one for one in rl["settings"] if one["key"] == "steps"]
    assert steps["may_be"] == "a whole number, at least 0" and steps["meaning"]


def test_only_the_page_with_its_token_can_start(served: Callable[..., str], tmp_path: Path) -> None:
    control = Control(tmp_path)
    url = served(tmp_path, token="correct-horse", control=control)

    def post(name: str, **headers: str) -> tuple[int, dict[str, Any]]:
        body = json.dumps(ASKED | {"config": "none"}).encode()
        request = urllib.request.Request(
            f"{url}api/control/{name}", body, {"Content-Type": "application/json", **headers}
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, {}

    token = {"Authorization": "Bearer correct-horse"}
    ours = token | {"X-RollSQL": "1"}
    assert post("start")[0] == 401 and post("start", **{"X-RollSQL": "1"})[0] == 401
    assert post("start", **token)[0] == 403
    assert post("rm", **ours)[0] == 404
    assert post("start", **ours) == (200, {"error": "config must be one of those listed, got 'none'"})
    assert not control.choices()["started"]


def test_a_viewer_without_control_starts_nothing(served: Callable[..., str], runs: Path) -> None:
    with pytest.raises(HTTPError) as refused:
        urllib.request.urlopen(
            urllib.request.Request(served(runs) + "api/control/start", b"{}", {"Content-Type": "application/json"})
        )
    assert refused.value.code == 404


@pytest.mark.slow
def test_a_run_is_started_and_followed_from_the_page(browser: Any, served: Callable[..., str], tmp_path: Path) -> None:
    url = served(tmp_path, token="correct-horse", control=Control(tmp_path))
    page = browser.new_page()
    page.goto(url + "?token=correct-horse")
    page.click("text=Start a run")
    page.fill("#c-find", "init_adapter")
    page.fill("input[aria-label='init_adapter']", "/no/such")
    page.click("form button:text-is('Start')")
    page.wait_for_selector("text=ended with exit code 2", timeout=60_000)
    assert "init_adapter must be the folder of an adapter" in page.inner_text("main")
    assert "init_adapter=/no/such" in page.inner_text("main code")
    page.close()
