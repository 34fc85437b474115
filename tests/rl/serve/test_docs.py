"""docs/serving.md: its commands are understood, its addresses are those of the application."""

import json
import re
import shlex

import pytest

from rl import ask
from rl.serve import __main__ as serve
from rl.serve.app import Asked
from rl.serve.chat import ChatRequest
from tests.rl.serve.conftest import ROOT

TEXT = (ROOT / "docs" / "serving.md").read_text()
COMMANDS = [line.partition("#")[0].strip() for line in TEXT.splitlines() if line.startswith("rollsql ")]


@pytest.mark.parametrize("line", [line for line in COMMANDS if "docs/shop" in line])
def test_every_command_on_the_shop_is_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    _, name, *words = shlex.split(line)
    parser = {"ask": ask, "serve": serve}[name]._parser()
    assert "docs/shop/shop.sqlite" in str(parser.parse_args(words).database)


def test_every_address_of_the_application_is_described() -> None:
    source = (ROOT / "rl" / "serve" / "app.py").read_text()
    addresses = set(re.findall(r'@app\.(?:get|post)\(\s*"(/[^"{]+)"', source))
    assert len(addresses) > 8 and not [one for one in addresses if f"`{one}`" not in TEXT and f" {one}`" not in TEXT]


def test_the_bounds_of_numbers_are_described_as_schemas_do() -> None:
    text = json.dumps([Asked.model_json_schema(), ChatRequest.model_json_schema()])
    assert all(f'"{bound}": {value}' in text for bound, value in (("minimum", 1), ("maximum", 32), ("maximum", 1)))
    assert '"ge"' not in text and '"le"' not in text
